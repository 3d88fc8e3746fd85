"""Pushes that come twice, late and in any order, beside the same ones in order: the timelines are the same."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from tests.faults.audit import examine, note, shipments
from tests.faults.conftest import LONG, settings
from tests.faults.daemon import Daemon, Tenant, tenant
from tests.faults.load import STEPS, Carrier, Scan, journey, register, settle_in, waybills
from tests.faults.receiver import Receiver

PARCELS = 400 if LONG else 40
AGAIN = 0.6  # the chance of each push that it comes once more, later

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


async def pushed(account: Tenant, receiver: Receiver, scans: list[Scan], again: float, name: str) -> dict[str, Any]:
    """What stands there once all was pushed and told, by waybill; everything held against everything before."""
    hook = await settle_in(account, receiver)
    numbers = await register(account, waybills(PARCELS))
    carrier = Carrier(hook, scans, again=again)
    ledger = await carrier.run()
    found = await examine(account, receiver, ledger, numbers)
    note(f"test_{name}", ledger, found)
    assert found.wrong == {}
    assert len(ledger.acknowledged) == PARCELS * len(STEPS)
    views = await shipments(account, list(numbers.values()))
    return {waybill: told(views[id]) for waybill, id in numbers.items()}


def told(view: dict[str, Any]) -> dict[str, Any]:
    """What a shipment says of its journey, without when and how often we heard of it."""
    names = ("occurred_at", "milestone", "reason", "code", "description", "location", "certainty", "stray")
    events = [{name: event.get(name) for name in names} for event in view["events"]]
    return {name: view[name] for name in ("status", "status_at", "leg", "picked_up")} | {"events": events}


async def test_pushes_that_come_twice_late_and_in_any_order_make_the_same_timelines(
    tmp_path: Path, receiver: Receiver
) -> None:
    """Each change once and in order for both, and the same document in the end."""
    numbers = waybills(PARCELS)
    in_order = [scan for waybill in numbers for scan in journey(waybill)]
    in_order.sort(key=lambda scan: scan.place)
    shuffled = random.Random(17).sample(in_order, len(in_order))
    async with Receiver() as other, Daemon(tmp_path / "data", settings=settings(receiver, other)) as daemon:
        await daemon.start()
        right = await pushed(await tenant(daemon, "in-order"), receiver, in_order, 0.0, "pushes_in_order")
        wild = await pushed(await tenant(daemon, "shuffled"), other, shuffled, AGAIN, "pushes_shuffled_and_repeated")
    assert {waybill: one["status"] for waybill, one in right.items()} == dict.fromkeys(numbers, "delivered")
    assert wild == right
