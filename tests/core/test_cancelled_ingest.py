"""The door, cancelled at any await: what its caller then does again is there once, and whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct, structs

from tests.cancelling import Bystanders, Cut, When, chosen, watching
from tests.core.parcels import ACME, HOUR, NOW, REGISTRY, START, journey, report, scan
from tests.store.lines import Line, unreliable
from tracker.errors import NotFound
from tracker.ingest.door import Ingest
from tracker.ingest.types import Registration
from tracker.model import Details, Document, Milestone, Report, Stall
from tracker.store import Store

LINES = ("W10001", "W10002", "W10003", "W10004")  # waybills
STALL = Stall(NOW, START, Milestone.HUB_ARRIVED, 24 * HOUR)
Call = Callable[[Ingest, str], Coroutine[Any, Any, Any]]


class Deed(Struct, frozen=True):
    """Something that is done at the door, in an account that is prepared for it."""

    name: str
    prepare: Callable[[Ingest, str], Awaitable[None]]
    do: Call


def door(store: Store) -> Ingest:
    return Ingest(store, REGISTRY, due=lambda shipment, now: None)


async def nothing(door: Ingest, account: str) -> None:
    """An empty account will do."""


async def register(door: Ingest, account: str, *waybills: str) -> None:
    wanted = [Registration(waybill=one, carrier="acme", details=Details(order_number="O1")) for one in waybills]
    assert all(one.shipment for one in await door.register(account, wanted, now=NOW))


async def hear(door: Ingest, account: str, *reports: Report, register: bool = False) -> None:
    await door.receive(account, "con_acme/push", ACME, reports, fingerprint="f", now=NOW, register=register)


async def parked(door: Ingest, account: str) -> None:
    for place, one in enumerate(journey("PUP", "ARR")):
        await hear(door, account, *(report(waybill, one) for waybill in LINES[place:]))


async def followed(door: Ingest, account: str) -> None:
    await register(door, account, *LINES[:2])
    await hear(door, account, *(report(waybill, *journey("PUP", "ARR")) for waybill in LINES[:2]))


async def the_first(door: Ingest, account: str) -> str:
    [id] = await door._store.find(account, LINES[:1])
    assert id
    return id


async def push(door: Ingest, account: str) -> None:
    """Of two that are registered, with news and without, and of two that are not."""
    news = journey("PUP", "ARR", "DLV")
    scans = (news, news[:2], news[:1], news[1:])
    await hear(door, account, *(report(waybill, *some) for waybill, some in zip(LINES, scans, strict=True)))


async def takes_up(door: Ingest, account: str) -> None:
    await hear(door, account, *(report(waybill, scan("PUP", 1)) for waybill in LINES), register=True)


async def amend(door: Ingest, account: str) -> None:
    def moved(document: Document) -> Document:
        return structs.replace(document, details=structs.replace(document.details, order_number="O2"))

    await door.amend(account, await the_first(door, account), moved, now=NOW)


async def stall(door: Ingest, account: str) -> None:
    await door.flag_stalled(account, await the_first(door, account), STALL, now=NOW)


async def delete(door: Ingest, account: str) -> None:
    id = await the_first(door, account)
    try:
        await door.delete(account, id, now=NOW)
    except NotFound:  # as who does it again is told
        return


DEEDS = [
    Deed("a registration", nothing, lambda door, account: register(door, account, *LINES)),
    Deed("a registration of what is parked", parked, lambda door, account: register(door, account, *LINES)),
    Deed("a push", followed, push),
    Deed("a push of what nobody registered, which is taken up", nothing, takes_up),
    Deed("another order", followed, amend),
    Deed("a stall", followed, stall),
]


@pytest.fixture
async def far(store: Store, tmp_path: Path) -> AsyncIterator[tuple[Line, Store]]:
    async with unreliable(store, tmp_path) as pair:
        yield pair


async def standing(store: Store, account: str) -> dict[str, Any]:
    """What the account has: timelines, changes by shipment, and what is parked for whom, each once."""
    ids, _ = await store.page(account)
    page = await store.changes(account, None, 500)
    found: dict[str, Any] = {}
    for shipment in await door(store).get(account, ids):
        assert shipment
        document = shipment.document
        changes = [(one.revision, one.kind) for one in page.entries if one.id == document.id]
        assert [revision for revision, _ in changes] == list(range(1, document.revision + 1))
        assert document.waybill not in found
        codes = [event.code for event in shipment.events]
        order = document.details.order_number
        found[document.waybill] = (shipment.status, codes, order, changes, document.stall)
    assert {one.id for one in page.entries} <= set(ids)
    assert sorted(await store.find_order(account, "O1") + await store.find_order(account, "O2")) == sorted(
        id
        for id, one in zip(ids, await door(store).get(account, ids), strict=True)
        if one and one.document.details.order_number
    )
    return found | {f"parked {one}": len(set(await store.parked(account, one))) for one in LINES}


@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed.name)
async def test_what_is_cancelled_anywhere_and_done_again_is_there_once(
    deed: Deed, store: Store, far: tuple[Line, Store]
) -> None:
    """As if it had never been cancelled: shipments, timelines, orders, and the feed."""
    line, over = far
    accounts = (f"account-{n}" for n in count())
    bystanders = Bystanders(over)

    async def cut(at: int, when: When) -> tuple[Cut, str]:
        account = next(accounts)
        await deed.prepare(door(store), account)
        trial = Cut(at, when, line, bystanders)
        await trial.run(deed.do(door(over), account))
        await bystanders.check()
        return trial, account

    with watching():
        whole, account = await cut(-1, When.UNSENT)
        complete = await standing(store, account)
        assert whole.awaits >= 2
        for when in When:
            for at in chosen(whole.awaits):
                trial, account = await cut(at, when)
                assert trial.task.cancelled() or when is When.ANSWERED
                await standing(store, account)  # whatever is there is in step with itself
                await deed.do(door(over), account)
                assert await standing(store, account) == complete, f"{when}, await {at} of {whole.awaits}"


async def test_a_deletion_that_is_cancelled_anywhere_is_announced_once(store: Store, far: tuple[Line, Store]) -> None:
    """And its number can be registered anew."""
    line, over = far
    with watching():
        for when in When:
            for at in range(6):
                account = f"account-{when.name}-{at}"
                await followed(door(store), account)
                id = await the_first(door(store), account)
                await Cut(at, when, line, Bystanders(over)).run(delete(door(over), account))
                if await store.find(account, LINES[:1]) == [id]:
                    await delete(door(over), account)
                told = [one.kind for one in (await store.changes(account, None)).entries if one.id == id]
                assert told.count("deleted") == 1
                await register(door(over), account, LINES[0])
                assert await store.find(account, LINES[:1]) != [id]
