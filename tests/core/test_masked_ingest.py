"""Masked, what a carrier wrote of a person never reaches the store; a scan stays one scan whenever it is switched."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from carriers.sdk import Problem, ProblemKind, Report, Scan, Summary
from tests.api.test_departures import everything_in
from tests.core.parcels import ACME, NOW, REGISTRY, at, report
from tracker.ingest.cleaning import fingerprint
from tracker.ingest.door import Ingest
from tracker.ingest.types import Registration
from tracker.masking import Mask
from tracker.model import Milestone, Shipment
from tracker.store import Store

PERSONS = ("张小三", "13800000000", "李四")
TEXTS = ("派件员：张小三，电话：13800000000，正在派送", "已签收，签收人：李四")


def told(*texts: str) -> tuple[Scan, ...]:
    return tuple(Scan(time=at(hour), code="", text=text) for hour, text in enumerate(texts))


class Door:
    """A door whose masking can be switched."""

    def __init__(self, store: Store) -> None:
        self.how = Mask.OFF
        self.ingest = Ingest(store, REGISTRY, due=lambda shipment, now: None, mask=lambda account: self.how)

    async def register(self, waybill: str) -> Shipment:
        [done] = await self.ingest.register("shop", [Registration(waybill=waybill, carrier="acme")], now=NOW)
        assert done.shipment
        return done.shipment

    async def hear(self, said: Report, source: str = "con_acme/push") -> Shipment | None:
        mark = fingerprint(repr(said).encode())
        got = await self.ingest.receive("shop", source, ACME, [said], fingerprint=mark, now=NOW)
        return next(iter(got.shipments.values()), None)


@pytest.fixture
def door(store: Store) -> Door:
    return Door(store)


async def persons_in(store: Store) -> list[bytes]:
    """Keys under which one of the persons is named."""
    found: list[Any] = [one async for one in everything_in(store)]
    return [key for key, value in found if any(person.encode() in value for person in PERSONS)]


async def test_nothing_of_a_person_is_stored_and_the_milestones_are_as_without(door: Door, store: Store) -> None:
    door.how = Mask.ALL
    await door.register("W10001")
    said = report("W10001", *told(*TEXTS))
    said = Report(
        waybill=said.waybill,
        scans=said.scans,
        summary=Summary(signed_by="李四", status=Scan(time=at(1), code="", text=TEXTS[1])),
        problem=Problem(ProblemKind.REFUSED, "联系人：李四"),
    )
    shipment = await door.hear(said)
    assert shipment
    assert [event.milestone for event in shipment.events] == [Milestone.OUT_FOR_DELIVERY, Milestone.DELIVERED]
    assert [event.text for event in shipment.events] == ["派件员：***，电话：***，正在派送", "已签收，签收人：**"]
    assert shipment.signed_by == "**"
    assert await door.hear(report("W99999", *told(*TEXTS))) is None, "parked"
    assert await persons_in(store) == []


async def test_without_it_the_words_stay_as_they_came(door: Door, store: Store) -> None:
    await door.register("W10001")
    shipment = await door.hear(report("W10001", *told(*TEXTS)))
    assert shipment
    assert tuple(event.text for event in shipment.events) == TEXTS
    assert await persons_in(store)


@pytest.mark.parametrize(("before", "after"), list(itertools.permutations(Mask, 2)))
async def test_a_scan_is_one_scan_whenever_masking_is_switched(door: Door, before: Mask, after: Mask) -> None:
    """Heard again, by push and by poll, and beside a later one."""
    await door.register("W10001")
    for how in (before, after, before):
        door.how = how
        for source in ("con_acme/push", "con_acme/poll"):
            shipment = await door.hear(report("W10001", *told(*TEXTS)), source)
            assert shipment
            assert len(shipment.document.scans) == len(TEXTS), how


async def test_what_was_kept_before_is_masked_when_the_carrier_speaks_again(door: Door, store: Store) -> None:
    await door.register("W10001")
    await door.hear(report("W10001", *told(TEXTS[0])))
    parked = report("W20002", *told(*TEXTS))
    await door.hear(parked)
    door.how = Mask.ALL
    shipment = await door.hear(report("W10001", *told(*TEXTS)))
    assert shipment
    assert not [event for event in shipment.events if any(person in event.text for person in PERSONS)]
    late = await door.register("W20002")
    assert not [event for event in late.events if any(person in event.text for person in PERSONS)]
    assert {key.rpartition(b"}")[2][:1] for key in await persons_in(store)} <= {b"b"}, "changes that wait to be sent"
