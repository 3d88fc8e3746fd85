"""What a change body says of an order."""

from __future__ import annotations

import pytest

from tracker.orders import update_from

from .changes import change, scan


def test_a_change_carries_the_parcel_with_its_last_event() -> None:
    update = update_from("acme", change("in_transit", 3, events=[scan("picked_up"), scan("hub_arrived")]))
    assert update is not None
    assert (update.account, update.order_number, update.shipment, update.revision) == ("acme", "A-1", "shp_01", 3)
    assert (update.last_milestone, update.last_location, update.picked_up) == ("hub_arrived", "杭州市", True)


def test_a_shipment_without_an_order_concerns_no_order() -> None:
    assert update_from("acme", change("in_transit", 3, order="", added=[scan("hub_arrived")])) is None
    assert update_from("acme", change("pending", 1, kind="registered", order="")) is None


def test_a_patch_that_takes_the_order_number_away_takes_the_parcel_out() -> None:
    update = update_from("acme", change("in_transit", 4, kind="updated", order=""))
    assert update is not None
    assert update.order_number == ""


def test_a_deleted_shipment_leaves_its_order() -> None:
    update = update_from("acme", change("in_transit", 4, kind="deleted"))
    assert update is not None
    assert update.order_number == ""


@pytest.mark.parametrize("status", ["pending", "info_received"])
def test_a_label_is_not_a_pick_up(status: str) -> None:
    update = update_from("acme", change(status, events=[scan("info_received")]))
    assert update is not None
    assert not update.picked_up


def test_an_exception_before_the_pick_up_is_no_pick_up() -> None:
    events = [scan("info_received"), scan("exception", "pickup_failed")]
    update = update_from("acme", change("exception", events=events))
    assert update is not None
    assert not update.picked_up
    assert not update.lost


def test_a_loss_is_told_by_the_reason_of_the_last_exception() -> None:
    events = [scan("picked_up"), scan("exception", "damaged"), scan("exception", "lost")]
    update = update_from("acme", change("exception", events=events))
    assert update is not None
    assert update.picked_up
    assert update.lost


def test_a_stray_or_retracted_scan_proves_nothing() -> None:
    events = [scan("picked_up", stray=True), scan("exception", "lost", retracted=True)]
    update = update_from("acme", change("expired", events=events))
    assert update is not None
    assert not update.picked_up
    assert not update.lost


def test_trouble_on_the_way_leaves_the_parcel_picked_up() -> None:
    update = update_from("acme", change("exception", events=[scan("exception", "damaged")]))
    assert update is not None
    assert update.picked_up


def test_a_lost_parcel_that_fell_silent_is_still_lost() -> None:
    update = update_from("acme", change("expired", events=[scan("picked_up"), scan("exception", "lost")]))
    assert update is not None
    assert update.lost


@pytest.mark.parametrize("told", [True, False])
def test_a_view_that_says_whether_it_was_picked_up_is_believed(told: bool) -> None:
    update = update_from("acme", change("exception", picked_up=told))
    assert update is not None
    assert update.picked_up is told


@pytest.mark.parametrize("body", [{}, [], "x", {"type": "shipment.updated", "data": {}}, {"type": 1, "data": 2}])
def test_anything_else_is_refused(body: object) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        update_from("acme", body)  # type: ignore[arg-type]
