"""The rehearsal of a `fetch` finds what would break before a live carrier, and names the fix."""

from __future__ import annotations

import json
import shutil
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from carriers.conformance import NotConforming
from carriers.sdk import Ask, Http, ParseError, Reply
from tracker.authoring import rehearsal
from tracker.authoring.template import acme
from tracker.carrier_http.errors import CarrierError

Fetch = Callable[[Http, Sequence[Ask]], Awaitable[list[Reply]]]
FIXTURES = Path(acme.__file__).parent / "fixtures"


@pytest.fixture
def fixtures(tmp_path: Path) -> Path:
    """The template's fixtures, to be spoilt."""
    return Path(shutil.copytree(FIXTURES, tmp_path / "fixtures"))


def faults(fetch: Fetch, fixtures: Path = FIXTURES) -> list[str]:
    with pytest.raises(NotConforming) as caught:
        rehearsal.check(replace(acme.carrier, fetch=fetch), fixtures)
    return [line.removeprefix("  - exchange-delivered.json: ") for line in str(caught.value).splitlines()[1:]]


def test_a_good_fetch_bears_every_mood() -> None:
    rehearsal.check(acme.carrier, FIXTURES)


def test_a_carrier_that_is_not_asked_has_nothing_to_rehearse(tmp_path: Path) -> None:
    rehearsal.check(replace(acme.carrier, fetch=None), tmp_path)


async def swallowing(http: Http, asks: Sequence[Ask]) -> list[Reply]:
    try:
        return await acme.fetch(http, asks)
    except (CarrierError, ParseError):
        return []


def test_an_error_that_is_swallowed_is_told_for_each_mood() -> None:
    assert faults(swallowing) == [
        "a 500 always: reports instead of CarrierUnavailable: let pass what `http` raises",
        "a 429 with Retry-After: 7: reports instead of CarrierLimited: let pass what `http` raises",
    ]


def stale() -> Fetch:
    """Asks for a token once in its life."""
    held: list[str] = []

    async def fetch(http: Http, asks: Sequence[Ask]) -> list[Reply]:
        if not held:
            held.append(await http.token("oauth", acme._obtain_token))
        headers = {"Authorization": f"Bearer {held[0]}"}
        return [await http.request("GET", "/v1/shipments", headers=headers, params=[("numbers", asks[0].number)])]

    return fetch


def test_a_token_that_outlives_a_401_is_found_out() -> None:
    fault = "no fresh token was asked for: take it from http.token for each request"
    assert faults(stale()) == [f"a 401 once: {fault}", f"a 401 always: {fault}"]


async def numberless(http: Http, asks: Sequence[Ask]) -> list[Reply]:
    return [await http.request("GET", "/v1/shipments")]


def test_a_number_that_is_not_sent_is_missed() -> None:
    assert faults(numberless) == ["AC0000000010 stood in no request: send every number that is asked for"]


async def astray(http: Http, asks: Sequence[Ask]) -> list[Reply]:
    return [await http.request("GET", f"https://elsewhere.example/v2/{asks[0].number}?lang=en")]


def test_a_request_that_is_no_step_is_named_and_never_leaves_the_machine() -> None:
    assert faults(astray)[0] == "asked GET /v2/AC0000000010, which is no step of it"


async def refusing(http: Http, asks: Sequence[Ask]) -> list[Reply]:
    raise KeyError("number")


def test_a_fetch_that_breaks_is_named() -> None:
    assert faults(refusing) == ["fetch raised KeyError: 'number'"]


def test_answers_that_tell_of_another_parcel_are_named(fixtures: Path) -> None:
    body = fixtures / "query-delivered.json"
    body.write_text(body.read_text().replace("AC0000000010", "AC0000000099"))
    assert faults(acme.fetch, fixtures) == ["the answers tell nothing of AC0000000010, but of AC0000000099"]


def test_a_missing_exchange_and_a_wrong_one_are_named(fixtures: Path) -> None:
    exchange = fixtures / "exchange-delivered.json"
    steps = json.loads(exchange.read_text())
    exchange.write_text(json.dumps(steps | {"steps": [{"method": "GET", "path": "/", "fixture": "query-x.json"}]}))
    assert faults(acme.fetch, fixtures) == ["no fixture query-x.json"]
    exchange.write_text(json.dumps(steps | {"step": []}))
    assert faults(acme.fetch, fixtures) == ["Object contains unknown field `step`"]
    exchange.unlink()
    assert "add fixtures/exchange-*.json" in faults(acme.fetch, fixtures)[0]
