"""Notices of ours: messages that tell of an endpoint, not of a shipment. They go through lanes like everything else."""

from __future__ import annotations

import msgspec

from tracker.views import SCHEMA
from webhooks.logbook import iso_ms
from webhooks.subscription import DISABLED, TEST, Subscription


def disabled_notice(subscription: Subscription, *, why: str, since: int, now: int) -> bytes:
    """That an endpoint was switched off. Times in ms. Without its address, which may hold a secret of its owner's."""
    data = {
        "subscription_id": subscription.id,
        "description": subscription.description,
        "why": why,
        "since": iso_ms(since / 1000),
    }
    return _notice(DISABLED, now, data)


def trial_notice(subscription: Subscription, *, now: int = 0) -> bytes:
    """That somebody looks whether what we send arrives. Time in ms."""
    return _notice(TEST, now, {"subscription_id": subscription.id})


def _notice(type: str, now: int, data: dict[str, str]) -> bytes:
    return msgspec.json.encode({"type": type, "timestamp": iso_ms(now / 1000), "schema": SCHEMA, "data": data})
