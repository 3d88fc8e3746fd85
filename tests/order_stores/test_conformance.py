"""Every platform keeps every promise, against a peer that keeps the platform's rules."""

from __future__ import annotations

import pytest

from tracker.order_stores.conformance import CASES, Case, run

from .peers.peer import Peer


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
async def test_a_platform_keeps_its_promises(bench: Peer, case: Case) -> None:
    await run(case, bench)
