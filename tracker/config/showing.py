"""What is shown of the settings, and what never is."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tracker.config.names import SECRET, names, value_of
from tracker.config.settings import Settings


def secrets_of(settings: Settings) -> list[str]:
    """What the settings hold that nobody may read: keys, tokens, the passwords of addresses as they are written."""
    logins = [
        url.partition("://")[2].partition("/")[0].rpartition("@")[0]
        for url in (settings.store.url, settings.orders.url)
    ]
    passwords = [login.partition(":")[2] for login in logins]
    keys = [part.strip() for part in settings.secrets.key.split(",")]
    return [secret for secret in (*keys, settings.http.metrics_token, *passwords) if secret]


def shown(settings: Settings) -> Sequence[tuple[str, str]]:
    """Every setting with its value as text, secrets hidden."""
    rows = []
    for name in names():
        value = value_of(settings, name)
        hidden = name in SECRET and value and ("@" in value or not name.endswith(".url"))
        rows.append((name, "(hidden)" if hidden else msgspec.json.encode(value).decode()))
    return rows
