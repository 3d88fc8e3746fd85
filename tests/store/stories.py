"""Every test of the store that needs nothing but a store: what holds on one server holds on any."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import signature
from types import ModuleType

from tests.store import test_agenda, test_feed, test_lanes, test_parking, test_relay, test_shipments, test_tips
from tracker.store import Store

Story = Callable[[Store], Awaitable[None]]
MODULES = (test_agenda, test_feed, test_lanes, test_parking, test_relay, test_shipments, test_tips)


def _of(module: ModuleType) -> list[Story]:
    return [
        found
        for name, found in vars(module).items()
        if name.startswith("test_") and list(signature(found).parameters) == ["store"]
    ]


STORIES = [story for module in MODULES for story in _of(module)]


def named(story: Story) -> str:
    """The test's sentence."""
    return story.__name__.removeprefix("test_")
