"""The parse benchmark: no adapter is left out of it."""

from __future__ import annotations

from carriers.registry import load
from tests.bench.figures import QUICK
from tests.bench.parse import parse


async def test_every_adapter_is_measured_beside_a_plain_reading_and_in_events() -> None:
    *figures, middle = [one async for one in parse(QUICK)]
    costs, rates = figures[::2], figures[1::2]
    slugs = [carrier.slug for carrier in load()[0]]
    for some in (costs, rates):
        assert [one.name.removeprefix("parse: ").partition(",")[0] for one in some] == slugs
    assert {one.ceiling_is for one in costs} <= {"json.loads", "ElementTree", "ElementTree or json.loads"}
    assert all(one.ceiling and one.value > 0 for one in costs)
    assert {one.unit for one in (*rates, middle)} == {"events/s"}
    assert min(one.value for one in rates) <= middle.value <= max(one.value for one in rates)
