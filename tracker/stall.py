"""When a parcel counts as stalled, when its silence is final, and when to ask for it next. Pure: `now` is handed in.

A shipment has one entry in the agenda, the earliest of its next poll, its stall deadline and its expiry.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct, field

from tracker.errors import ConfigError
from tracker.model import Event, Milestone, Shipment, Stall, Status

HOUR = 3_600
DAY = 24 * HOUR
_EASTMOST = 12 * HOUR  # how much later than its wall reading, taken as UTC, a time without an offset can be


class Stage(StrEnum):
    """What the parcel did last: the stages that have a deadline each."""

    REGISTERED = "registered"  # nothing heard at all
    INFO_RECEIVED = "info_received"  # a label, and no pick-up
    PICKED_UP = "picked_up"
    HUB_DEPARTED = "hub_departed"
    HUB_ARRIVED = "hub_arrived"
    IN_TRANSIT = "in_transit"
    AT_CUSTOMS = "at_customs"
    HANDED_OVER = "handed_over"
    AT_DELIVERY_DEPOT = "at_delivery_depot"
    OUT_FOR_DELIVERY = "out_for_delivery"
    DELIVERY_FAILED = "delivery_failed"
    AVAILABLE_FOR_PICKUP = "available_for_pickup"
    EXCEPTION = "exception"
    RETURNING = "returning"


Limits = Mapping[Stage, int]  # seconds

DEFAULT: Limits = {
    Stage.REGISTERED: 3 * DAY,
    Stage.INFO_RECEIVED: 2 * DAY,
    Stage.PICKED_UP: DAY,
    Stage.HUB_DEPARTED: 3 * DAY,
    Stage.HUB_ARRIVED: DAY + 12 * HOUR,
    Stage.IN_TRANSIT: 3 * DAY,
    Stage.AT_CUSTOMS: 4 * DAY,
    Stage.HANDED_OVER: 3 * DAY,
    Stage.AT_DELIVERY_DEPOT: DAY,
    Stage.OUT_FOR_DELIVERY: 18 * HOUR,
    Stage.DELIVERY_FAILED: 2 * DAY,
    Stage.AVAILABLE_FOR_PICKUP: 4 * DAY,
    Stage.EXCEPTION: DAY,
    Stage.RETURNING: 5 * DAY,
}

_STAGE_OF = {
    Milestone.CUSTOMS_ENTERED: Stage.AT_CUSTOMS,
    Milestone.CUSTOMS_CLEARED: Stage.IN_TRANSIT,
    **{milestone: Stage(milestone.value) for milestone in Milestone if milestone.value in set(Stage)},
}


class StallPolicy(Struct, frozen=True, kw_only=True):
    """How long each stage may take (s): the defaults, under what was set for a carrier, an account, and both.

    `expire_s` is the silence after which nothing more is expected.
    """

    default: Limits = field(default_factory=lambda: DEFAULT)
    carriers: Mapping[str, Limits] = {}
    accounts: Mapping[str, Limits] = {}
    pairs: Mapping[tuple[str, str], Limits] = {}  # (account, carrier)
    expire_s: int = 30 * DAY

    def limit(self, stage: Stage, *, carrier: str = "", account: str = "") -> int:
        """Seconds that a parcel may stay at `stage`: the most particular setting that names it."""
        for limits in (self.pairs.get((account, carrier)), self.accounts.get(account), self.carriers.get(carrier)):
            if limits and stage in limits:
                return limits[stage]
        return self.default.get(stage, DEFAULT[stage])


def policy_of(
    *,
    hours: Mapping[str, float] | None = None,
    carriers: Mapping[str, Mapping[str, float]] | None = None,
    accounts: Mapping[str, Mapping[str, float]] | None = None,
    factor: float = 1.0,
    expire_days: float = 30.0,
) -> StallPolicy:
    """The policy that settings describe: stage → hours; `accounts` is keyed by `account` or `account/carrier`.

    `factor` multiplies every limit, that of expiry aside.

    Raises:
        ConfigError: an unknown stage, or a limit that is not positive.
    """
    said = {name: _limits(f"stall.accounts.{name}", some, factor) for name, some in (accounts or {}).items()}
    base = {stage: _seconds(limit / HOUR, factor) for stage, limit in DEFAULT.items()}
    return StallPolicy(
        default={**base, **_limits("stall.hours", hours or {}, factor)},
        carriers={name: _limits(f"stall.carriers.{name}", some, factor) for name, some in (carriers or {}).items()},
        accounts={name: limits for name, limits in said.items() if "/" not in name},
        pairs={_pair(name): limits for name, limits in said.items() if "/" in name},
        expire_s=_seconds(expire_days * 24, 1.0),
    )


def _pair(name: str) -> tuple[str, str]:
    account, _, carrier = name.partition("/")
    return account, carrier


def _limits(setting: str, hours: Mapping[str, float], factor: float) -> Limits:
    for name, value in hours.items():
        if name not in Stage.__members__.values():
            raise ConfigError(f"{setting}: {name!r} is no stage; there are {', '.join(Stage)}")
        if not value > 0:
            raise ConfigError(f"{setting}.{name}: {value} hours; must be more than 0")
    return {Stage(name): _seconds(value, factor) for name, value in hours.items()}


def _seconds(hours: float, factor: float) -> int:
    return max(1, round(hours * HOUR * factor))


# ---------------------------------------------------------------- stalled


def stage_of(shipment: Shipment) -> Stage:
    """The stage whose deadline runs: that of the last progress, or the way back as one."""
    if shipment.status is Status.RETURNING:
        return Stage.RETURNING
    if shipment.progress is None:
        return Stage.REGISTERED
    return _STAGE_OF.get(shipment.progress.milestone, Stage.IN_TRANSIT)


def since(shipment: Shipment) -> int:
    """The instant (s) of the last progress; that of the registration where there was none."""
    if shipment.progress is None:
        return shipment.document.registered_at // 1000
    return _latest(shipment.progress)


def _latest(event: Event) -> int:
    """The latest instant (s) that the event can mean: nobody is accused of a stall for a zone that we don't know."""
    instant = event.time.instant + (_EASTMOST if event.time.offset is None else 0)
    return min(instant, event.heard_at // 1000)


def limit_of(shipment: Shipment, policy: StallPolicy) -> int:
    """Seconds that the shipment may stay where it is."""
    doc = shipment.document
    return policy.limit(stage_of(shipment), carrier=doc.carrier, account=doc.account)


def deadline(shipment: Shipment, policy: StallPolicy) -> int | None:
    """The instant (s) at which the shipment will be stalled; None where it is closed, paused or flagged already."""
    if _still(shipment) or shipment.document.stall is not None:
        return None
    return since(shipment) + limit_of(shipment, policy)


def stalled(shipment: Shipment, policy: StallPolicy, *, now: int) -> Stall | None:
    """The stall to flag at `now` (ms), None before the deadline."""
    end = deadline(shipment, policy)
    if end is None or now < end * 1000:
        return None
    progress = shipment.progress
    return Stall(now, since(shipment), progress.milestone if progress else None, limit_of(shipment, policy))


def feed_silent(shipment: Shipment, policy: StallPolicy, *, source_heard_at: int | None) -> bool:
    """Whether the parcel is unseen rather than stalled: its source has said nothing at all since the deadline.

    `source_heard_at` (ms) is when the connections that tell of this parcel last told of anything; None: there is none.
    """
    end = deadline(shipment, policy)
    return end is not None and source_heard_at is not None and source_heard_at < end * 1000


def expires(shipment: Shipment, policy: StallPolicy) -> int | None:
    """The instant (s) at which silence is final; None where the shipment is closed or paused."""
    if _still(shipment):
        return None
    return heard_at(shipment) // 1000 + policy.expire_s


def heard_at(shipment: Shipment) -> int:
    """When we last heard something new of the parcel (ms); its registration where we never did."""
    doc = shipment.document
    return max((h.first_at for scan in doc.scans for h in scan.heard), default=doc.registered_at)


def _still(shipment: Shipment) -> bool:
    return not shipment.status.open or shipment.document.details.paused


# ---------------------------------------------------------------- poll cadence

_EVERY: Mapping[Status, int] = {  # s between two polls
    Status.PENDING: 3 * HOUR,
    Status.INFO_RECEIVED: 4 * HOUR,
    Status.PICKED_UP: 3 * HOUR,
    Status.IN_TRANSIT: 4 * HOUR,
    Status.OUT_FOR_DELIVERY: 45 * 60,
    Status.DELIVERY_FAILED: 2 * HOUR,
    Status.AVAILABLE_FOR_PICKUP: 6 * HOUR,
    Status.EXCEPTION: 4 * HOUR,
    Status.RETURNING: 6 * HOUR,
}
_QUIET = ((10 * DAY, 4), (3 * DAY, 2))  # silent for so long: so many times the interval


def interval(shipment: Shipment, *, now: int, factor: float = 1.0, min_interval: float = 0.0) -> int | None:
    """Milliseconds between two polls, more for a parcel that has long been silent; None: it needs none."""
    if _still(shipment) or shipment.status not in _EVERY:
        return None
    quiet = (now - heard_at(shipment)) // 1000
    times = next((times for silence, times in _QUIET if quiet >= silence), 1)
    return max(1, round(max(_EVERY[shipment.status] * times * factor, min_interval) * 1000))


def next_poll(shipment: Shipment, *, now: int, factor: float = 1.0, min_interval: float = 0.0) -> int | None:
    """When to poll next (ms): a new shipment at once, others at their own beat; None where there is nothing to ask.

    The beat's phase follows from the shipment's id, so that shipments registered together are not asked for together,
    and the answer does not depend on when a poll that brought nothing was made. Half an interval and `min_interval`
    are left free after `now`.
    """
    every = interval(shipment, now=now, factor=factor, min_interval=min_interval)
    if every is None:
        return None
    if now <= shipment.document.registered_at:
        return now
    free = now + max(every // 2, round(min_interval * 1000))
    phase = _spread(shipment.document.id) % every
    return free + (phase - free) % every


def _spread(id: str) -> int:
    return int.from_bytes(hashlib.blake2b(id.encode(), digest_size=8).digest(), "big")
