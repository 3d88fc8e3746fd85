"""What a setting may be, beyond its type."""

from __future__ import annotations

import math

from tracker.config.names import annotation_of, choices, value_of
from tracker.config.settings import Settings, networks
from tracker.errors import ConfigError

_LEAST_TOKEN = 16  # characters
_PARTING = "/?#@"  # they end the part of an address that a login stands in
_STORES = ("redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster", "unix")
_RANGES = {
    "http.port": (0, 65_535),
    "http.header_s": (0.5, 300),
    "http.body_s": (0.5, 3_600),
    "http.idle_s": (0.5, 3_600),
    "http.write_s": (0.5, 3_600),
    "http.max_connections": (1, 1_000_000),
    "http.max_per_address": (0, 1_000_000),
    "store.shards": (0, 4_096),
    "limits.key_rate": (0, 1_000_000),
    "limits.push_rate": (0, 1_000_000),
    "limits.stranger_rate": (0, 1_000_000),
    "limits.replay_s": (0, 86_400),
    "limits.window_s": (1, 3_600),
    "limits.quarantine_mib": (0, 1_000_000),
    "limits.parked_mib": (0, 1_000_000),
    "delivery.per_destination": (1, 10_000),
    "delivery.total": (1, 100_000),
    "delivery.timeout_s": (0.1, 300),
    "poll.concurrency": (1, 1_000),
    "poll.claim": (1, 100_000),
    "backfill.every_min": (0, 10_080),
    "backfill.first_days": (0, 365),
    "shipments.keep_days": (0, 36_500),
    "audit.keep_days": (1, 3_650),
    "audit.keep_entries": (1, 10_000_000),
}
_POSITIVE = (
    "delivery.schedule_factor",
    "delivery.pause_days",
    "poll.factor",
    "stall.factor",
    "stall.expire_days",
    "orders.ship_within_h",
    "feed.keep_days",
    "feed.keep_entries",
)


def check(settings: Settings) -> None:
    """Raise ConfigError, naming the setting, where a value is of its type and still can\'t be."""
    for name in ("egress.allow", "egress.deny", "http.trusted_proxies"):
        try:
            networks(value_of(settings, name))
        except ValueError as error:
            raise ConfigError(f"{name}: {error}; a network is written 10.0.0.0/8") from None
    for name, (low, high) in _RANGES.items():
        _between(name, value_of(settings, name), low, high)
    for name in _POSITIVE:
        value = value_of(settings, name)
        if not 0 < value < math.inf:
            raise ConfigError(f"{name}: {value} must be more than 0{' and finite' if value > 0 else ''}")
    if not settings.roles:
        raise ConfigError(f"roles: there are none; name one or more of {', '.join(choices(annotation_of('roles')))}")
    _check_addresses(settings)


def _check_addresses(settings: Settings) -> None:
    scheme, parted, _ = settings.store.url.partition("://")
    if settings.store.url and not (parted and scheme in _STORES):
        shown = repr(scheme) if parted else "an address without ://"  # what has no scheme may begin with a password
        raise ConfigError(
            f"store.url: {shown} is no kind of store; redis://, redis+sentinel:// and redis+cluster:// are"
        )
    for name in ("store.url", "orders.url"):
        _check_login(name, value_of(settings, name))
    if 0 < len(settings.http.metrics_token) < _LEAST_TOKEN:
        raise ConfigError(f"http.metrics_token: must have {_LEAST_TOKEN} characters or more: `openssl rand -hex 16`")
    public = settings.http.public_url
    if public and not public.startswith(("http://", "https://")):
        raise ConfigError(f"http.public_url: {public!r} must begin with https:// or http://")


def _check_login(name: str, url: str) -> None:
    """What reads such a one takes a part of the password for a host, a port or a path, and names it in its refusal."""
    scheme, _, rest = url.partition("://")
    login = "" if scheme.startswith(("sqlite", "unix")) else rest.rpartition("@")[0]
    if any(letter in login for letter in _PARTING):
        instead = ", ".join(f"{letter} as %{ord(letter):X}" for letter in _PARTING)
        raise ConfigError(f"{name}: a user name or password with {' '.join(_PARTING)} in it is written {instead}")


def _between(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ConfigError(f"{name}: {value} is not between {low} and {high}")
