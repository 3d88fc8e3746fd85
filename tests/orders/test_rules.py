"""An order's status follows from its parcels."""

from __future__ import annotations

from typing import Any

from tracker.orders import Attention, OrderStatus, OrderUpdate, update_from
from tracker.orders.rules import attention_of, status_of

from .changes import change, scan


def parcel(status: str, **more: Any) -> OrderUpdate:
    update = update_from("acme", change(status, **more))
    assert update is not None
    return update


def test_an_unpaid_order_awaits_payment_until_a_parcel_moves() -> None:
    assert status_of([], unpaid=True, cancelled=False) is OrderStatus.AWAITING_PAYMENT
    assert status_of([parcel("picked_up")], unpaid=True, cancelled=False) is OrderStatus.SHIPPED


def test_a_paid_order_awaits_shipment_until_the_first_parcel_is_picked_up() -> None:
    waiting = [parcel("info_received"), parcel("pending")]
    assert status_of(waiting, unpaid=False, cancelled=False) is OrderStatus.AWAITING_SHIPMENT
    assert status_of([*waiting, parcel("picked_up")], unpaid=False, cancelled=False) is OrderStatus.SHIPPED


def test_an_order_is_completed_only_when_every_parcel_is_delivered() -> None:
    assert status_of([parcel("delivered"), parcel("in_transit")], unpaid=False, cancelled=False) is OrderStatus.SHIPPED
    assert status_of([parcel("delivered")] * 2, unpaid=False, cancelled=False) is OrderStatus.COMPLETED


def test_a_voided_label_is_no_parcel() -> None:
    assert status_of([parcel("cancelled")], unpaid=False, cancelled=False) is OrderStatus.AWAITING_SHIPMENT
    both = [parcel("cancelled"), parcel("delivered")]
    assert status_of(both, unpaid=False, cancelled=False) is OrderStatus.COMPLETED


def test_a_lost_or_returned_parcel_leaves_the_order_shipped_and_asks_for_attention() -> None:
    lost = parcel("exception", events=[scan("picked_up"), scan("exception", "lost")])
    for bad, why in ((lost, Attention.LOST), (parcel("returned"), Attention.RETURNED)):
        held = [parcel("delivered"), bad]
        assert status_of(held, unpaid=False, cancelled=False) is OrderStatus.SHIPPED
        assert attention_of(held) is why


def test_a_cancelled_order_stays_cancelled() -> None:
    assert status_of([parcel("delivered")], unpaid=False, cancelled=True) is OrderStatus.CANCELLED
