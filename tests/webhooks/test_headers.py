"""Which headers a subscription may add."""

from __future__ import annotations

import pytest

from tests.webhooks.receiving import ACCOUNT, Desk, Receiver, until
from tests.webhooks.test_outbound import book
from tracker.errors import BadInput
from webhooks.headers import check_headers
from webhooks.subscription import KIND


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer secret token"}, {"X-Team": "a\tb", "x.y": "z"}, {"Accept": "text/plain"}]
)
def test_headers_of_a_senders_own_are_taken(headers: dict[str, str]) -> None:
    check_headers(headers)


@pytest.mark.parametrize(
    ("headers", "field", "problem"),
    [
        ({"Connection": "close"}, "headers.Connection", "not sent"),
        ({"transfer-encoding": "chunked"}, "headers.transfer-encoding", "not sent"),
        ({"Proxy-Authorization": "x"}, "headers.Proxy-Authorization", "not sent"),
        ({"Host": "inner.example"}, "headers.Host", "set by Milepost"),
        ({"Content-Type": "text/plain"}, "headers.Content-Type", "set by Milepost"),
        ({"Webhook-Signature": "v1,forged"}, "headers.Webhook-Signature", "set by Milepost"),
        ({"X Y": "z"}, "headers.X Y", "no name"),
        ({"": "z"}, "headers.", "no name"),
        ({"X": "one\r\nSet-Cookie: two"}, "headers.X", "printable"),
        ({"X": ""}, "headers.X", "printable"),
        ({"X": "名"}, "headers.X", "printable"),
        ({"X": "x" * 4_097}, "headers.X", "at most 4096"),
        ({"X-Team": "a", "x-team": "b"}, "headers.X-Team", "twice"),
        ({f"X-{n}": "x" for n in range(21)}, "headers", "at most 20"),
        ({f"X-{n}": "x" * 4_000 for n in range(3)}, "headers", "at most 8192"),
    ],
)
def test_a_header_that_can_not_be_sent_is_named_and_its_value_is_not(
    headers: dict[str, str], field: str, problem: str
) -> None:
    with pytest.raises(BadInput, match=problem) as refused:
        check_headers(headers)
    assert refused.value.field == field
    assert "Set-Cookie" not in str(refused.value)
    assert "forged" not in str(refused.value)


async def test_headers_go_out_beside_ours_and_lie_sealed_in_the_store(desk: Desk, receiver: Receiver) -> None:
    made, _ = await desk.subscribe(receiver.url("/hook"), headers={"Authorization": "Bearer s3cret", "X-Team": "desk"})
    record = await desk.store.get_record(KIND, ACCOUNT, made.id)
    assert record is not None
    assert b"s3cret" not in record
    assert made.header_names == ("Authorization", "X-Team")
    async with desk.running(book):
        await desk.change("SF1", "registered")
        await until(lambda: bool(receiver.heard))
    heard = receiver.heard[0].headers
    assert (heard["authorization"], heard["x-team"]) == ("Bearer s3cret", "desk")
    assert heard["content-type"] == "application/json"
    assert (await desk.subscriptions.test(made, "milepost.test", now=0)).delivered
    assert receiver.heard[1].headers["authorization"] == "Bearer s3cret"
    without = await desk.subscriptions.amend(ACCOUNT, made.id, headers={})
    assert (without.header_names, without.headers) == ((), "")
