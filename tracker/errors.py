"""The one tree of errors. A message names the thing, the value and what would be right."""

from __future__ import annotations


class MilepostError(Exception):
    """Anything that Milepost itself refuses or fails at."""


class ConfigError(MilepostError):
    """A setting is missing or wrong; the message names it."""


class BadInput(MilepostError):
    """A caller's field is wrong. `field` is its path (`shipments[3].waybill`), `code` is stable, for machines."""

    def __init__(self, field: str, problem: str, *, code: str = "invalid", status: int = 422) -> None:
        super().__init__(f"{field}: {problem}" if field else problem)
        self.field = field
        self.problem = problem
        self.code = code
        self.status = status


class TooMany(BadInput):
    """The account, or an order of it, has as many of these as there can be."""

    def __init__(self, what: str, most: int, field: str = "", *, of: str = "account") -> None:
        super().__init__(field, f"the {of} has {most:,} {what}, the most there can be", code="limit")


class NotFound(MilepostError):
    """No such thing in this account."""


class Forbidden(MilepostError):
    """The key lacks the scope."""
