"""What is shown of the settings, and what never is."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote, unquote_plus

import msgspec

from tracker.config.names import SECRET, names, value_of
from tracker.config.settings import Settings


def secrets_of(settings: Settings) -> list[str]:
    """What the settings hold that nobody may read: keys, tokens, the passwords of addresses as they are written."""
    passwords = [password for url in (settings.store.url, settings.orders.url) for password in _passwords(url)]
    keys = [part.strip() for part in settings.secrets.key.split(",")]
    return [secret for secret in (*keys, settings.http.metrics_token, *passwords) if secret]


def _passwords(url: str) -> list[str]:
    """Those before the host and in the query, as they are written and as they are meant."""
    rest = url.partition("://")[2]
    before, query = rest.rpartition("@")[0].partition(":")[2], rest.partition("?")[2]
    named = [part.partition("=") for part in query.split("&")]
    written = [before, *(value for name, _, value in named if "password" in name)]
    return [text for one in written if one for text in (one, unquote(one), unquote_plus(one))]


def shown(settings: Settings) -> Sequence[tuple[str, str]]:
    """Every setting with its value as text, secrets hidden."""
    rows = []
    for name in names():
        value = value_of(settings, name)
        hidden = name in SECRET and value and ("@" in value or _passwords(value) or not name.endswith(".url"))
        rows.append((name, "(hidden)" if hidden else msgspec.json.encode(value).decode()))
    return rows
