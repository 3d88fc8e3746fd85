"""Settings by their names, `section.name`."""

from __future__ import annotations

from typing import Any, get_args

import msgspec

from tracker.config.settings import Section, Settings

SECRET = ("secrets.key", "http.metrics_token", "store.url", "orders.url")


def names() -> list[str]:
    """Every setting's name, in order: `section.name`."""
    listed: list[str] = []
    for entry in msgspec.structs.fields(Settings):
        sub = entry.type
        if isinstance(sub, type) and issubclass(sub, Section):
            listed += [f"{entry.name}.{inner.name}" for inner in msgspec.structs.fields(sub)]
        else:
            listed.append(entry.name)
    return listed


def value_of(settings: Settings, name: str) -> Any:
    """What is set under that name."""
    value: Any = settings
    for part in name.split("."):
        value = getattr(value, part)
    return value


def annotation_of(name: str) -> Any:
    """The type of a setting."""
    kind: Any = Settings
    for part in name.split("[", maxsplit=1)[0].split("."):
        kind = next((f.type for f in msgspec.structs.fields(kind) if f.name == part), None)
    return kind


def choices(kind: Any) -> list[str]:
    """The texts that a setting of that type may have, where they are few."""
    inner = get_args(kind)
    return [one for one in inner if isinstance(one, str)] or [one for some in inner for one in choices(some)]
