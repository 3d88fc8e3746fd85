"""SF Express: the conformance kit, and what only SF does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from carriers import conformance, sf
from carriers.sdk import Ask, ParseError, ProblemKind
from tests.carriers.carrier_wire import Peer, connected

FIXTURES = Path(sf.__file__).parent / "fixtures"
CREDENTIALS = {"partner_id": "FIXTURE", "checkword": "a-checkword-for-the-tests"}
ANSWER = (FIXTURES / "query-delivered.json").read_bytes()


def test_the_sf_adapter_conforms() -> None:
    conformance.check(sf.carrier, FIXTURES)


def test_the_digest_is_that_of_the_published_vector() -> None:
    data = '{"language":"zh-CN","orderId":"QIAO-20200618-004"}'
    assert sf.digest(data, "12312334453453", "fjcg5PGKaNpPSHFAZ4QsCOkV71R3zVci") == "IIKJtuLVzoFTu4kHI8M8vA=="


async def test_a_query_is_signed_and_asks_for_ten_waybills_at_most() -> None:
    peer = Peer({"/std/service": lambda _: ANSWER})
    asks = [Ask(number=f"SF13900000{n:05d}", phone_tail="0000") for n in range(11)]
    async with connected(peer, CREDENTIALS) as http:
        replies = await sf.fetch(http, asks)
    assert [reply.body for reply in replies] == [ANSWER, ANSWER]
    _, fields = peer.asked[0]
    assert fields["serviceCode"] == "EXP_RECE_SEARCH_ROUTES"
    assert fields["msgDigest"] == sf.digest(fields["msgData"], fields["timestamp"], CREDENTIALS["checkword"])
    assert [len(json.loads(asked["msgData"])["trackingNumber"]) for _, asked in peer.asked] == [10, 1]


async def test_phone_tails_stand_in_the_order_of_the_numbers_and_apart_from_those_without() -> None:
    peer = Peer({"/std/service": lambda _: ANSWER})
    asks = [
        Ask(number="SF1390000000017", phone_tail="1111"),
        Ask(number="SF1390000000026"),
        Ask(number="SF1390000000035", phone_tail="3333"),
    ]
    async with connected(peer, CREDENTIALS) as http:
        await sf.fetch(http, asks)
    known, unknown = (json.loads(fields["msgData"]) for _, fields in peer.asked)
    assert (known["trackingNumber"], known["checkPhoneNo"]) == (["SF1390000000017", "SF1390000000035"], "1111,3333")
    assert unknown["trackingNumber"] == ["SF1390000000026"]
    assert "checkPhoneNo" not in unknown


async def test_a_connection_may_ask_with_a_token_which_is_fetched_once() -> None:
    peer = Peer({"/std/service": lambda _: ANSWER, "/oauth2/accessToken": lambda _: b'{"accessToken":"t0"}'})
    async with connected(peer, CREDENTIALS | {"auth": "oauth2"}) as http:
        await sf.fetch(http, [Ask(number="SF1390000000017")])
        await sf.fetch(http, [Ask(number="SF1390000000017")])
    assert [path for path, _ in peer.asked] == ["/oauth2/accessToken", "/std/service", "/std/service"]
    assert peer.asked[0][1] == {"partnerID": "FIXTURE", "secret": CREDENTIALS["checkword"], "grantType": "password"}
    assert all(fields["accessToken"] == "t0" and "msgDigest" not in fields for _, fields in peer.asked[1:])


@pytest.mark.parametrize("code", ["A1002", "A1011"])
async def test_a_token_that_was_revoked_early_is_renewed(code: str) -> None:
    given = iter([b'{"accessToken":"old"}', b'{"accessToken":"new"}'])

    def service(fields: Mapping[str, str]) -> bytes:
        return ANSWER if fields["accessToken"] == "new" else json.dumps({"apiResultCode": code}).encode()

    peer = Peer({"/std/service": service, "/oauth2/accessToken": lambda _: next(given)})
    async with connected(peer, CREDENTIALS | {"auth": "oauth2"}) as http:
        [reply] = await sf.fetch(http, [Ask(number="SF1390000000017")])
    assert reply.body == ANSWER


async def test_a_refused_token_names_the_reason() -> None:
    peer = Peer({"/oauth2/accessToken": lambda _: b'{"apiResultCode":"A1011","apiErrorMsg":"refused"}'})
    async with connected(peer, CREDENTIALS | {"auth": "oauth2"}) as http:
        with pytest.raises(ParseError, match="A1011 refused"):
            await sf.fetch(http, [Ask(number="SF1390000000017")])


def test_one_push_tells_of_several_waybills_and_keeps_their_order_within_a_second() -> None:
    reports = sf.parse((FIXTURES / "push-mixed.json").read_bytes(), "application/json")
    assert {report.waybill: [scan.code for scan in report.scans] for report in reports} == {
        "SF1390000000117": ["50", "30"],
        "SF1390000000126": ["36", "30"],
        "SF1390000000135": ["33/2"],
    }
    assert not any(report.full for report in reports)


def test_a_waybill_without_routes_is_a_problem_beside_those_that_have_some() -> None:
    reports = sf.parse(ANSWER, "application/json")
    assert [report.problem and report.problem.kind for report in reports] == [None, None, ProblemKind.NOT_FOUND]


def test_the_acknowledgement_is_what_sf_waits_for() -> None:
    status, _, body = sf.acknowledge(True)
    assert (status, json.loads(body)) == (200, {"return_code": "0000", "return_msg": "成功"})
    assert json.loads(sf.acknowledge(False)[2])["return_code"] == "1000"


def test_a_registration_needs_the_tail_of_a_phone_number() -> None:
    assert sf.needs(Ask(number="SF1390000000017")) == "phone_tail"
    assert sf.needs(Ask(number="SF1390000000017", phone_tail="0000")) == ""
