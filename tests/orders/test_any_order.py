"""Updates may come in any order, repeated and interleaved: the book ends the same."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.orders import Order, OrderQuery, OrderUpdate, open_book, stated_from, update_from

from .changes import change, scan
from .conftest import Database

STEPS: Sequence[dict[str, Any]] = (
    {"status": "pending", "kind": "registered"},
    {"status": "picked_up", "events": [scan("picked_up")]},
    {"status": "in_transit", "stalled": {"since": "2026-11-20T00:00:00Z"}},
    {"status": "exception", "events": [scan("picked_up"), scan("exception", "lost")]},
    {"status": "returned"},
    {"status": "delivered"},
    {"status": "delivered", "kind": "updated", "order": ""},
    {"status": "delivered", "kind": "deleted"},
)

Telling = tuple[list[OrderUpdate], list[list[OrderUpdate]]]
STEP_AND_ORDER = st.tuples(st.sampled_from(STEPS), st.sampled_from(["A-1", "B-2"]))


@st.composite
def histories(draw: st.DrawFn) -> list[OrderUpdate]:
    """The whole histories of up to four shipments that wander between two orders."""
    updates = []
    for place in range(draw(st.integers(1, 4))):
        steps = draw(
            st.lists(st.tuples(st.sampled_from(STEPS), st.sampled_from(["A-1", "B-2"])), min_size=1, max_size=5)
        )
        for revision, (step, order) in enumerate(steps, 1):
            more = {"order": order, "shipment": f"shp_{place}", "shop": f"shop-{place}", "revision": revision}
            update = update_from("acme", change(**(more | step)))
            assert update is not None
            updates.append(update)
    return updates


@st.composite
def tellings(draw: st.DrawFn) -> Telling:
    """A history, and the same one shuffled, with repetitions, cut into batches."""
    history = draw(histories())
    told = draw(st.permutations(history + draw(st.lists(st.sampled_from(history), max_size=6))))
    size = draw(st.integers(1, 6))
    return history, [told[start : start + size] for start in range(0, len(told), size)]


async def end_of(
    database: Database, batches: Sequence[Sequence[OrderUpdate]], *, stated_after: int | None = None
) -> tuple[Order, ...]:
    async with open_book(await database.empty()) as book:
        for place, batch in enumerate(batches):
            if place == stated_after:
                await book.put("acme", stated_from("A-1", {"shop": "tmall"}), now=1_763_000_000_000)
            await asyncio.gather(*(book.apply(update) for update in batch))
        return (await book.list("acme", OrderQuery())).orders


@given(tellings())
@settings(max_examples=20)
async def test_any_order_repetition_and_interleaving_gives_the_same_orders(
    database: Database, telling: Telling
) -> None:
    history, batches = telling
    assert await end_of(database, batches) == await end_of(database, [[update] for update in history])


@given(tellings(), st.data())
@settings(max_examples=12)
async def test_it_does_not_matter_when_the_shop_states_the_order(
    database: Database, telling: Telling, data: st.DataObject
) -> None:
    _, batches = telling
    when = data.draw(st.integers(0, len(batches) - 1))
    assert await end_of(database, batches, stated_after=when) == await end_of(database, batches, stated_after=0)
