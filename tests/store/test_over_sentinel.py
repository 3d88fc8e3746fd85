"""The store over `redis+sentinel://`: the same stories while primaries change, and a load with its ledger.

`MILEPOST_FAILOVERS` sets how many of a kind the load lives through, 1 by default.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from msgspec import Struct, field

from tests.store.goods import creation, next_write, register
from tests.store.stories import STORIES, Story, named
from tests.store.topologies import FAILOVER_S, Watched, watched
from tracker.store import Store, StoreSettings, open_store
from tracker.store.types import Committed, Conflict, CursorTooOld, FeedEntry, Stored, StoreDown

FAILOVERS = int(os.environ.get("MILEPOST_FAILOVERS", "1"))
EVERY = 25  # so many stories from one failover to the next
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600 + 120 * FAILOVERS)]


@pytest.fixture(scope="module")
def topology(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Two servers under three sentinels, ready."""
    with watched(tmp_path_factory.mktemp("watched")) as found:
        asyncio.run(found.ready())
        yield found


@pytest.fixture
async def store(topology: Watched, tmp_path: Path) -> AsyncIterator[Store]:
    """The empty store of these tests; opened before whatever happens to its primary."""
    settings = StoreSettings(directory=tmp_path, url=topology.url)
    async with open_store(settings, patience=20.0) as opened:
        await opened.clear()
        yield opened


async def answering(store: Store) -> None:
    """Return once the store takes writes again, which it does when the new primary has a replica."""
    async with asyncio.timeout(FAILOVER_S):
        while True:
            with contextlib.suppress(StoreDown):
                await store.put_record("probe", "nobody", "1", b"1")
                await store.clear()
                return
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("story", STORIES, ids=named)
async def test_over_sentinels_too(story: Story, store: Store, topology: Watched) -> None:
    """Now and then the primary is killed, or asked to step down, while the story's store is open."""
    place = STORIES.index(story)
    if place % EVERY == EVERY // 2:
        await topology.ready()
        await (topology.killed() if place // EVERY % 2 == 0 else topology.asked_to())
        await answering(store)
    await story(store)


class Ledger(Struct):
    """What the store acknowledged: shipment → the words of its commits, in order."""

    acknowledged: dict[str, list[str]] = field(default_factory=dict)
    unanswered: int = 0


async def write_on(store: Store, waybill: str, ledger: Ledger, enough: asyncio.Event) -> None:
    """Commit word after word to one shipment, each until it is acknowledged."""
    write = creation(store, "acme", waybill, document=b"0")
    done: list[str] = ledger.acknowledged.setdefault(write.id, [])
    place = 0
    while not enough.is_set():
        try:
            committed = await store.commit(write)
        except StoreDown:
            ledger.unanswered += 1
            await asyncio.sleep(0.05)
            continue
        except Conflict:  # it ran, and its answer was lost
            with contextlib.suppress(StoreDown):
                [found] = await store.read([write.id])
                if found and found.document == write.document:
                    committed = Committed(found.version, found.revision)
                elif found is None and place:
                    raise AssertionError(f"{waybill} is gone") from None
                else:
                    continue
                done.append(str(place))
                place += 1
                write = next_write(write, committed, document=write.document + f" {place}".encode())
            continue
        done.append(str(place))
        place += 1
        write = next_write(write, committed, document=write.document + f" {place}".encode())


async def examined(store: Store, ledger: Ledger) -> tuple[list[str], list[str], list[object]]:
    """What was acknowledged and is lost, what stands there twice, and where the feed has gaps or repeats itself."""
    lost: list[str] = []
    doubled: list[str] = []
    for id, words in ledger.acknowledged.items():
        [found] = await store.read([id])
        stands = Counter(found.document.decode().split()) if found else Counter[str]()
        lost += [f"{id} {word}" for word in words if word not in stands]
        doubled += [f"{id} {word}" for word, times in stands.items() if times > 1]
        assert found is None or found.revision == found.version  # each of these commits announced one change
    revisions = Counter((entry.id, entry.revision) for entry in await changes(store))
    gaps: list[object] = [name for name, times in revisions.items() if times > 1]
    for id in ledger.acknowledged:
        [found] = await store.read([id])
        gaps += [(id, n) for n in range(1, (found.revision if found else 0) + 1) if not revisions[id, n]]
    return lost, doubled, gaps


KINDS: dict[str, Callable[[Watched], Awaitable[None]]] = {
    "killed": Watched.killed,
    "asked to step down": Watched.asked_to,
    "frozen, and awake again as a stale primary": Watched.frozen,
}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_load_loses_and_doubles_nothing_while_primaries_change(
    kind: str, store: Store, topology: Watched, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every acknowledged word stands in its document once, every revision in the feed once."""
    ledger, enough = Ledger(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for place in range(32):
            tasks.create_task(write_on(store, f"LOAD{place:04}", ledger, enough))
        for _ in range(FAILOVERS):
            await topology.ready()
            before = sum(map(len, ledger.acknowledged.values()))
            await KINDS[kind](topology)
            async with asyncio.timeout(FAILOVER_S):
                while sum(map(len, ledger.acknowledged.values())) < before + 500:
                    await asyncio.sleep(0.05)
        enough.set()
    lost, doubled, gaps = await examined(store, ledger)
    total = sum(map(len, ledger.acknowledged.values()))
    with capsys.disabled():
        print(
            f"\n{FAILOVERS} × primary {kind}: {total} commits acknowledged, {ledger.unanswered} tried again, "
            f"lost {len(lost)}, doubled {len(doubled)}, gaps in the feed {len(gaps)}"
        )
    assert (lost, doubled, gaps) == ([], [], [])


async def test_what_no_replica_has_is_not_acknowledged_to_another_reader(
    store: Store, topology: Watched, tmp_path: Path
) -> None:
    """The primary alone has a write: a reader on another connection must not build on it yet."""
    await topology.ready()
    replica = await topology.replica()
    async with open_store(StoreSettings(directory=tmp_path, url=topology.url)) as other:
        write = creation(store, "acme", "W1")
        replica.signal(signal.SIGSTOP)
        try:
            writing = asyncio.create_task(store.commit(write))
            await asyncio.sleep(0.2)  # to be written, not to be acknowledged
            reading = asyncio.create_task(other.read([write.id]))
            await asyncio.wait([writing, reading], timeout=0.5, return_when=asyncio.FIRST_COMPLETED)
            assert not writing.done()
            assert not reading.done()
        finally:
            replica.signal(signal.SIGCONT)
        assert await writing == Committed(1, 1)
        assert await reading == [Stored(1, 1, write.document)]


async def test_who_waits_while_the_primary_changes_is_told_to_begin_anew(store: Store, topology: Watched) -> None:
    """What it had read may be no more; from the new head it is woken as before."""
    await topology.ready()
    with store.following("acme") as tip:
        page = await tip.join(await store.head(), 100)
        await topology.killed()
        async with asyncio.timeout(FAILOVER_S):
            with pytest.raises(CursorTooOld):
                while True:
                    with contextlib.suppress(StoreDown):
                        page = await tip.after(page, 100, 1) or page
        await answering(store)
        page = await tip.join(await store.head(), 100)
        id = await register(store, "acme", "W1")
        async with asyncio.timeout(FAILOVER_S):
            while not page.entries:
                page = await tip.after(page, 100, 1) or page
        assert [entry.id for entry in page.entries] == [id]


async def changes(store: Store) -> list[FeedEntry]:
    found: list[FeedEntry] = []
    cursor, more = None, True
    while more:
        page = await store.changes("acme", cursor, 500)
        found += page.entries
        cursor, more = page.cursor, page.more
    return found


async def test_a_registration_is_found_by_every_sentinel_alone(store: Store, topology: Watched, tmp_path: Path) -> None:
    """One sentinel that answers is enough, whichever stands first in the address."""
    id = await register(store, "acme", "W1")
    hosts = topology.url.partition("://")[2].partition("/")[0].split(",")
    for host in hosts:
        url = f"redis+sentinel://127.0.0.1:1,{host}/main"
        async with open_store(StoreSettings(directory=tmp_path, url=url)) as other:
            assert await other.find("acme", ["W1"]) == [id]
