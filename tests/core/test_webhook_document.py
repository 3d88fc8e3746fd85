"""docs/webhooks.md does what it says: its receiver runs, and its tables are those of the code."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from standardwebhooks import Webhook

from tests.ports import free_port
from tracker.api.models.subscriptions import NewSubscription, SubscriptionPatch
from tracker.examples import example
from tracker.model import ChangeKind
from webhooks.attempts import SCHEDULE_S
from webhooks.notices import disabled_notice, trial_notice
from webhooks.payload import thin
from webhooks.standard import Scheme, Signer, new_secret, public_key
from webhooks.subscription import Subscription

TEXT = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text(encoding="utf-8")
_CODE = re.findall(r"^```python\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
SECRET = new_secret()
_SECONDS = {"s": 1, "min": 60, "h": 3600}


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError("the receiver does not listen")


@pytest.fixture
def receiver() -> Iterator[str]:
    """The receiver of the document, running."""
    [code, _] = _CODE
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"WEBHOOK_SECRET": SECRET, "PORT": str(port)},
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            _wait_for(port)
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()


async def _post(url: str, body: bytes, secret: str = SECRET, *, at: int | None = None) -> int:
    now = at if at is not None else int(time.time())
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(now),
        "webhook-signature": Signer([secret]).sign("msg_1", now, body),
    }
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
        return answer.status


async def test_the_receiver_takes_what_is_signed_and_nothing_else(receiver: str) -> None:
    body = example(ChangeKind.DELIVERED)
    assert await _post(receiver, body) == 204
    assert await _post(receiver, body) == 204
    assert await _post(receiver, b'{"type": "milepost.test", "data": {"subscription_id": "sub_1"}}') == 204
    assert await _post(receiver, _notice()) == 204
    assert await _post(receiver, body, new_secret()) == 400
    assert await _post(receiver, body, at=int(time.time()) - 3600) == 400


def test_its_other_verifier_takes_either_key_of_a_rotation_and_nothing_else() -> None:
    told: dict[str, Any] = {}
    exec(_CODE[1], told)
    old, new = new_secret(Scheme.ED25519), new_secret(Scheme.ED25519)
    body, now = example(ChangeKind.DELIVERED), int(time.time())

    def signed(*secrets: str, at: int = now) -> dict[str, str]:
        signature = Signer(secrets).sign("msg_1", at, body)
        return {"webhook-id": "msg_1", "webhook-timestamp": str(at), "webhook-signature": signature}

    assert told["genuine"](body, signed(new, old), public_key(new))
    assert told["genuine"](body, signed(new, old), public_key(old))
    assert told["genuine"](body, signed(new, SECRET), public_key(new))
    assert not told["genuine"](body, signed(new), public_key(old))
    assert not told["genuine"](body + b" ", signed(new), public_key(new))
    assert not told["genuine"](body, signed(new, at=now - 600), public_key(new))


def test_the_signature_to_hold_ones_own_against_is_right() -> None:
    block = TEXT.partition("<!-- vector -->\n\n```\n")[2].partition("\n```\n")[0]
    said = dict(re.findall(r"^(\w+) +(.+)$", block, re.MULTILINE))
    signed = Signer([said["secret"]]).sign(said["id"], int(said["timestamp"]), said["body"].encode())
    assert signed == said["signature"]
    at = datetime.fromtimestamp(int(said["timestamp"]), UTC)
    assert Webhook(said["secret"]).sign(said["id"], at, said["body"]) == said["signature"]


def _notice() -> bytes:
    """The notice that the document shows."""
    endpoint = Subscription(
        id="sub_5f0c2d9a7b1e4c3d8f60", account="default", url="https://old.example/", description="the old shop"
    )
    since = 1_790_064_000_000  # ms
    why = "nothing but failures since 2026-09-22T08:00:00.000Z: no complete answer within 15 s"
    return disabled_notice(endpoint, why=why, since=since, now=since + 5 * 86_400_000)


def _shown(mark: str) -> Any:
    """The JSON behind a comment of the document."""
    block = TEXT.partition(f"<!-- {mark} -->\n\n```json\n")[2].partition("\n```\n")[0]
    return json.loads(block)


def test_the_thin_message_and_the_notice_are_those_that_are_sent() -> None:
    assert _shown("thin: delivered") == json.loads(thin(example(ChangeKind.DELIVERED)))
    assert _shown("notice") == json.loads(_notice())
    tested = Subscription(id="sub_5f0c2d9a7b1e4c3d8f60", account="default", url="https://old.example/")
    assert _shown("test") == json.loads(trial_notice(tested, now=1_790_143_230_000)) | {"test": True}


def test_every_field_of_a_subscription_is_explained() -> None:
    table = TEXT.partition("| field | default | says |")[2].partition("\n\n")[0]
    named = set(re.findall(r"`(\w+)`", "".join(row.split("|")[1] for row in table.splitlines()[2:])))
    assert named == set(NewSubscription.model_fields)
    assert named - set(SubscriptionPatch.model_fields) == {"signature"}


def test_the_table_of_retries_is_the_schedule() -> None:
    table = TEXT.partition("| attempt | after the one before |")[2].partition("\n\n")[0]
    waits = re.findall(r"^\| (\d+) \| (?:at once|(\d+) (s|min|h)) \|$", table, re.MULTILINE)
    assert [int(number) for number, _, _ in waits] == list(range(1, len(SCHEDULE_S) + 1))
    assert [int(wait or 0) * _SECONDS.get(unit, 0) for _, wait, unit in waits] == list(SCHEDULE_S)


def test_every_kind_of_change_is_explained_in_order() -> None:
    assert re.findall(r"^### `shipment\.(\w+)`$", TEXT, re.MULTILINE) == [kind.value for kind in ChangeKind]
