"""What stands in Milepost afterwards, held against the carrier's ledger and the subscriber's account."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from tests.faults.daemon import Daemon, Tenant, until
from tests.faults.load import PER_ORDER, Ledger
from tests.faults.receiver import Receiver

Json = dict[str, Any]
_SETTLED_S = 90.0  # a claim of a killed daemon must end first, then its deliveries go out again


class Findings(Struct, kw_only=True):
    """Everything that must be nothing, and a few counts beside it."""

    lost: list[str] = field(default_factory=list)  # acknowledged scans that stand in no timeline
    doubled: list[str] = field(default_factory=list)  # scans that stand there more than once
    invented: list[str] = field(default_factory=list)  # events that no scan explains
    gaps: list[str] = field(default_factory=list)  # revisions that the feed lacks, has twice or out of order
    undelivered: list[str] = field(default_factory=list)  # changes that the subscriber never accepted
    foreign: list[str] = field(default_factory=list)  # webhooks that no change explains
    differing: list[str] = field(default_factory=list)  # ids that came with different bytes
    misordered: list[str] = field(default_factory=list)  # first arrivals before the revision below was accepted
    order_book: list[str] = field(default_factory=list)  # parcels whose order says otherwise
    buried: list[str] = field(default_factory=list)  # dead letters and quarantined bodies
    changes: int = 0
    arrivals: int = 0
    refused: int = 0  # arrivals that the subscriber refused, to have them again
    redelivered: int = 0  # arrivals of what it had accepted already

    @property
    def wrong(self) -> dict[str, list[str]]:
        """What is not as promised; the first few of each."""
        lists = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: found[:5] for name, found in lists.items() if isinstance(found, list) and found}


async def feed(daemon: Daemon | Tenant) -> list[Json]:
    """Every change, from the beginning, page by page."""
    found: list[Json] = []
    page = await daemon.call("GET", "/v1/changes", limit="500")
    while True:
        found += page["changes"]
        if not page["more"]:
            return found
        page = await daemon.call("GET", "/v1/changes", limit="500", after=page["cursor"])


def message_id(change: Mapping[str, Any]) -> str:
    """The webhook-id that a change of the feed must have."""
    return f"msg_{change['shipment_id'][4:]}_{change['revision']}"


async def shipments(daemon: Daemon | Tenant, ids: Sequence[str]) -> dict[str, Json]:
    """Each shipment with its timeline, by id."""
    found: dict[str, Json] = {}
    for start in range(0, len(ids), 20):
        some = ids[start : start + 20]
        views = await asyncio.gather(*(daemon.call("GET", f"/v1/shipments/{id}") for id in some))
        found |= dict(zip(some, views, strict=True))
    return found


async def delivered(daemon: Daemon | Tenant, receiver: Receiver) -> list[Json]:
    """Wait until the subscriber has accepted every change of the feed; the feed, complete or not."""
    changes: list[Json] = []

    async def complete() -> bool:
        nonlocal changes
        if not {message_id(change) for change in changes} - receiver.ids:
            changes = await feed(daemon)
        return not {message_id(change) for change in changes} - receiver.ids

    try:
        await until(complete, within=_SETTLED_S, what="every change delivered", every=0.25)
    except AssertionError:
        return changes  # the audit names what is missing
    return changes


async def examine(
    daemon: Daemon | Tenant, receiver: Receiver, ledger: Ledger, numbers: Mapping[str, str], *, orders: bool = True
) -> Findings:
    """Hold everything against everything. `numbers`: waybill → shipment id."""
    found = Findings()
    changes = await delivered(daemon, receiver)
    views = await shipments(daemon, list(numbers.values()))
    _timelines(found, ledger, numbers, views)
    _revisions(found, changes, views)
    _deliveries(found, changes, receiver)
    if orders:
        found.order_book = await _order_book(daemon, views)
    found.buried = await _buried(daemon)
    return found


def _timelines(found: Findings, ledger: Ledger, numbers: Mapping[str, str], views: Mapping[str, Json]) -> None:
    told: dict[str, Counter[str]] = {}
    for waybill, id in numbers.items():
        events = [event for event in views[id]["events"] if not event["summary"]]
        told[waybill] = Counter(event["description"] for event in events)
        found.doubled += [f"{waybill} {text}" for text, times in told[waybill].items() if times > 1]
    expected: dict[str, set[str]] = defaultdict(set)
    for (waybill, _), scan in ledger.acknowledged.items():
        expected[waybill].add(scan.text)
        if scan.text not in told[waybill]:
            found.lost.append(f"{waybill} {scan.text}")
    for waybill, texts in told.items():
        found.invented += [f"{waybill} {text}" for text in texts if text not in expected[waybill]]


def _revisions(found: Findings, changes: Sequence[Json], views: Mapping[str, Json]) -> None:
    revisions: dict[str, list[int]] = defaultdict(list)
    for change in changes:
        revisions[change["shipment_id"]].append(change["revision"])
    for id, view in views.items():
        if revisions[id] != list(range(1, view["revision"] + 1)):
            found.gaps.append(f"{id}: revision {view['revision']}, in the feed {revisions[id]}")
    found.changes = len(changes)


def _deliveries(found: Findings, changes: Sequence[Json], receiver: Receiver) -> None:
    wanted = {message_id(change): change["type"] for change in changes}
    came = {arrival.id: arrival.type for arrival in receiver.arrivals if arrival.shipment}
    found.undelivered = sorted(wanted.keys() - receiver.ids)
    found.foreign = sorted(id for id, type in came.items() if wanted.get(id) != type)
    found.differing = receiver.bytes_differ()
    found.misordered = [f"{late.shipment} r{late.revision}" for late in receiver.premature]
    found.foreign += ["a webhook without a valid signature"] * receiver.refused
    found.arrivals, found.refused, found.redelivered = (
        len(receiver.arrivals),
        receiver.refused_once,
        receiver.redelivered,
    )


async def _order_book(daemon: Daemon | Tenant, views: Mapping[str, Json]) -> list[str]:
    """Where an order's parcels differ from the shipments; asked again until they agree, for a while."""
    wrong: list[str] = []

    async def agrees() -> bool:
        wrong[:] = differences(await _orders(daemon), views)
        return not wrong

    try:
        await until(agrees, within=_SETTLED_S / 3, what="the order book", every=1.0)
    except AssertionError:
        return wrong
    return []


async def _orders(daemon: Daemon | Tenant) -> list[Json]:
    found: list[Json] = []
    query: dict[str, str] = {"limit": "200"}
    while True:
        page = await daemon.call("GET", "/v1/orders", **query)
        found += page["orders"]
        if page["cursor"] is None:
            return found
        query["cursor"] = page["cursor"]


def differences(orders: Sequence[Json], views: Mapping[str, Json]) -> list[str]:
    parcels = {parcel["shipment_id"]: (order, parcel) for order in orders for parcel in order["parcels"]}
    wrong = [
        f"{order['number']}: {len(order['parcels'])} parcels" for order in orders if len(order["parcels"]) > PER_ORDER
    ]
    for id, view in views.items():
        order, parcel = parcels.get(id, ({}, {}))
        told = (order.get("number"), parcel.get("revision"), parcel.get("status"))
        if told != (view["order_number"], view["revision"], view["status"]):
            wrong.append(f"{id}: the book says {told}, the shipment r{view['revision']} {view['status']}")
    return wrong


async def _buried(daemon: Daemon | Tenant) -> list[str]:
    letters = await daemon.call("GET", "/v1/dead-letters")
    kept = await daemon.call("GET", "/v1/quarantine")
    return [row["id"] for row in letters["dead_letters"]] + [row["id"] for row in kept["quarantine"]]


ROWS: dict[str, tuple[object, ...]] = {}  # of the run's table: test → acknowledged and what must be nothing
COLUMNS = ("fault", "acknowledged", "lost", "doubled", "misordered", "undelivered", "redelivered", "no 2xx for")


def note(test: str, ledger: Ledger, found: Findings) -> None:
    """Remember a test's figures for the table that ends the run."""
    doubled = len(found.doubled) + len(found.invented) + len(found.gaps)
    missing = len(found.undelivered) + len(found.order_book)
    silence = f"{ledger.longest_silence_s:.1f} s"
    told = (
        len(ledger.acknowledged),
        len(found.lost),
        doubled,
        len(found.misordered),
        missing,
        found.redelivered,
        silence,
    )
    ROWS[test.removeprefix("test_").replace("_", " ")] = told


def table(rows: Mapping[str, object]) -> str:
    """Names and values, one a line, aligned."""
    width = max(len(name) for name in rows)
    return "\n".join(f"  {name:<{width}}  {value}" for name, value in rows.items())
