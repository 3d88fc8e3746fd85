"""When a parcel is stalled, when its silence is final, and when it is asked for next."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.errors import ConfigError
from tracker.model import Certainty, Details, Document, Milestone, Moment, Report, Scan, Shipment, Stall
from tracker.stall import (
    DAY,
    DEFAULT,
    HOUR,
    Stage,
    StallPolicy,
    deadline,
    expires,
    feed_silent,
    interval,
    next_poll,
    policy_of,
    stage_of,
    stalled,
)
from tracker.timeline.derived import derive
from tracker.timeline.receipts import Receipt, merge

M = Milestone
T0 = 1_780_000_000  # s
POLICY = StallPolicy()


def parcel(
    *scans: tuple[M, int],
    id: str = "shp_1",
    carrier: str = "acme",
    account: str = "shop",
    offset: int | None = 480,
    heard_after: int = 60,
    **details: Any,
) -> Shipment:
    """A shipment registered at T0 whose scans happened so many seconds after, each heard a minute later."""
    document = Document(
        id=id,
        account=account,
        waybill="AC000001",
        carrier=carrier,
        registered_at=T0 * 1000,
        updated_at=T0 * 1000,
        details=Details(**details),
    )
    for milestone, after in scans:
        wall = T0 + after + (offset or 0) * 60
        sureness = Certainty.ASSUMED if offset is None else Certainty.GIVEN
        report = Report(waybill="AC000001", scans=(Scan(time=Moment(wall, offset, sureness), code=milestone.value),))
        receipt = Receipt(source="con_1/push", heard_at=(T0 + after + heard_after) * 1000, report=report)
        document = merge(document, receipt, lambda code, text: (M(code), None))
    return derive(document)


# ---------------------------------------------------------------- stalled


@pytest.mark.parametrize(
    ("scans", "stage"),
    [
        ((), Stage.REGISTERED),
        (((M.INFO_RECEIVED, 0),), Stage.INFO_RECEIVED),
        (((M.PICKED_UP, 0),), Stage.PICKED_UP),
        (((M.HUB_DEPARTED, 0),), Stage.HUB_DEPARTED),
        (((M.HUB_ARRIVED, 0),), Stage.HUB_ARRIVED),
        (((M.IN_TRANSIT, 0),), Stage.IN_TRANSIT),
        (((M.CUSTOMS_ENTERED, 0),), Stage.AT_CUSTOMS),
        (((M.CUSTOMS_CLEARED, 0),), Stage.IN_TRANSIT),
        (((M.HANDED_OVER, 0),), Stage.HANDED_OVER),
        (((M.AT_DELIVERY_DEPOT, 0),), Stage.AT_DELIVERY_DEPOT),
        (((M.OUT_FOR_DELIVERY, 0),), Stage.OUT_FOR_DELIVERY),
        (((M.DELIVERY_FAILED, 0),), Stage.DELIVERY_FAILED),
        (((M.AVAILABLE_FOR_PICKUP, 0),), Stage.AVAILABLE_FOR_PICKUP),
        (((M.EXCEPTION, 0),), Stage.EXCEPTION),
        (((M.RETURNING, 0), (M.HUB_ARRIVED, 60)), Stage.RETURNING),
    ],
)
def test_each_stage_has_a_deadline_of_its_own(scans: tuple[tuple[M, int], ...], stage: Stage) -> None:
    shipment = parcel(*scans)
    assert stage_of(shipment) is stage
    last = scans[-1][1] if scans else 0
    assert deadline(shipment, POLICY) == T0 + last + DEFAULT[stage]


@pytest.mark.parametrize("end", [M.DELIVERED, M.RETURNED, M.CANCELLED])
def test_a_closed_parcel_has_no_deadline_no_expiry_and_no_poll(end: M) -> None:
    shipment = parcel((M.PICKED_UP, 0), (end, 60))
    assert deadline(shipment, POLICY) is None
    assert expires(shipment, POLICY) is None
    assert next_poll(shipment, now=T0 * 1000) is None


def test_a_paused_parcel_has_no_deadline_no_expiry_and_no_poll() -> None:
    shipment = parcel((M.PICKED_UP, 0), paused=True)
    assert deadline(shipment, POLICY) is None
    assert expires(shipment, POLICY) is None
    assert next_poll(shipment, now=T0 * 1000) is None


def test_words_that_move_nothing_do_not_move_the_deadline() -> None:
    shipment = parcel((M.PICKED_UP, 0), (M.DELAYED, HOUR), (M.NOTE, 2 * HOUR), (M.UNKNOWN, 3 * HOUR))
    assert deadline(shipment, POLICY) == T0 + DEFAULT[Stage.PICKED_UP]


def test_a_scan_timed_in_the_future_counts_from_when_it_was_heard() -> None:
    shipment = parcel((M.PICKED_UP, 10 * DAY), heard_after=-9 * DAY)
    assert deadline(shipment, POLICY) == T0 + DAY + DEFAULT[Stage.PICKED_UP]


def test_a_time_without_a_zone_is_read_as_late_as_it_can_be() -> None:
    shipment = parcel((M.PICKED_UP, 0), offset=None, heard_after=2 * DAY)
    assert deadline(shipment, POLICY) == T0 + 12 * HOUR + DEFAULT[Stage.PICKED_UP]


def test_a_stall_says_since_when_and_what_was_allowed() -> None:
    shipment = parcel((M.PICKED_UP, 0))
    end = (T0 + DEFAULT[Stage.PICKED_UP]) * 1000
    assert stalled(shipment, POLICY, now=end - 1) is None
    assert stalled(shipment, POLICY, now=end) == Stall(end, T0, M.PICKED_UP, DEFAULT[Stage.PICKED_UP])


def test_a_parcel_of_a_silent_carrier_is_unseen_and_not_stalled() -> None:
    shipment = parcel((M.PICKED_UP, 0))
    end = T0 + DEFAULT[Stage.PICKED_UP]
    assert feed_silent(shipment, POLICY, source_heard_at=end * 1000 - 1)
    assert not feed_silent(shipment, POLICY, source_heard_at=end * 1000)
    assert not feed_silent(shipment, POLICY, source_heard_at=None)


def test_silence_is_final_thirty_days_after_the_last_word() -> None:
    assert expires(parcel(), POLICY) == T0 + 30 * DAY
    assert expires(parcel((M.PICKED_UP, HOUR)), POLICY) == T0 + HOUR + 60 + 30 * DAY


# ---------------------------------------------------------------- policy


def test_the_most_particular_setting_wins() -> None:
    policy = policy_of(
        hours={"picked_up": 10, "in_transit": 10},
        carriers={"acme": {"picked_up": 20, "hub_arrived": 20}},
        accounts={"shop": {"picked_up": 30}, "shop/acme": {"picked_up": 40}},
    )

    def hours(stage: Stage, carrier: str, account: str) -> float:
        return policy.limit(stage, carrier=carrier, account=account) / HOUR

    assert hours(Stage.PICKED_UP, "bolt", "other") == 10
    assert hours(Stage.PICKED_UP, "acme", "other") == 20
    assert hours(Stage.PICKED_UP, "bolt", "shop") == 30
    assert hours(Stage.PICKED_UP, "acme", "shop") == 40
    assert hours(Stage.HUB_ARRIVED, "acme", "shop") == 20
    assert hours(Stage.IN_TRANSIT, "acme", "shop") == 10
    assert hours(Stage.RETURNING, "acme", "shop") == DEFAULT[Stage.RETURNING] / HOUR


def test_a_factor_shortens_every_limit() -> None:
    policy = policy_of(hours={"picked_up": 10}, factor=0.001)
    assert policy.limit(Stage.PICKED_UP) == 36
    assert policy.limit(Stage.IN_TRANSIT) == round(DEFAULT[Stage.IN_TRANSIT] / 1000)
    assert policy.expire_s == 30 * DAY


@pytest.mark.parametrize(
    ("hours", "words"),
    [({"picked": 3}, "stall.hours: 'picked' is no stage"), ({"picked_up": 0}, "stall.hours.picked_up: 0 hours")],
)
def test_a_wrong_setting_is_named(hours: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        policy_of(hours=hours)


# ---------------------------------------------------------------- cadence


def test_a_new_shipment_is_asked_for_at_once() -> None:
    assert next_poll(parcel(), now=T0 * 1000) == T0 * 1000


def test_a_parcel_out_for_delivery_is_asked_for_more_often() -> None:
    now = (T0 + 120) * 1000
    moving, arriving = parcel((M.IN_TRANSIT, 0)), parcel((M.OUT_FOR_DELIVERY, 0))
    assert (interval(arriving, now=now) or 0) < (interval(moving, now=now) or 0)


def test_a_parcel_that_is_long_silent_is_asked_for_less_often() -> None:
    shipment = parcel((M.IN_TRANSIT, 0))
    days = [interval(shipment, now=(T0 + days * DAY) * 1000) or 0 for days in (1, 4, 11)]
    assert days == [days[0], 2 * days[0], 4 * days[0]]


ids = st.text("0123456789abcdef", min_size=4, max_size=20).map("shp_{}".format)


@given(id=ids, after=st.integers(1, 2 * DAY * 1000), least=st.floats(0, 2 * DAY), factor=st.floats(0.0001, 4))
def test_the_next_poll_keeps_its_distance_and_its_beat(id: str, after: int, least: float, factor: float) -> None:
    shipment, now = parcel((M.IN_TRANSIT, 0), id=id), T0 * 1000 + after
    beat = {"factor": factor, "min_interval": least}
    every, at = interval(shipment, now=now, **beat), next_poll(shipment, now=now, **beat)
    assert every is not None and at is not None
    assert now + round(least * 1000) <= at <= now + round(least * 1000) + 2 * every
    if interval(shipment, now=at, **beat) == every:  # it has not become silent enough for another beat meanwhile
        assert next_poll(shipment, now=at, **beat) in (at + every, at + 2 * every) or every < 3


@given(id=ids, first=st.integers(1, DAY * 1000), later=st.integers(0, HOUR * 1000))
def test_asking_earlier_or_later_does_not_shift_the_beat(id: str, first: int, later: int) -> None:
    shipment = parcel((M.IN_TRANSIT, 0), id=id)
    every = interval(shipment, now=T0 * 1000) or 0
    a = next_poll(shipment, now=T0 * 1000 + first) or 0
    b = next_poll(shipment, now=T0 * 1000 + first + later) or 0
    assert (b - a) % every == 0


def test_shipments_registered_together_are_not_asked_for_together() -> None:
    now = (T0 + HOUR) * 1000
    times = {next_poll(parcel(id=f"shp_{n}"), now=now) for n in range(200)}
    assert len(times) == 200
