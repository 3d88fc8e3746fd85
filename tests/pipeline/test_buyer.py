"""The link of a webhook, followed by somebody who has nothing but the link."""

from __future__ import annotations

from pathlib import Path

import aiohttp

from tests.pipeline.daemon import running, until


async def test_the_link_of_a_webhook_opens_the_page_of_the_parcel(tmp_path: Path) -> None:
    """No key, no cookie; a link that was tampered with opens nothing."""
    async with running(tmp_path) as (desk, subscriber), aiohttp.ClientSession() as anybody:
        await desk("POST", "/v1/shipments", {"waybill": "1234567891", "carrier": "dhl", "order_number": "A-1001"})
        await until(lambda: bool(subscriber.messages))
        url = subscriber.messages[0][1]["data"]["tracking_url"]
        async with anybody.get(url, allow_redirects=False) as answer:
            assert answer.status == 200
            assert "1234567891" in await answer.text()
        async with anybody.get(url[:-1], allow_redirects=False) as answer:
            assert answer.status == 404
