"""Dead letters: changes that could not be delivered, kept until a person sends them again."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tracker.accounts import Scope
from tracker.api.checking import cursors
from tracker.api.models.common import Label, Page
from tracker.api.models.deliveries import DeadLetterList, DeadLetterView, Replay, Replayed
from tracker.api.quarantine import read_entry
from tracker.api.route import Call, Routes
from tracker.store.types import DeadLetter
from tracker.views import iso

routes = Routes("subscriptions")


class DeadLetterQuery(Page):
    """Which dead letters."""

    destination: (
        Annotated[Label, Field(min_length=1, description="the id of a subscription or an order store, or `orders`")]
        | None
    ) = None


@routes("GET", "/dead-letters")
async def list_dead_letters(call: Call, query: DeadLetterQuery) -> DeadLetterList:
    """The changes that could not be delivered, newest first, of one destination or of all."""
    destination = _destination(call, query.destination)
    with cursors(query.cursor):
        found, cursor = await call.services.store.dead_letters(
            call.account, destination=destination, cursor=query.cursor, limit=query.limit
        )
    return DeadLetterList(dead_letters=[_view(letter) for letter in found], cursor=cursor)


@routes("POST", "/dead-letters/replay", scope=Scope.WRITE)
async def replay_dead_letters(call: Call, body: Replay) -> Replayed:
    """Put dead letters back into their lanes: the same bytes, the same `webhook-id`.

    Unknown ids are passed over, and those of a subscription or an order store that is off: they would be dropped.
    """
    off = {one.id for one in await call.services.subscriptions.all(call.account) if not one.enabled}
    off |= {one.destination for one in await call.services.order_stores.all(call.account) if not one.enabled}
    return Replayed(replayed=await call.services.store.replay_dead(call.account, body.ids, but=off))


def _destination(call: Call, name: str | None) -> str | None:
    if name and name.startswith("ost_"):
        return f"store:{name}"
    return f"orders:{call.account}" if name == "orders" else name


def _view(letter: DeadLetter) -> DeadLetterView:
    notice = letter.kind.startswith("milepost.")
    return DeadLetterView(
        id=letter.id,
        destination="orders" if letter.destination.startswith("orders:") else letter.destination.removeprefix("store:"),
        shipment_id=None if notice else letter.shipment,
        revision=letter.revision,
        type=letter.kind if notice else f"shipment.{letter.kind}",
        attempts=letter.attempts,
        died_at=iso(letter.died_at),
        detail=letter.detail,
        body=read_entry(letter.body),
    )
