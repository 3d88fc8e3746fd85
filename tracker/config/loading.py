"""Reading the settings: a file, the environment, flags, each over the one before."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec

from tracker.config.checks import check
from tracker.config.names import SECRET, annotation_of, choices, names, value_of
from tracker.config.settings import Settings
from tracker.errors import ConfigError

ENV = "MILEPOST_"

# what the command line reads itself: the settings file, and where and as whom it asks a running daemon
_CLIENT = (ENV + "CONFIG", ENV + "URL", ENV + "API_KEY")


def load(
    file: Path | None = None, env: Mapping[str, str] | None = None, flags: Mapping[str, str] | None = None
) -> Settings:
    """Read and check the settings.

    Raises:
        ConfigError: names the setting, the value and what would be right.
    """
    tree = _read(file) if file else {}
    for name, value in _from_env(os.environ if env is None else env):
        _put(tree, name, value)
    for name, value in (flags or {}).items():
        _put(tree, name, value)
    try:
        settings = msgspec.convert(tree, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(_explain(str(error), tree)) from None
    check(settings)
    return settings


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"settings file {file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"settings file {file} is not TOML: {error}") from None


def _no_setting(name: str, known: Sequence[str]) -> str:
    """That this is none, and what may have been meant."""
    near = get_close_matches(name, known, 1, 0.75)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{name} is no setting; {hint}`milepost config` lists them"


def _from_env(env: Mapping[str, str]) -> list[tuple[str, str]]:
    known = {ENV + name.replace(".", "_").upper(): name for name in names()}
    found = []
    for key, value in sorted(env.items()):
        if key.startswith(ENV) and key not in _CLIENT:
            if key not in known:
                raise ConfigError(f"environment: {_no_setting(key, list(known))}")
            found.append((known[key], value))
    return found


def _put(tree: dict[str, Any], name: str, value: str) -> None:
    if name not in names():
        raise ConfigError(_no_setting(name, names()))
    section, _, leaf = name.rpartition(".")
    place = tree.setdefault(section, {}) if section else tree
    if not isinstance(place, dict):
        raise ConfigError(f"{section}: {place!r} is not a table")
    place[leaf] = _parsed(name, value)


def _parsed(name: str, value: str) -> Any:
    """Lists are written with commas, tables as inline TOML; the rest is converted when it is checked."""
    kind = _default(name)
    if isinstance(kind, tuple):
        return [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(kind, dict):
        try:
            return tomllib.loads(f"v = {value}")["v"]
        except tomllib.TOMLDecodeError:
            raise ConfigError(f"{name}: {value!r} is no inline table like {{ picked_up = 48 }}") from None
    return value


def _default(name: str) -> Any:
    return value_of(Settings(), name)


_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "array": "a list",
    "object": "a table",
}


def _explain(message: str, tree: Mapping[str, Any]) -> str:
    """`Expected `int`, got `str` - at `$.http.port`` → `http.port: 'x' is not a whole number`."""
    problem, _, path = message.partition(" - at `$")
    path = path.rstrip("`").lstrip(".")
    quoted = problem.partition("`")[2].partition("`")[0]
    if "unknown field" in problem:
        sections = {name.partition(".")[0] for name in names()}
        return _no_setting(f"{path}.{quoted}", names()) if path else _no_setting(quoted, sorted(sections))
    name, inside, _ = path.partition("[...]")  # a table's key, which the message does not tell
    value = _shown(name, _found(tree, name))
    wanted = _KINDS.get(quoted, problem)
    if quoted not in ("array", "object"):
        wanted = " or ".join(choices(annotation_of(name))) or wanted
    return f"{name}: {value} {'holds something that is not' if inside else 'is not'} {wanted}"


def _found(tree: Mapping[str, Any], path: str) -> Any:
    value: Any = tree
    for part in path.replace("[", ".").replace("]", "").split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def _shown(name: str, value: Any) -> str:
    return "the value" if name in SECRET else repr(value)
