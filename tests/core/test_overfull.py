"""A parcel with more scans than any parcel has: it is bounded, and what got its 2xx is kept all the same."""

from __future__ import annotations

import pytest

from carriers.sdk import Scan
from tests.core.parcels import ACME, NOW, REGISTRY, START, report, scan
from tracker.ingest.door import Ingest
from tracker.ingest.types import IngestSettings, Received, Registration
from tracker.store import Store

ACCOUNT = "shop-one"
MOST = 20
ROOM: list[int] = []


@pytest.fixture
def door(store: Store) -> Ingest:
    ROOM.clear()
    return Ingest(
        store,
        REGISTRY,
        due=lambda shipment, now: None,
        settings=IngestSettings(most_scans=MOST),
        made_room=lambda account, scans: ROOM.append(scans),
    )


def scans(count: int, first: int = 0) -> list[Scan]:
    return [scan("ARR", n / 60, text=f"hub {n}") for n in range(first, first + count)]


async def hear(door: Ingest, *told: Scan, asked: bool = False, waybill: str = "W10001") -> Received:
    source = "con_acme/poll" if asked else "con_acme/push"
    said = [report(waybill, *told), report("W20002", *scans(1))]
    return await door.receive(ACCOUNT, source, ACME, said, fingerprint="f", now=NOW, asked=asked)


async def events(door: Ingest, store: Store, waybill: str = "W10001") -> int:
    [id] = await store.find(ACCOUNT, [waybill])
    assert id
    [shipment] = await door.get(ACCOUNT, [id])
    assert shipment
    return len(shipment.events)


async def register(door: Ingest) -> None:
    await door.register(ACCOUNT, [Registration(waybill="W10001", carrier="acme")], now=NOW)


async def test_a_parcel_takes_so_many_scans_and_what_goes_beyond_is_named(door: Ingest, store: Store) -> None:
    """Whether they come at once or one after the other; the other parcels of that body are heard."""
    await register(door)
    assert (await hear(door, *scans(MOST + 1))).overfull == ("W10001",)
    assert (await hear(door, *scans(MOST))).overfull == ()
    more = await hear(door, *scans(1, first=MOST))
    assert (more.overfull, more.parked) == (("W10001",), ("W20002",))
    assert await events(door, store) == MOST
    assert (await hear(door, *scans(5))).overfull == ()  # what it has already is nothing more


async def test_an_answer_of_which_there_is_too_much_changes_nothing(door: Ingest, store: Store) -> None:
    """The carrier still has it: it is not kept here, and the parcel is asked for again as ever."""
    await register(door)
    await hear(door, *scans(3))
    answer = await hear(door, *scans(MOST + 9), asked=True)
    assert (len(answer.same), answer.overfull) == (1, ())
    assert await events(door, store) == 3


async def test_of_too_many_waiting_scans_those_heard_last_count(door: Ingest, store: Store) -> None:
    """And those that do not are counted, as those that made room while they waited."""
    assert (await hear(door, *scans(MOST + 1))).overfull == ("W10001",)
    for first in range(0, 3 * MOST, MOST // 2):
        assert (await hear(door, *scans(MOST // 2, first=first))).overfull == ()
    await register(door)
    assert await events(door, store) == MOST
    [id] = await store.find(ACCOUNT, ["W10001"])
    assert id
    [shipment] = await door.get(ACCOUNT, [id])
    assert shipment
    assert max(event.time.wall for event in shipment.events) == START + (3 * MOST - 1) * 60
    assert ROOM == [4]
