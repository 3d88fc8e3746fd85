"""A platform that wants to be asked less often: for how long nothing is asked, and by whom that is decided."""

from __future__ import annotations

import aiohttp
import pytest
from msgspec import structs

from tracker.order_stores import OrderStore
from tracker.order_stores import load as load_platforms
from tracker.order_stores.exit import Exit
from tracker.order_stores.sdk import Http, Limited


async def test_who_asks_too_early_does_not_move_the_end_of_the_pause() -> None:
    """Lanes that wake one after the other, each within a second of the last, kept an order store shut for ever."""
    now, asked = 100.0, []

    async def probe(http: Http) -> str:
        asked.append(now)
        if len(asked) == 1:
            raise Limited("less often", retry_after_s=2.0)
        return "lanhai"

    platforms, _ = load_platforms()
    platform = platforms.get("http")
    assert platform
    store = OrderStore(id="ost_1", account="a", platform="http", base="https://shop.example")
    async with aiohttp.ClientSession() as session:
        way = Exit(session, store, structs.replace(platform, probe=probe), timeout_s=1.0, clock=lambda: now)
        for now in (100.0, 100.4, 101.1, 101.8):
            with pytest.raises(Limited) as limited:
                await way.probe()
            assert now + limited.value.retry_after_s == pytest.approx(102.0)
        now = 102.0
        assert await way.probe() == "lanhai"
    assert asked == [100.0, 102.0]
