"""The delivery log of a subscription: an attempt as it stands there, and what the latest ones say of the endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

import msgspec
import structlog
from msgspec import Struct

from tracker.store.types import Outcome, StoreDown

LATELY = 10  # attempts from which it is told how many failed in a row
FAILED = "failed"  # what became of a test that was not accepted: it is not tried again
_FAILURES = ("retry", "dead")

log = structlog.get_logger()


class Attempt(Struct, frozen=True, kw_only=True):
    """One attempt as the delivery log shows it."""

    at: str
    id: str  # webhook-id
    type: str
    shipment_id: str | None  # None: a notice of ours
    revision: int
    attempt: int
    outcome: str
    status: int | None
    latency_ms: float
    error: str | None
    response: str | None  # the beginning of the answer
    next_at: str | None  # not before that it is tried again
    test: bool = False  # an example, sent because somebody asked for it


class Log(Protocol):
    """Where the delivery logs lie."""

    async def log_attempt(self, account: str, destination: str, entry: bytes) -> None: ...


class Lately(Struct, frozen=True):
    """How many of the latest attempts failed in a row, since when (ms), and what the last of them got."""

    failed: int = 0
    since: int = 0
    why: str = ""


class _Logged(Struct):
    """An attempt of the log, as far as it matters here."""

    at: str
    outcome: str
    error: str | None = None
    test: bool = False


_logged = msgspec.json.Decoder(_Logged).decode


def iso_ms(seconds: float) -> str:
    """ISO 8601 with milliseconds and Z."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_entry(
    *,
    id: str,
    type: str,
    at: float,
    took_ms: float,
    accepted: bool,
    status: int = 0,
    error: str = "",
    response: str = "",
) -> bytes:
    """A test for the delivery log, JSON. `at` in s; `error`: why it was not accepted, `response`: what was answered."""
    return msgspec.json.encode(
        Attempt(
            at=iso_ms(at),
            id=id,
            type=type,
            shipment_id=None,
            revision=0,
            attempt=1,
            outcome=Outcome.DONE.value if accepted else FAILED,
            status=status or None,
            latency_ms=took_ms,
            error=error or None,
            response=response or None,
            next_at=None,
            test=True,
        )
    )


async def keep_test(where: Log, account: str, destination: str, entry: bytes) -> None:
    """Put a test into the destination's log; where the store is away, who asked hears the answer all the same."""
    try:
        await where.log_attempt(account, destination, entry)
    except StoreDown as error:
        log.warning("test_not_logged", destination=destination, error=str(error))


def told_lately(entries: Sequence[bytes]) -> Lately:
    """What a whole log, newest first, says of the latest attempts."""
    return lately(entries, after=0)


def lately(entries: Sequence[bytes], *, after: int) -> Lately:
    """What a log, newest first, says of the attempts `after` that time (ms). Tests say nothing of the lanes."""
    failed: list[_Logged] = []
    for one in map(_logged, entries):
        if one.test:
            continue
        if one.outcome not in _FAILURES or one.at < iso_ms(after / 1000):
            break
        failed.append(one)
    if not failed:
        return Lately()
    since = round(datetime.fromisoformat(failed[-1].at).timestamp() * 1000)
    return Lately(len(failed), since, failed[0].error or "")
