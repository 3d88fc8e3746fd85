"""Who may read the metrics page, and whom it names."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tracker.app import loops

from .daemon import Desk, running

TOKEN = "a-token-of-many-letters"


async def _two_accounts(desk: Desk) -> None:
    """A parcel of the operator's, and one each of two others."""
    await desk("POST", "/v1/shipments", {"waybill": "SF1234567890123", "carrier": "sf", "phone_tail": "1234"})
    for name in ("lanhai", "redsun"):
        made = await desk("POST", "/v1/accounts", {"name": name})
        other = Desk(desk.http, desk.url, made["key"]["key"])
        await other("POST", "/v1/shipments", {"waybill": "SF1234567890123", "carrier": "sf", "phone_tail": "1234"})


async def _page(desk: Desk, sent: str = "") -> tuple[int, str]:
    async with desk.http.get(desk.url + "/metrics", headers={"Authorization": sent} if sent else {}) as answer:
        return answer.status, await answer.text()


async def _told(desk: Desk, line: str, sent: str = "") -> str:
    """The page, once it has that line."""
    while line not in (page := (await _page(desk, sent))[1]):
        await asyncio.sleep(0.02)
    return page


@pytest.fixture(autouse=True)
def measured_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "_STATS_EVERY_S", 0.05)


async def test_an_open_page_names_no_account_but_the_operators(tmp_path: Path) -> None:
    async with running(tmp_path) as (desk, _):
        await _two_accounts(desk)
        page = await _told(desk, 'milepost_shipments{account="(others)",status="pending"} 2.0')
        assert 'milepost_shipments{account="default",status="pending"} 1.0' in page
        assert not [name for name in ("lanhai", "redsun") if name in page]


async def test_a_page_with_a_token_asks_for_it_and_names_each_account(tmp_path: Path) -> None:
    async with running(tmp_path, **{"http.metrics_token": TOKEN}) as (desk, _):
        await _two_accounts(desk)
        await _told(desk, 'milepost_shipments{account="lanhai",status="pending"} 1.0', f"Bearer {TOKEN}")
        for wrong in ("", "Bearer", f"Bearer {TOKEN}x", f"Basic {TOKEN}", f"Bearer {desk.key}", "Bearer é"):
            status, page = await _page(desk, wrong)
            assert (status, page) == (401, "")
