"""What runs beside the work and is cancelled when the daemon ends, at any await: nothing that it had taken is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cancelling import Bystanders, Cut, When, watching
from tests.core.test_drift import Counts, Installed, parcel
from tests.store.goods import register
from tests.store.lines import Line, unreliable
from tracker.accounts import Accounts
from tracker.agenda import Settling
from tracker.audit import Act, Audit
from tracker.drift.watch import DriftWatch
from tracker.store import Store
from tracker.store.sightings import EVERYBODY

LATER = 4_000_000_000_000  # ms


@pytest.fixture
async def far(store: Store, tmp_path: Path) -> AsyncIterator[tuple[Line, Store]]:
    async with unreliable(store, tmp_path) as pair:
        yield pair


def act(target: str) -> Act:
    return Act(actor="api", key="k", address="127.0.0.1", action="shipments.register", target=target, status=201)


async def test_every_act_is_in_the_trail_once_whenever_its_writer_is_cancelled(
    store: Store, far: tuple[Line, Store]
) -> None:
    """Also those that it was about to write, or whose answer it waited for."""
    line, over = far
    with watching():
        for when in When:
            for at in range(8):
                account = f"account-{when.name}-{at}"
                audit = Audit(over, every_s=0.001)
                for n in range(3):
                    audit.note(account, act(f"target-{n}"))
                await Cut(at, when, line, Bystanders(over)).run(audit.run())
                written, _ = await audit.page(account, None, 50)
                assert sorted(one.act.target for one in written) == ["target-0", "target-1", "target-2"], (when, at)


async def test_what_nothing_covers_is_counted_once_whenever_its_writer_is_cancelled(
    store: Store, far: tuple[Line, Store]
) -> None:
    """For its account and for all."""
    line, over = far
    heard = 0
    with watching():
        for when in When:
            for at in range(10):
                account = f"account-{when.name}-{at}"
                watch = DriftWatch(over, Installed({}), Accounts(over), Counts(), every_s=0.001)
                for n in range(3):
                    watch.unknown(parcel(account), "acme", "ZZZ", f"words {n}")
                heard += 3
                await Cut(at, when, line, Bystanders(over)).run(watch.run())
                for owner, count in ((account, 3), (EVERYBODY, heard)):
                    assert [one.count for one in await store.sightings(owner)] == [count], (when, at)


async def test_what_was_settled_is_written_whenever_the_writer_is_cancelled(
    store: Store, far: tuple[Line, Store]
) -> None:
    """As the agenda ends: what waits is written, then the writer is cancelled, and nothing waits for its lease."""
    line, over = far
    with watching():
        for when in When:
            for at in range(3):  # the pause, the write, and the write's own: then it waits for more
                ids = [await register(store, f"account-{when.name}-{at}", f"W{n}", due=1000) for n in range(4)]
                items = await store.claim_due(f"{when.name}-{at}", limit=9, lease_ms=60_000)
                assert {item.id for item in items} == set(ids)
                settling = Settling(over)
                for item in items:
                    settling.settle(item, LATER)
                await Cut(at, when, line, Bystanders(over)).run(settling.run())
                await settling.flush()
                assert [await due(store, id) for id in ids] == [LATER] * 4, (when, at)


async def due(store: Store, id: str) -> int:
    """When a shipment is looked at next, ms."""
    shard, local = store.keys.split(id)
    return int(await store._plain(shard, b"ZSCORE", store.keys.due[shard], local))
