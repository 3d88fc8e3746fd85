"""Bodies as large as they may be in which everything is wrong: refused at no more than what reading them costs."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
import pytest

from tests.ingress.site import Site

JSON = "Content-Type: application/json"
CARRIERS = [{"waybill": "AC000001", "carrier": f"{n}eeeassooorrrtt"} for n in range(1_000)]


@pytest.mark.parametrize(
    ("call", "body"),
    [
        ("POST /v1/shipments", {f"k{n}": 1 for n in range(140_000)}),
        ("POST /v1/shipments", {"shipments": [{f"k{n}": 1 for n in range(180)}] * 1_000}),
        ("POST /v1/shipments", {"shipments": CARRIERS}),
        ("POST /v1/subscriptions", {"url": "https://shop.example/", "headers": {f"k{n}": "v" for n in range(140_000)}}),
        ("PUT /v1/orders/SO-1", {"lines": [{f"k{n}": 1 for n in range(300)}] * 500}),
    ],
    ids=["fields", "items", "carriers", "headers", "lines"],
)
async def test_a_body_that_is_all_wrong_holds_up_nobody(site: Site, call: str, body: Any) -> None:
    """To say of each field what is wrong, and what was meant, took seconds in which nobody else was answered."""
    method, path = call.split()
    sent = msgspec.json.encode(body)
    head = site.head(method, path, JSON, f"Content-Length: {len(sent)}")
    longest, done = 0.0, False

    async def neighbour() -> None:
        nonlocal longest
        while not done:
            began = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - began)

    waiting = asyncio.create_task(neighbour())
    answer = await site.once(head, sent)
    done = True
    await waiting
    assert answer.status in (200, 422), answer.body[:300]
    assert len(answer.body) < 1_000_000
    assert longest < 0.7
