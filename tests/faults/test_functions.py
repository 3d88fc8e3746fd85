"""The server loses its functions, or everything, while it runs: somebody flushed what was not theirs to flush."""

from __future__ import annotations

import asyncio

import pytest

from tests.faults.daemon import until
from tests.faults.drill import Drill

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]


async def test_functions_that_were_flushed_are_loaded_again(drill: Drill) -> None:
    """Three times in the midst of the load: what fails for it is pushed again, and nothing is lost or doubled."""
    pushing = asyncio.create_task(drill.carrier.run())
    for share in (0.25, 0.5, 0.75):
        await drill.acknowledged(share)
        drill.daemon.ask_server("FUNCTION", "FLUSH")
        before = len(drill.carrier.ledger.acknowledged)
        await until(
            lambda before=before: len(drill.carrier.ledger.acknowledged) > before + 10, within=60, what="progress"
        )
    drill.daemon.ask_server("SCRIPT", "FLUSH")
    await drill.pushed(pushing)
    assert (await drill.examined()).wrong == {}
