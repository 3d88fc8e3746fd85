"""A primary with two replicas: what is promised where one must have each write, and where both must."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tracker.store import Store, StoreSettings, open_store
from tracker.store.types import StoreDown

from .test_over_sentinel import Ledger, examined, write_on
from .topologies import FAILOVER_S, Watched, watched

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


@pytest.fixture(params=[1, 2], ids=["one must have it", "both must have it"])
def needed(request: pytest.FixtureRequest) -> int:
    found: int = request.param
    return found


@pytest.fixture
def topology(needed: int, tmp_path: Path) -> Iterator[Watched]:
    with watched(tmp_path / "watched", replicas=2, needed=needed) as found:
        asyncio.run(found.ready())
        yield found


@pytest.fixture
async def store(topology: Watched, tmp_path: Path) -> AsyncIterator[Store]:
    settings = StoreSettings(directory=tmp_path, url=topology.url)
    async with asyncio.timeout(FAILOVER_S) as opening:
        while True:
            try:
                async with open_store(settings, patience=20.0) as opened:
                    opening.reschedule(None)
                    yield opened
                    return
            except StoreDown:  # one more replica to be heard of
                await asyncio.sleep(0.2)


def acknowledged(ledger: Ledger) -> int:
    return sum(map(len, ledger.acknowledged.values()))


async def more(ledger: Ledger, commits: int) -> None:
    """Return once so many more are acknowledged."""
    before = acknowledged(ledger)
    async with asyncio.timeout(FAILOVER_S):
        while acknowledged(ledger) < before + commits:
            await asyncio.sleep(0.05)


async def test_a_primary_is_killed_and_nothing_is_lost(
    needed: int, store: Store, topology: Watched, capsys: pytest.CaptureFixture[str]
) -> None:
    """One replica stands still before that: where both must have a write none is acknowledged then, else they go on."""
    ledger, enough = Ledger(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for place in range(16):
            tasks.create_task(write_on(store, f"LOAD{place:04}", ledger, enough))
        await topology.ready()
        await more(ledger, 300)
        slow = await topology.replica()
        slow.signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(0.1)  # what was on its way to it
            before = acknowledged(ledger)
            await asyncio.sleep(0.3)
            if needed == 2:
                assert acknowledged(ledger) == before
            else:
                assert acknowledged(ledger) > before
        finally:
            with contextlib.suppress(ProcessLookupError):
                slow.signal(signal.SIGCONT)
        await topology.killed()
        await more(ledger, 300)
        enough.set()
    await topology.ready()  # who comes back is in step again: reads wait for a replica too
    lost, doubled, gaps = await examined(store, ledger)
    with capsys.disabled():
        print(
            f"\nprimary of two replicas killed, {needed} needed: {acknowledged(ledger)} commits "
            f"acknowledged, lost {len(lost)}, doubled {len(doubled)}, gaps in the feed {len(gaps)}"
        )
    assert (lost, doubled, gaps) == ([], [], [])
