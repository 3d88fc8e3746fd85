"""The bundled subscriber takes what is genuine, refuses what is not, and says each change once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import aiohttp
import msgspec
import pytest
from standardwebhooks import Webhook

from tracker.demo.receiver import Receiver, label_of
from tracker.model import ChangeKind
from webhooks.standard import new_secret

SECRET = new_secret()
BODY = msgspec.json.encode(
    {
        "type": "shipment.out_for_delivery",
        "timestamp": "2026-11-23T04:05:06Z",
        "data": {
            "shipment": {"waybill": "SIMDLV100000019", "order_number": "D1-001"},
            "revision": 7,
            "events_added": [{"description": "正在派件"}],
        },
    }
).decode()


class Heard:
    """A running receiver and what it said."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.receiver = Receiver(say=self.lines.append)


@pytest.fixture
async def heard() -> AsyncIterator[Heard]:
    heard = Heard()
    async with heard.receiver:
        yield heard


def signed(id: str, body: str, *, at: datetime | None = None, secret: str = SECRET) -> dict[str, str]:
    """Headers as the official library makes them."""
    moment = at or datetime.now(UTC)
    return {
        "webhook-id": id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(secret).sign(id, moment, body),
    }


async def post(receiver: Receiver, headers: dict[str, str], body: str) -> int:
    async with aiohttp.ClientSession() as http, http.post(receiver.url, data=body.encode(), headers=headers) as reply:
        return reply.status


async def test_a_message_signed_by_the_official_library_is_taken_and_said_in_both_languages(heard: Heard) -> None:
    heard.receiver.trust(SECRET)
    assert await post(heard.receiver, signed("msg_1", BODY), BODY) == 204
    [line] = heard.lines
    assert "派件中 Out for delivery" in line
    assert "SIMDLV100000019" in line
    assert (heard.receiver.verified, heard.receiver.refused) == (1, 0)


async def test_what_is_forged_old_or_unsigned_is_refused(heard: Heard) -> None:
    heard.receiver.trust(SECRET)
    old = datetime.now(UTC) - timedelta(minutes=10)
    tries: tuple[dict[str, str], ...] = (
        signed("msg_1", BODY + " "),
        signed("msg_1", BODY, at=old),
        signed("msg_1", BODY, secret=new_secret()),
        {},
    )
    assert [await post(heard.receiver, headers, BODY) for headers in tries] == [401] * 4
    assert (heard.receiver.verified, heard.receiver.refused, heard.lines) == (0, 4, [])


async def test_a_signed_body_that_is_no_change_is_refused_and_breaks_nothing(heard: Heard) -> None:
    heard.receiver.trust(SECRET)
    for body in ("[]", "{}", "not json", '{"type": "shipment.eaten", "data": {"shipment": {}}}'):
        assert await post(heard.receiver, signed("msg_1", body), body) == 401


@pytest.mark.parametrize("type", ["milepost.test", "milepost.endpoint.disabled"])
async def test_what_tells_of_no_shipment_is_taken_too(heard: Heard, type: str) -> None:
    heard.receiver.trust(SECRET)
    body = f'{{"type": "{type}", "data": {{"subscription_id": "sub_1"}}}}'
    assert await post(heard.receiver, signed("msg_1", body), body) == 204
    assert len(heard.lines) == 1


async def test_before_it_knows_the_secret_it_asks_to_be_sent_again(heard: Heard) -> None:
    assert await post(heard.receiver, signed("msg_1", BODY), BODY) == 503


async def test_a_repetition_is_taken_and_not_said_again(heard: Heard) -> None:
    heard.receiver.trust(SECRET)
    for _ in range(2):
        assert await post(heard.receiver, signed("msg_1", BODY), BODY) == 204
    assert (heard.receiver.verified, heard.receiver.repeated, len(heard.lines)) == (2, 1, 1)


async def test_its_page_shows_what_came_and_escapes_it(heard: Heard) -> None:
    heard.receiver.trust(SECRET)
    body = BODY.replace("正在派件", "<b>正在派件")
    await post(heard.receiver, signed("msg_1", body), body)
    async with aiohttp.ClientSession() as http, http.get(heard.receiver.page) as reply:
        assert "&lt;b&gt;正在派件" in await reply.text()


def test_every_kind_of_change_has_a_label() -> None:
    assert all(label_of(f"shipment.{kind}") for kind in ChangeKind)
