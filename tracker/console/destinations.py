"""What the pages of subscriptions and of order stores have alike: what a destination was told, what was given up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from tracker.console.services import View
from tracker.store.types import DeadLetter
from tracker.views import attempts_told

ATTEMPTS = 50  # of the log, that a page shows
DEAD = 1_000  # dead letters that are counted, and sent again at once


class Shelf(Protocol):
    """What is asked of the store."""

    async def lanes(self, destination: str) -> int: ...
    async def delivery_log(self, account: str, destination: str, limit: int = 50) -> list[bytes]: ...
    async def dead_letters(
        self, account: str, *, destination: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> tuple[list[DeadLetter], str | None]: ...


class Page(Struct, frozen=True):
    """A destination with its latest attempts, newest first, and its dead letters; `more`: than are counted.

    `waiting`: of how many shipments changes wait for it.
    """

    view: View
    attempts: Sequence[View]
    dead: int
    more: bool
    waiting: int


async def page_of(store: Shelf, account: str, destination: str, view: View, log: Sequence[bytes]) -> Page:
    """The page of a destination; `log`: its latest attempts."""
    dead, cursor = await store.dead_letters(account, destination=destination, limit=DEAD)
    waiting = await store.lanes(destination)
    return Page(view, attempts_told(log), len(dead), cursor is not None, waiting)
