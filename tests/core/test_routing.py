"""Which route is asked: the first as long as it speaks, the next where it does not, the first again when it does."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from carriers.sdk import M, Problem, ProblemKind, Report, Scan
from tracker.model import Certainty, Document, Milestone, Moment, Reason, Shipment
from tracker.routing import choose, falls_short
from tracker.stall import StallPolicy
from tracker.timeline.derived import derive
from tracker.timeline.receipts import Receipt, merge

HOUR = 3_600_000
START = 1_750_000_000_000
POLICY = StallPolicy()
ROUTES = ("con_own", "con_agg")


def read(code: str, text: str) -> tuple[Milestone, Reason | None]:
    return M(code), None


def parcel(*told: tuple[str, int, Report]) -> Shipment:
    """A parcel registered at START of which each source told at its hour."""
    document = Document(id="shp_1", account="acme", waybill="W1", carrier="acme", registered_at=START, updated_at=START)
    for source, hour, report in told:
        receipt = Receipt(source=source, heard_at=START + hour * HOUR, report=report, asked=True)
        document = merge(document, receipt, read)
    return derive(document)


def scanned(hour: int) -> Report:
    time = Moment(START // 1000 + hour * 3600, 0, Certainty.GIVEN)
    return Report(waybill="W1", scans=(Scan(time=time, code="hub_departed"),))


UNKNOWN = Report(waybill="W1", problem=Problem(ProblemKind.NOT_FOUND, "no such number"))


def asked(shipment: Shipment, hour: int) -> Counter[str]:
    """What is asked at so many looks around that hour."""
    looks = range(START + hour * HOUR, START + hour * HOUR + 400_000, 1_000)
    return Counter(ROUTES[choose(shipment, ROUTES, POLICY, now=now)] for now in looks)


def test_the_first_route_is_asked_as_long_as_it_speaks() -> None:
    assert asked(parcel(), 1).keys() == {"con_own"}
    assert asked(parcel(("con_own/poll", 2, scanned(2))), 20).keys() == {"con_own"}


def test_a_fresh_number_that_the_carrier_does_not_know_yet_is_asked_for_nowhere_else() -> None:
    shipment = parcel(("con_own/poll", 1, UNKNOWN))
    assert asked(shipment, 3).keys() == {"con_own"}


def test_a_number_that_the_first_route_does_not_know_is_asked_for_over_the_next() -> None:
    shipment = parcel(("con_own/poll", 1, UNKNOWN))
    assert falls_short(shipment, "con_own", POLICY, now=START + 5 * HOUR)
    assert asked(shipment, 5).keys() == {"con_agg"} | {"con_own"}
    assert asked(shipment, 5)["con_agg"] > asked(shipment, 5)["con_own"] > 0


def test_a_route_that_fell_silent_is_asked_now_and_then_and_takes_over_when_it_speaks() -> None:
    silent = parcel(("con_own/poll", 2, scanned(2)), ("con_agg/poll", 60, scanned(55)))
    found = asked(silent, 62)
    assert found["con_agg"] > 2 * found["con_own"] > 0
    back = parcel(("con_own/poll", 2, scanned(2)), ("con_agg/poll", 60, scanned(55)), ("con_own/push", 63, scanned(62)))
    assert asked(back, 64).keys() == {"con_own"}


def test_routes_that_all_fell_short_take_turns() -> None:
    found = asked(parcel(("con_own/poll", 1, UNKNOWN), ("con_agg/poll", 4, UNKNOWN)), 40)
    assert min(found["con_own"], found["con_agg"]) > 100


@given(st.integers(0, 1_000), st.integers(1, 5))
def test_the_choice_is_a_route_and_the_same_for_whoever_asks(hour: int, count: int) -> None:
    ids = [f"con_{place}" for place in range(count)]
    shipment = parcel(("con_0/poll", 1, UNKNOWN))
    now = START + hour * HOUR
    assert choose(shipment, ids, POLICY, now=now) == choose(shipment, ids, POLICY, now=now) in range(count)
