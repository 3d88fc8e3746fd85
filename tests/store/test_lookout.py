"""A lookout knows where lanes are due without looking at every shard, and overlooks none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.store import EmbeddedServer, Store, StoreSettings, open_store
from tracker.store.lookout import Lookout
from tracker.store.types import Claim, Committed, Delivery, LaneRef, Outcome, Settlement, Write

from .goods import creation, fan_out_all, listening, next_write, reads, register

NEVER_S = 3_600.0  # no look at all shards comes to the help of what was overlooked
LEASE_MS = 600_000


@asynccontextmanager
async def rested(store: Store) -> AsyncIterator[tuple[Lookout, asyncio.Event]]:
    """A lookout that has looked everywhere, and what it wakes."""
    await listening(store)
    woken = asyncio.Event()
    with store.watching(NEVER_S, woken.set) as lookout:
        for shard in lookout.look(()):
            lookout.saw(shard, passed_over=False, next_s=None)
        yield lookout, woken


async def claim(store: Store, lookout: Lookout, name: str, **free: int) -> list[Delivery]:
    return await store.claim_lanes(name, free=free, default_free=100, limit=500, lease_ms=LEASE_MS, lookout=lookout)


async def heard(woken: asyncio.Event) -> None:
    async with asyncio.timeout(60):
        await woken.wait()
    woken.clear()


async def test_a_store_where_nothing_is_due_is_not_asked(store: Store) -> None:
    async with rested(store) as (lookout, _):
        before = await reads(store)
        for turn in range(5):
            assert await claim(store, lookout, f"c{turn}") == []
        assert await reads(store) == before
        assert lookout.rest_s() > NEVER_S / 2


async def test_a_lane_that_somebody_fills_is_looked_at_at_once_and_no_other_shard(store: Store) -> None:
    async with rested(store) as (lookout, woken):
        id = await register(store, "acme", "W1")
        woken.clear()
        async with another(store) as other:
            await fan_out_all(other, "sub_1")
        await heard(woken)
        assert lookout.rest_s() == 0
        assert [one.id for one in await claim(store, lookout, "c1")] == [id]
        assert lookout.look(()) == [store.shard_of_id(id)]  # there may be more


@asynccontextmanager
async def another(store: Store) -> AsyncIterator[Store]:
    """The same store, opened by another process."""
    async with open_store(StoreSettings(directory=Path(), url=store.url)) as opened:
        yield opened


async def test_a_settled_change_with_another_behind_it_is_looked_after_and_one_without_is_not(store: Store) -> None:
    write = creation(store, "acme", "W1")
    await store.commit(next_write(write, await store.commit(write)))
    await fan_out_all(store, "sub_1")
    async with rested(store) as (lookout, _):
        lookout.mark(range(store.shards))
        for turn, behind in enumerate(([store.shard_of_id(write.id)], [])):
            (one,) = await claim(store, lookout, f"c{turn}")
            assert await claim(store, lookout, f"nothing{turn}") == []
            await store.settle_lanes([Settlement(delivery=one, outcome=Outcome.DONE)], lookout=lookout)
            assert lookout.look(()) == behind
            lookout.mark(behind)


async def test_a_retry_is_looked_for_when_it_is_due(store: Store) -> None:
    await register(store, "acme", "W1")
    await fan_out_all(store, "sub_1")
    async with rested(store) as (lookout, _):
        lookout.mark(range(store.shards))
        (one,) = await claim(store, lookout, "c1")
        retry_at = int((await now_of(store) + 0.4) * 1000)
        retry = Settlement(delivery=one, outcome=Outcome.RETRY, retry_at=retry_at)
        await store.settle_lanes([retry], lookout=lookout)
        assert await claim(store, lookout, "c2") == []
        assert 0 < lookout.rest_s() <= 0.4
        await asyncio.sleep(lookout.rest_s() + 0.002)
        assert [again.attempt for again in await claim(store, lookout, "c3")] == [2]


async def now_of(store: Store) -> float:
    seconds, micros = await store.wire.control().send(b"TIME")
    return int(seconds) + int(micros) / 1e6


async def test_what_is_due_for_a_destination_without_slots_is_looked_at_again_only_when_it_has_some(
    store: Store,
) -> None:
    for n in range(9):
        await register(store, "acme", f"W{n}")
    await fan_out_all(store, "full")
    async with rested(store) as (lookout, _):
        lookout.mark(range(store.shards))
        assert await claim(store, lookout, "c1", full=0) == []
        assert lookout.look([b"full"]) == []
        assert lookout.look([b"full", b"other"]) == []
        assert lookout.rest_s() > NEVER_S / 2
        assert len(await claim(store, lookout, "c2", other=0)) == 9


async def test_a_look_that_was_cut_off_is_made_again(store: Store) -> None:
    id = await register(store, "acme", "W1")
    await fan_out_all(store, "sub_1")
    async with rested(store) as (lookout, _):
        lookout.mark(range(store.shards))
        cut = asyncio.create_task(claim(store, lookout, "c1"))
        await asyncio.sleep(0)
        cut.cancel()
        with suppress(asyncio.CancelledError):
            await cut
        assert [one.id for one in await claim(store, lookout, "c1")] == [id]


async def test_every_shard_is_looked_at_again_after_a_while(store: Store) -> None:
    """Whatever was heard: a wake-up may be lost."""
    with store.watching(0.1, lambda: None) as lookout:
        everywhere = list(range(store.shards))
        assert lookout.look(()) == everywhere
        assert lookout.look(()) == []
        await asyncio.sleep(lookout.rest_s() + 0.002)
        assert lookout.look(()) == everywhere


# ---------------------------------------------------------------- nothing is overlooked

NAMES = ("sub_1", "sub_2", "sub_3")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("change"), st.integers(0, 4), st.integers(1, 7)),
        st.tuples(st.just("claim"), st.integers(0, 7), st.integers(1, 6)),
        st.tuples(st.just("settle"), st.integers(1, 4), st.sampled_from(Outcome)),
    ),
    max_size=25,
)


@settings(max_examples=40, deadline=None)
@given(steps=STEPS)
def test_whatever_was_filled_claimed_and_settled_is_found_by_who_was_told_of_it(
    store_server: EmbeddedServer, steps: list[tuple[str, int, Any]]
) -> None:
    async def told() -> None:
        known = StoreSettings(directory=store_server.directory, url=store_server.url)
        async with open_store(known) as store:
            await store.clear()
            with store.watching(NEVER_S, lambda: None) as lookout:
                story = Story(store, lookout)
                for step, count, how in steps:
                    await getattr(story, step)(count, how)
                await story.drained()

    asyncio.run(told())


class Story:
    """Five parcels with changes for three destinations, and one who delivers them."""

    def __init__(self, store: Store, lookout: Lookout) -> None:
        self._store = store
        self._lookout = lookout
        self._parcels: dict[int, tuple[Write, Committed]] = {}
        self._out: list[Delivery] = []
        self._turn = 0

    async def change(self, parcel: int, names: int) -> None:
        """A change more of the parcel, to those of the destinations; some are claimed as they are filled."""
        known = self._parcels.get(parcel)
        write = next_write(*known) if known else creation(self._store, "acme", f"W{parcel}")
        self._parcels[parcel] = write, await self._store.commit(write)
        shard = self._store.shard_of_id(write.id)
        cursor, entries = await self._store.unfanned(shard)
        refs = [
            LaneRef(name, one.account, one.id, one.revision, one.kind) for one in entries for name in some_of(names)
        ]
        claim = Claim(id=self._name(), lease_ms=LEASE_MS, free={NAMES[0]: 1, NAMES[1]: 1})
        self._out += (await self._store.fan_out(shard, cursor, entries[-1].position, refs, claim)).claimed

    async def claim(self, busy: int, limit: int) -> None:
        self._out += await self._store.claim_lanes(
            self._name(),
            free=dict.fromkeys(some_of(busy), 0),
            default_free=3,
            limit=limit,
            lease_ms=LEASE_MS,
            lookout=self._lookout,
        )

    async def settle(self, count: int, outcome: Outcome) -> None:
        """Some of what is out; what is to come again does so now, or in a moment."""
        some, self._out = self._out[:count], self._out[count:]
        again = int((await now_of(self._store) + 0.02 * (count % 2)) * 1000)
        said = [Settlement(delivery=one, outcome=outcome, retry_at=again) for one in some]
        await self._store.settle_lanes(said, lookout=self._lookout)

    async def drained(self) -> None:
        """Return once everything was delivered; fails where something is overlooked."""
        async with asyncio.timeout(60):
            while any([await self._store.lanes(name) for name in NAMES]):
                await self.settle(len(self._out), Outcome.DONE)
                await self.claim(0, 100)
                await asyncio.sleep(0.002)

    def _name(self) -> str:
        self._turn += 1
        return f"c{self._turn}"


def some_of(mask: int) -> list[str]:
    return [name for place, name in enumerate(NAMES) if mask >> place & 1]
