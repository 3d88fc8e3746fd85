"""What Magento is told."""

from __future__ import annotations

import pytest

from tracker.order_stores.conformance import OTHER, WAYBILL, Trouble, desk
from tracker.store.types import Outcome

from .peers.magento import MagentoPeer


async def test_the_waybill_becomes_a_track_once(magento: MagentoPeer) -> None:
    magento.sell("1001", [WAYBILL])
    async with desk(magento) as fed:
        for revision, status in enumerate(("info_received", "picked_up", "delivered"), 1):
            await fed.deliver(status, revision)
    [track] = magento.shipments[0]["tracks"]
    assert (track["track_number"], track["title"], track["carrier_code"]) == (WAYBILL, "SF Express", "custom")


async def test_a_shipment_that_has_the_track_gets_the_comment(magento: MagentoPeer) -> None:
    magento.sell("1001", [WAYBILL])
    magento.shipments += [{"entity_id": 71, "order_id": 40, "tracks": [{"track_number": f" {OTHER.lower()}"}]}]
    async with desk(magento) as fed:
        await fed.deliver("picked_up", 1, waybill=OTHER)
    assert [(one["parent_id"], one["comment"]) for one in magento.comments] == [
        (71, "SF Express SF1000000000002: Picked up")
    ]
    assert magento.shipments[0]["tracks"] == []


@pytest.mark.parametrize(
    ("options", "comment"),
    [
        ({}, ("SF Express SF1000000000001: Picked up", 0)),
        ({"comments": "customer", "language": "zh"}, ("顺丰速运 SF1000000000001：已揽收", 1)),
    ],
)
async def test_a_comment_is_for_whom_and_in_which_language_one_likes(
    magento: MagentoPeer, options: dict[str, str], comment: tuple[str, int]
) -> None:
    magento.sell("1001", [WAYBILL])
    async with desk(magento, options=options) as fed:
        await fed.deliver("picked_up", 1)
    assert [(one["comment"], one["is_visible_on_front"]) for one in magento.comments] == [comment]


async def test_a_status_is_set_only_where_one_is_mapped(magento: MagentoPeer) -> None:
    magento.sell("1001", [WAYBILL])
    async with desk(magento) as fed:
        await fed.deliver("delivered", 1)
    assert magento.orders[0]["status"] == "processing"
    async with desk(magento, statuses={"completed": "arrived"}) as fed:
        await fed.deliver("delivered", 1)
        await fed.deliver("delivered", 1)
    assert (magento.orders[0]["status"], len(magento.history)) == ("arrived", 1)


async def test_an_order_that_the_shop_closed_stays_so(magento: MagentoPeer) -> None:
    magento.sell("1001", [WAYBILL])
    magento.orders[0]["status"] = "canceled"
    async with desk(magento, statuses={"completed": "arrived"}) as fed:
        await fed.deliver("delivered", 1)
    assert magento.history == []


async def test_the_reason_of_a_refusal_has_its_words_in_their_places(magento: MagentoPeer) -> None:
    magento.trouble(Trouble.REFUSES)
    async with desk(magento) as fed:
        answer = await fed.deliver("picked_up", 1)
    assert answer.detail == "refused: answered 400: The request is refused.; track_number may not be empty."


async def test_an_order_without_a_shipment_is_waited_for_and_one_that_is_not_there_is_dead(
    magento: MagentoPeer,
) -> None:
    magento.sell("1001", [WAYBILL])
    magento.shipments.clear()
    async with desk(magento) as fed:
        waiting = await fed.deliver("picked_up", 1)
        dead = await fed.deliver("picked_up", 1, order="1002", waybill=OTHER)
    assert (waiting.outcome, waiting.detail) == (Outcome.RETRY, "order 1001 has no shipment yet")
    assert (dead.outcome, dead.detail) == (Outcome.DEAD, "refused: there is no order 1002")
