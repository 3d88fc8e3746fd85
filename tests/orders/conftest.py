"""An order book in a directory of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tracker.orders import OrderBook, OrderSettings, open_book


@pytest.fixture
async def book(tmp_path: Path) -> AsyncIterator[OrderBook]:
    async with open_book(OrderSettings(directory=tmp_path)) as opened:
        yield opened


@pytest.fixture
def settings(tmp_path: Path) -> OrderSettings:
    return OrderSettings(directory=tmp_path)
