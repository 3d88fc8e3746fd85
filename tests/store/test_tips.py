"""Readers that wait for an account's changes: woken by its commits alone, together; a wake that is lost is made up."""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tracker.store import Store, StoreSettings, open_store, tips, wakes, wire
from tracker.store.flush import FlushLoop
from tracker.store.types import FeedEntry, FeedPage

from .goods import creation, next_write, register
from .lines import unreliable

READERS = 32


async def reads(store: Store) -> int:
    """How many functions that only read have been called on the servers; readers of the feed call no others."""
    told = await asyncio.gather(*[primary.send(b"INFO", b"commandstats") for primary in store.wire.primaries()])
    return sum(int(calls) for text in told for calls in re.findall(rb"cmdstat_fcall_ro:calls=(\d+)", text))


async def hearing(store: Store) -> list[tuple[FlushLoop, bytes]]:
    """The connections that hear commits, and not those by which sentinels hear of each other: where, and which."""
    found = []
    for primary in store.wire.primaries():
        told = await primary.send(b"CLIENT", b"LIST", b"TYPE", b"PUBSUB")
        for client in told.decode().splitlines():
            facts = dict(fact.split("=", 1) for fact in client.split(" ") if "=" in fact)
            if int(facts["sub"]) + int(facts["ssub"]) > 1:
                found.append((primary, facts["id"].encode()))
    return found


async def deafen(store: Store) -> None:
    """Cut the connections that hear commits."""
    for primary, id in await hearing(store):
        await primary.send(b"CLIENT", b"KILL", b"ID", id)


class Reader:
    """One who waits at the end of an account's feed and keeps what comes, with the time."""

    def __init__(self, store: Store, account: str) -> None:
        self.store = store
        self.account = account
        self.seen: list[FeedEntry] = []
        self.at: list[float] = []
        self.waits = asyncio.Event()

    async def run(self) -> None:
        """Read until cancelled."""
        with self.store.following(self.account) as tip:
            page = await tip.join(await self.store.head(), 500)
            self.waits.set()
            while True:
                after = await tip.after(page, 500, 60)
                if after:
                    page = after
                    self.seen += page.entries
                    self.at += [time.monotonic()] * len(page.entries)

    async def has(self, count: int) -> None:
        """Return once so many came."""
        async with asyncio.timeout(60):
            while len(self.seen) < count:
                await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def waiting(store: Store, account: str, count: int = 1) -> AsyncIterator[list[Reader]]:
    """So many readers, all of which wait."""
    readers = [Reader(store, account) for _ in range(count)]
    tasks = [asyncio.create_task(reader.run()) for reader in readers]
    try:
        for reader in readers:
            await reader.waits.wait()
        await asyncio.sleep(2 * tips.PACE_S)  # those that came together may have got their places one after another
        yield readers
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.contextmanager
def net(seconds: float, *, whole: float = 60.0) -> Iterator[None]:
    """Other intervals between two looks at what may have gone by unheard, and at everything."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wakes, "NET_S", seconds)
        patch.setattr(tips, "WHOLE_S", whole)
        yield


@contextlib.asynccontextmanager
async def unheard_of(store: Store) -> AsyncIterator[Store]:
    """The same store as another daemon sees it, one that publishes where nobody hears it."""
    async with open_store(StoreSettings(directory=Path(), url=store.url)) as mute:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(mute.wire, "publish", ({b"PUBLISH", b"SPUBLISH"} - {mute.wire.publish}).pop())
            yield mute


async def test_a_commit_of_another_account_costs_a_waiting_reader_nothing(store: Store) -> None:
    """Fifty commits beside thirty-two readers lead to no read; one of their own account to one, for all of them."""
    await register(store, "quiet", "W0")
    with net(60):
        async with waiting(store, "quiet", READERS) as readers:
            before = await reads(store)
            for n in range(50):
                await register(store, "busy", f"W{n}")
            await asyncio.sleep(0.3)
            assert await reads(store) == before
            id = await register(store, "quiet", "W1")
            for reader in readers:
                await reader.has(1)
            assert await reads(store) == before + 1
            assert all([entry.id for entry in reader.seen] == [id] for reader in readers)


async def test_thirty_two_readers_of_a_busy_account_cost_a_bounded_number_of_looks(store: Store) -> None:
    """Each turn reads the shards that were written to, once, whoever waits and however many commits came."""
    writes = [creation(store, "busy", f"W{n}") for n in range(4)]
    shards = len({store.shard_of_id(write.id) for write in writes})

    async def keep_writing(at: int, until: float) -> int:
        write = writes[at]
        committed = await store.commit(write)
        while time.monotonic() < until:
            write = next_write(write, committed)
            committed = await store.commit(write)
        return committed.revision

    with net(60):
        async with waiting(store, "busy", READERS) as readers:
            before, began = await reads(store), time.monotonic()
            revisions = await asyncio.gather(*[keep_writing(at, began + 1.5) for at in range(4)])
            for reader in readers:
                await reader.has(sum(revisions))
            turns = (time.monotonic() - began) / tips.PACE_S + 2
            assert await reads(store) - before <= turns * shards
    for reader in readers:
        for write, last in zip(writes, revisions, strict=True):
            assert [entry.revision for entry in reader.seen if entry.id == write.id] == list(range(1, last + 1))


async def test_readers_that_came_at_different_times_share_a_look(store: Store) -> None:
    """What the neighbours did in between moves nobody: who has read all stands at its account's own last entry."""
    await register(store, "acme", "W0")
    with net(60):
        async with contextlib.AsyncExitStack() as stack:
            readers: list[Reader] = []
            for came in range(4):
                for n in range(20):
                    await register(store, "busy", f"W{came}-{n}")
                readers += await stack.enter_async_context(waiting(store, "acme"))
            before = await reads(store)
            await register(store, "acme", "W1")
            for reader in readers:
                await reader.has(1)
            assert await reads(store) == before + 1


async def test_what_is_heard_while_a_shard_is_read_is_read_again(store: Store) -> None:
    """The read may have missed it: only what was heard before it was sent is certainly in its answer."""
    id = await register(store, "acme", "W0")
    shard = store.shard_of_id(id)
    with net(60), store.following("acme") as tip:
        page = await tip.join(None, 10)
        positions = store.positions(page.cursor)
        async with asyncio.timeout(60):
            while tip.news(positions):  # the channels that just began to be heard
                await tip.after(page, 10, 0.1)
        tip.written(shard)
        asked = tip.ask(positions, store.epoch)
        assert asked.keys() == {shard}
        tip.written(shard)
        tip.learn(shard, asked[shard], positions[shard] or (0, 0), 1)
        assert tip.news(positions) == [shard]
        assert await tip.after(page, 10, 5) == FeedPage((), page.cursor, False, 1, 1)
        assert tip.news(positions) == []


async def test_a_reader_hears_of_a_commit_within_milliseconds(store: Store) -> None:
    """From the commit's answer to the page, half of the times."""
    took = []
    async with waiting(store, "acme") as [reader]:
        for n in range(15):
            await asyncio.sleep(1.5 * tips.PACE_S)  # it rested: a reader that has just read waits its turn
            await register(store, "acme", f"W{n}")
            committed = time.monotonic()
            await reader.has(n + 1)
            took.append(reader.at[n] - committed)
    assert statistics.median(took) < 0.02


async def test_a_reader_behind_another_one_catches_up_from_its_own_place(store: Store) -> None:
    """It reads where it stands behind, and the tally counts what was not read too."""
    start = await store.head()
    ids = {await register(store, "acme", f"W{n}") for n in range(20)}
    async with waiting(store, "acme"):
        with store.following("acme") as tip:
            page = await tip.join(start, 7)
            seen = list(page.entries)
            while page.more:
                after = await tip.after(page, 7, 1)
                assert after and after.tally_before == page.tally
                page = after
                seen += page.entries
            assert {entry.id for entry in seen} == ids and len(seen) == 20
            assert page.tally == 20
            assert page.cursor == (await store.changes("acme", None, 500)).cursor
            before = await reads(store)
            assert (await tip.join(page.cursor, 7)).tally == 20
            assert await reads(store) == before, "it stands where the others wait"


async def test_a_commit_of_another_daemon_wakes_a_reader(store: Store) -> None:
    """Whoever made it, it is published by the store."""
    with net(60):
        async with open_store(StoreSettings(directory=Path(), url=store.url)) as other, waiting(store, "acme") as [one]:
            id = await register(other, "acme", "W1")
            await one.has(1)
            assert [entry.id for entry in one.seen] == [id]


@pytest.mark.parametrize("intervals", [(0.5, 60.0), (60.0, 0.5)], ids=["asked whose commits came", "read whole"])
async def test_a_publish_that_was_lost_is_made_up_for(store: Store, intervals: tuple[float, float]) -> None:
    """By the look at whose commits came, for all accounts at once; were that one blind, by the look at every shard."""
    with net(intervals[0], whole=intervals[1]):
        async with unheard_of(store) as mute, waiting(store, "acme") as [reader]:
            ids = [await register(mute, "acme", f"W{n}") for n in range(3)]
            await reader.has(3)
            assert sorted(entry.id for entry in reader.seen) == sorted(ids)


async def test_what_is_committed_while_nobody_hears_is_found_when_it_is_heard_again(store: Store) -> None:
    """The connection that hears is cut at once before each commit."""
    with net(60):
        async with waiting(store, "acme") as [reader]:
            for n in range(5):
                await deafen(store)
                await register(store, "acme", f"W{n}")
                await reader.has(n + 1)


async def test_a_connection_that_hears_nothing_any_more_is_opened_anew(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither side was told that it is gone; who works on every commit would be deaf too, and for good."""
    monkeypatch.setattr(wire, "ALIVE_S", 0.2)
    with net(60):
        async with unreliable(store, tmp_path) as (line, far), waiting(far, "acme") as [reader]:
            await asyncio.sleep(0.6)  # it lives, and is left alone
            line.deafen()
            await register(store, "acme", "W1")
            await reader.has(1)
            await far.wake(0)
            id = await register(store, "acme", "W2")
            assert await far.wake(5) == {store.shard_of_id(id)}


async def test_a_connection_that_answers_is_kept(store: Store) -> None:
    """However little there is to hear: it is asked whether it lives, and says so."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire, "ALIVE_S", 0.8)
        cut = await hearing(store)
        await deafen(store)
        long = 2.5 * wire.ALIVE_S + 0.5  # one that did not answer would be gone by then
        took = math.inf
        while took > long + 0.4:  # this process stood still, and could take no answer: it is tried again
            async with asyncio.timeout(60):
                while len(before := await hearing(store)) < len(cut) or set(before) & set(
                    cut
                ):  # of a cluster one by one
                    await asyncio.sleep(0.02)
            began = time.monotonic()
            before = await hearing(store)
            await asyncio.sleep(long)
            took = time.monotonic() - began
        assert await hearing(store) == before


async def test_to_follow_many_quiet_accounts_costs_what_one_does(store: Store) -> None:
    """One look at each shard in an interval, whoever waits; what is heard of and was read is not read again."""
    with net(0.5):
        async with contextlib.AsyncExitStack() as stack:
            for n in range(12):
                await stack.enter_async_context(waiting(store, f"account{n}"))
            before, began = await reads(store), time.monotonic()
            for n in range(10):
                await register(store, "account1", f"W{n}")
            await asyncio.sleep(2)
            intervals = (time.monotonic() - began) / 0.5 + 1
            assert await reads(store) - before <= intervals * store.shards + 10


async def test_what_nobody_follows_any_more_is_forgotten(store: Store) -> None:
    """And not before the next look at everything: who polls comes again."""
    with net(60, whole=0.2):
        async with waiting(store, "acme"):
            assert len(store._tips) == 1
        assert len(store._tips) == 1
        await asyncio.sleep(0.6)
        assert not store._tips
