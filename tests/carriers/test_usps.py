"""USPS: the conformance kit, and what only USPS does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from carriers import conformance, quality, usps
from carriers.sdk import Ask, Certainty, M, ParseError, ProblemKind, Push, R
from tests.carriers.adapter import meaning, reader, recorded
from tests.carriers.loopback_http import loopback
from tracker.normalise import classify

FOLDER = Path(usps.__file__).parent
FIXTURES = FOLDER / "fixtures"
SAMPLES, with_samples = recorded(usps.carrier)
CREDENTIALS = {"client_id": "me", "client_secret": "hush", "webhook_secret": "s" * 32, "admin_email": "ops@example.com"}
TOKEN = {"/oauth2/v3/token": b'{"access_token": "bearer-1", "expires_in": 28799}'}
SUBSCRIPTIONS = "/subscriptions-tracking/v3/subscriptions"
read, means = reader(usps.carrier), meaning(usps.carrier)


def test_the_usps_adapter_conforms() -> None:
    conformance.check(usps.carrier, FIXTURES)


def test_its_quality_file_tells_the_truth() -> None:
    quality.check(usps.carrier, FOLDER)


def test_a_journey_goes_from_the_label_to_the_door() -> None:
    assert [means(scan)[0] for scan in read("query-delivered.json")[0].scans] == [
        M.INFO_RECEIVED,
        M.PICKED_UP,
        M.HUB_DEPARTED,
        M.HUB_ARRIVED,
        M.IN_TRANSIT,
        M.HUB_ARRIVED,
        M.HUB_DEPARTED,
        M.AT_DELIVERY_DEPOT,
        M.AT_DELIVERY_DEPOT,
        M.OUT_FOR_DELIVERY,
        M.DELIVERED,
    ]


def test_a_delivery_to_the_sender_is_a_return_whatever_its_code() -> None:
    told = [means(scan) for scan in read("query-returned.json")[0].scans]
    assert told[1:] == [
        (M.EXCEPTION, R.ADDRESS_PROBLEM),
        (M.EXCEPTION, R.RECIPIENT_REFUSED),
        (M.RETURNING, None),
        (M.RETURNED, None),
    ]


def test_a_notice_left_and_a_parcel_at_the_counter_are_no_deliveries() -> None:
    told = [means(scan) for scan in read("query-pickup.json")[0].scans]
    assert told[2:] == [(M.DELIVERY_FAILED, R.RECIPIENT_ABSENT), (M.AVAILABLE_FOR_PICKUP, None)]


@pytest.mark.parametrize("where", ["Parcel Locker", "Neighbor as Requested", "PO Box", "In/At Mailbox"])
def test_a_delivery_is_one_wherever_to(where: str) -> None:
    assert classify(usps.carrier.milestones, "01", f"Delivered, {where}").milestone is M.DELIVERED


def test_the_local_reading_is_told_with_its_offset_and_never_as_utc() -> None:
    acceptance, departed, processed = (scan.time for scan in read("query-several.json")[0].scans)
    assert acceptance and departed and processed
    assert (acceptance.iso(), acceptance.certainty) == ("2026-03-04T10:00:00-06:00", Certainty.GIVEN)
    assert (departed.iso(), departed.certainty) == ("2026-03-07T18:20:00", Certainty.ASSUMED)
    assert processed.iso() == "2026-03-08T07:00:00+01:00"


def test_the_expected_day_is_read_from_both_forms_of_answer() -> None:
    [transit] = read("query-transit.json")
    assert transit.summary and transit.summary.expected_from and transit.summary.expected_to
    assert transit.summary.expected_from.iso() == "2026-03-06T13:30:00"
    assert transit.summary.expected_to.iso() == "2026-03-06T17:30:00"
    abroad, fresh, _ = read("query-several.json")
    assert abroad.summary and fresh.summary and fresh.summary.expected_to
    assert abroad.summary.expected_to is None
    assert fresh.summary.expected_to.iso() == "2026-03-06T21:00:00"


def test_the_mail_class_is_told_without_its_markup() -> None:
    [report] = read("query-delivered.json")
    assert report.summary
    assert report.summary.service == "USPS Ground Advantage™"


def test_a_name_is_nowhere_but_in_signed_by() -> None:
    [report] = read("query-delivered.json")
    assert report.summary
    assert report.summary.signed_by == "J D***"
    assert not any("***" in scan.text + scan.location for scan in report.scans)


def test_a_push_is_no_whole_history() -> None:
    [report] = read("push-attempt.json")
    assert (len(report.scans), report.full) == (9, False)


def test_the_signature_covers_the_two_texts_and_not_how_the_envelope_is_written() -> None:
    body = (FIXTURES / "push-delivered.json").read_bytes()
    lines = (FIXTURES / "push-delivered.headers").read_text().splitlines()
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    secret = json.loads((FIXTURES / "credentials.json").read_bytes())
    spaced = json.dumps(json.loads(body), indent=2).encode()
    assert usps.verify(Push(headers=headers, query={}, body=spaced), secret)
    later = json.dumps(json.loads(body) | {"timestamp": "2027-01-01T00:00:00Z"}).encode()
    assert not usps.verify(Push(headers=headers, query={}, body=later), secret)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("error-not-yet", ProblemKind.NOT_FOUND),
        ("error-not-found", ProblemKind.NOT_FOUND),
        ("error-invalid", ProblemKind.INVALID),
        ("error-refused", ProblemKind.REFUSED),
        ("error-limited", ProblemKind.LIMITED),
        ("error-unavailable", ProblemKind.UNAVAILABLE),
    ],
)
def test_an_error_says_what_kind_of_problem(name: str, kind: ProblemKind) -> None:
    [report] = read(f"{name}.json")
    assert report.problem
    assert report.problem.kind is kind


def test_an_item_without_a_number_is_an_error_with_its_path() -> None:
    with pytest.raises(ParseError) as caught:
        usps.parse(b'[{"trackingEvents": []}]', "application/json")
    assert caught.value.path == "$[0].trackingNumber"


async def test_each_number_is_asked_for_alone_with_one_token() -> None:
    numbers = ("9200000000000000000011", "9200000000000000000022")
    body = (FIXTURES / "query-delivered.json").read_bytes()
    answers = TOKEN | {f"/tracking/v3/tracking/{number}": body for number in numbers}
    async with loopback(answers, CREDENTIALS) as (http, asked):
        asks = [Ask(number=numbers[0]), Ask(number=numbers[1], ship_date="2026-03-02")]
        replies = await usps.fetch(http, asks)
    token, first, second = asked
    assert json.loads(token.body) == {
        "grant_type": "client_credentials",
        "client_id": "me",
        "client_secret": "hush",
    }
    assert first.query == {"expand": "DETAIL"}
    assert second.query == {"expand": "DETAIL", "mailingDate": "2026-03-02"}
    assert {one.headers["authorization"] for one in (first, second)} == {"Bearer bearer-1"}
    assert len(replies) == 2


async def test_a_subscription_names_the_number_the_listener_and_the_secret() -> None:
    answers = TOKEN | {SUBSCRIPTIONS: b'{"subscriptionId": "1"}'}
    async with loopback(answers, CREDENTIALS) as (http, asked):
        refused = await usps.subscribe(http, [Ask(number="9200000000000000000011")], "https://example.com/in/x")
    assert refused == {}
    assert json.loads(asked[1].body) == {
        "listenerURL": "https://example.com/in/x",
        "secret": "s" * 32,
        "adminNotification": [{"email": "ops@example.com"}],
        "filterProperties": {"trackingNumber": "9200000000000000000011", "trackingEventTypes": ["ALL_UPDATES"]},
    }


async def test_a_refused_subscription_says_why() -> None:
    answers = TOKEN | {SUBSCRIPTIONS: b'{"error": {"code": "400", "message": "secret: 32 characters"}}'}
    async with loopback(answers, CREDENTIALS) as (http, _):
        refused = await usps.subscribe(http, [Ask(number="9200000000000000000011")], "https://example.com/in/x")
    assert refused == {"9200000000000000000011": "400: secret: 32 characters"}


async def test_a_connection_that_could_not_tell_a_genuine_push_subscribes_to_none() -> None:
    async with loopback(TOKEN, {"client_id": "me", "client_secret": "hush"}) as (http, asked):
        refused = await usps.subscribe(http, [Ask(number="9200000000000000000011")], "https://example.com/in/x")
    assert "webhook_secret" in refused["9200000000000000000011"]
    assert not asked


async def test_a_refused_token_is_an_error_that_says_so() -> None:
    async with loopback({"/oauth2/v3/token": b'{"error": "invalid_client"}'}, CREDENTIALS) as (http, _):
        with pytest.raises(ParseError, match="gave no token"):
            await usps.fetch(http, [Ask(number="9200000000000000000011")])


@with_samples
def test_the_recorded_bodies_are_read_whole_and_every_scan_gets_a_milestone() -> None:
    for path in sorted(SAMPLES.glob("*.json")):
        [report] = usps.parse(path.read_bytes(), "application/json")
        told = len(json.loads(path.read_bytes()).get("trackingEvents", []))
        assert len(report.scans) == told
        assert bool(report.problem) is not bool(told)
        assert all(means(scan)[0] is not M.UNKNOWN for scan in report.scans)
        assert {scan.time.certainty for scan in report.scans if scan.time} <= {Certainty.GIVEN}
