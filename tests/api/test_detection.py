"""Whose a number is, asked over HTTP, and registrations that leave their carrier to the number."""

from __future__ import annotations

from typing import Any

from .world import Answer, Api

DIGITS = "73100200300400"  # fourteen digits of ZTO's look, which others have too


async def _register(api: Api, account: str, **said: Any) -> Answer:
    return await api.call(account, "POST", "/shipments", json=said)


async def _candidates(api: Api, account: str, number: str) -> dict[str, float]:
    [detection] = (await api.call(account, "GET", "/detect", params={"number": number})).body["detections"]
    return {one["carrier"]: one["confidence"] for one in detection["candidates"]}


async def test_numbers_are_answered_in_their_order_each_with_its_candidates(api: Api, account: str) -> None:
    asked = [("number", number) for number in ("1Z999AA10123456784", "ac000001", "no number")]
    detections = (await api.call(account, "GET", "/detect", params=asked)).body["detections"]
    assert [one["number"] for one in detections] == [number for _, number in asked]
    assert [[one["carrier"] for one in detection["candidates"]] for detection in detections] == [["ups"], ["acme"], []]


async def test_a_question_without_a_number_or_with_too_many_is_refused(api: Api, account: str) -> None:
    for params in ([], [("number", "")], [("number", "1")] * 101, [("number", "1"), ("limit", "1")]):
        answer = await api.call(account, "GET", "/detect", params=params)
        assert answer.status == 422, params


async def test_what_an_account_has_sent_before_weighs_for_it_and_for_no_other(api: Api, account: str) -> None:
    before = await _candidates(api, account, DIGITS)
    for place in range(3):
        await _register(api, account, waybill=f"7310020030050{place}", carrier="zto")
    after = await _candidates(api, account, DIGITS)
    assert after["zto"] > 2 * before["zto"]
    assert after.keys() == before.keys()
    assert await _candidates(api, await api.account(), DIGITS) == before


async def test_a_number_that_tells_its_carrier_needs_no_other_word(api: Api, account: str) -> None:
    answer = await _register(api, account, waybill="AC000001")
    assert (answer.status, answer.body["carrier"]) == (201, "acme")


async def test_a_number_of_several_carriers_is_refused_with_the_candidates(api: Api, account: str) -> None:
    answer = await _register(api, account, waybill=DIGITS)
    [error] = answer.body["errors"]
    assert (answer.status, error["field"], error["code"]) == (422, "carrier", "required")
    assert "zto (17%), dhl (10%)" in error["problem"]


async def test_a_number_of_no_known_form_is_refused(api: Api, account: str) -> None:
    answer = await _register(api, account, waybill="Q-1-2-3-4-5-6-7")
    assert answer.body["errors"][0]["problem"] == "is needed: GET /v1/carriers lists them"


async def test_a_habit_settles_what_the_number_leaves_open(api: Api, account: str) -> None:
    for place in range(3):
        await _register(api, account, waybill=f"7310020030050{place}", carrier="zto")
    answer = await _register(api, account, waybill=DIGITS)
    assert (answer.status, answer.body["carrier"]) == (201, "zto")


async def test_in_a_batch_each_item_tells_for_itself(api: Api, account: str) -> None:
    items = [{"waybill": "AC000001"}, {"waybill": DIGITS}, {"waybill": DIGITS, "carrier": "zto"}]
    results = (await api.call(account, "POST", "/shipments", json={"shipments": items})).body["results"]
    assert [one["result"] for one in results] == ["created", "failed", "created"]
    assert results[1]["errors"][0]["field"] == "shipments[1].carrier"
