"""Why a carrier gave no answer, and when asking again is of use."""

from __future__ import annotations

from tracker.errors import MilepostError


class CarrierError(MilepostError):
    """A carrier did not answer the question. `retry_at`: seconds since 1970 before which asking again is no use."""

    def __init__(self, message: str, *, retry_at: float = 0.0) -> None:
        super().__init__(message)
        self.retry_at = retry_at


class CarrierUnavailable(CarrierError):
    """It is down, unreachable, too slow or answers 5xx; or its breaker is open."""


class CarrierRefused(CarrierError):
    """It does not accept our credentials."""


class CarrierLimited(CarrierError):
    """It wants to be asked less often; `retry_at` is always set."""
