"""The functions of the store are gone from the server: the next call but one finds them again."""

from __future__ import annotations

import pytest

from tests.store.goods import register
from tracker.store import Store
from tracker.store.types import StoreDown


async def test_functions_that_were_flushed_cost_one_call(store: Store) -> None:
    assert await register(store, "acme", "W1")
    await store._plain(0, b"FUNCTION", b"FLUSH")
    with pytest.raises(StoreDown, match="Function not found"):
        await register(store, "acme", "W2")
    assert await register(store, "acme", "W2")
