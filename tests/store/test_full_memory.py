"""The server's memory is full (`maxmemory`, `noeviction`): what is new is refused whole, what empties it goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tracker.store import EmbeddedServer, Store, StoreSettings, open_store
from tracker.store.flush import Refused
from tracker.store.types import Outcome, Settlement

from .acts import Act
from .acts_beside import ACTS
from .cuts import shape
from .goods import fan_out_all, register
from .test_cancellation import server, store

__all__ = ["server", "store"]  # fixtures

REFUSED = {"commit", "park", "quarantine", "put_record", "note", "replay_dead", "relay"}


async def fill(store: Store) -> None:
    """From now on the server has not a byte to spare."""
    await store.wire.control().send(b"CONFIG", b"SET", b"maxmemory", b"1")


@pytest.fixture
async def filled(store: Store) -> AsyncIterator[Store]:
    """A store that is full once the test has filled it."""
    yield store
    await store.wire.control().send(b"CONFIG", b"SET", b"maxmemory", b"0")


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.name)
async def test_a_call_that_takes_in_is_refused_whole_and_any_other_runs(act: Act, filled: Store) -> None:
    """Claims, settlements, fan-out, trimming, deletions, of accounts too; changes of records and what people did."""
    call = await act.begin(filled)
    before = await shape(filled)
    await fill(filled)
    if act.method in REFUSED:
        with pytest.raises(Refused, match="used memory > 'maxmemory'"):
            await call(filled)
        assert await shape(filled) == before
    else:
        await call(filled)
        assert await shape(filled) != before


async def test_what_was_taken_in_before_goes_all_the_way_out(filled: Store) -> None:
    """Fanned out, claimed, settled, trimmed: nothing is left of the change, but its shipment."""
    id = await register(filled, "acme", "W1")
    await fill(filled)
    assert await fan_out_all(filled, "sub_1") == 1
    claimed = await filled.claim_lanes("c1", free={}, default_free=1, limit=9, lease_ms=60_000)
    assert [delivery.id for delivery in claimed] == [id]
    await filled.settle_lanes([Settlement(delivery=one, outcome=Outcome.DONE) for one in claimed])
    await filled.trim_feed(keep_ms=0, keep_entries=0)
    stats = await filled.stats()
    assert (stats.feed_length, stats.lanes) == (0, 0)


async def test_a_full_store_can_be_opened(filled: Store, server: EmbeddedServer) -> None:
    """Or a daemon that is started again could never empty it."""
    await register(filled, "acme", "W1")
    await fill(filled)
    settings = StoreSettings(directory=server.directory, url=server.url, shards=filled.shards)
    async with open_store(settings) as opened:
        assert await fan_out_all(opened, "sub_1") == 1
