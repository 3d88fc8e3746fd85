"""Settings: a TOML file, then the environment, then flags, each over the one before; checked once, at start.

A setting is named `section.name` everywhere: `[section] name = …` in the file, `MILEPOST_SECTION_NAME` in the
environment, `--set section.name=…` on the command line. Parts are handed their section and never look here.
"""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec
from msgspec import Struct, field

from tracker.errors import ConfigError

ENV = "MILEPOST_"


Role = Literal["intake", "delivery", "poller"]


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A group of settings; an unknown name is an error, since it is a typing mistake."""


class StoreSection(Section, frozen=True, kw_only=True):
    """Where the shipments are."""

    url: str = ""  # "" runs the embedded server; redis://, redis+sentinel://, redis+cluster://; rediss… with TLS
    shards: int = 64  # fixed when a store is created
    durability: Literal["always", "relaxed"] = "always"


class HttpSection(Section, frozen=True, kw_only=True):
    """Where Milepost listens."""

    host: str = "127.0.0.1"
    port: int = 8040
    public_url: str = ""  # how carriers and buyers reach it; "" is http://host:port
    metrics_token: str = ""  # what asks for /metrics must send; "" is open, and names no account but the operator's
    open_console: bool = False  # pages without sign-in, for the demo: everybody is the account `default`
    header_s: float = 10.0  # from a connection, or a request's first byte, to the end of its head
    body_s: float = 30.0  # for a request's body; after 10 s it has to come at 1 KiB a second
    idle_s: float = 75.0  # between two requests on a connection
    write_s: float = 30.0  # in which a reader of an answer has to take 1 KiB a second
    max_connections: int = 8_192  # at once, in this process
    max_per_address: int = 512  # of them from one address that is no trusted proxy; 0: any number
    trusted_proxies: tuple[str, ...] = ()  # networks of proxies that are believed whom they speak for
    forwarded: Literal["x-forwarded-for", "forwarded"] = "x-forwarded-for"  # the header in which they say it


class LimitsSection(Section, frozen=True, kw_only=True):
    """How often each may come, in this process; 0: no bound."""

    key_rate: float = 500.0  # requests a second of one API key
    push_rate: float = 10_000.0  # pushes of up to 8 KiB a second of one connection; a larger one counts as several
    stranger_rate: float = 20.0  # requests a second of one address without a right key, secret or signature
    replay_s: float = 300.0  # how far the time that a carrier signed may be from ours; 0: it is not looked at
    window_s: float = 30.0  # so many seconds' worth may come at once
    quarantine_mib: float = 64.0  # bodies of one account that nobody could read; beyond it none is taken in
    parked_mib: float = 256.0  # scans of one account's waybills that nobody registered; beyond it the oldest make room


class LogSection(Section, frozen=True, kw_only=True):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"  # auto: console in a terminal, JSON elsewhere


class SecretsSection(Section, frozen=True, kw_only=True):
    """The key that seals credentials at rest."""

    key: str = ""  # 32 bytes in base64; "" makes one in the data directory


class DeliverySection(Section, frozen=True, kw_only=True):
    """How changes go out."""

    per_destination: int = 16  # deliveries under way at once for one destination
    total: int = 512
    timeout_s: float = 15.0
    schedule_factor: float = 1.0  # multiplies the retry schedule; the demo compresses it
    disable_after_days: float = 5.0  # of failures alone switch a subscription off
    pause_days: float = (
        14.0  # so long what happens waits for a paused subscription, and no longer than the feed is kept
    )


class EgressSection(Section, frozen=True, kw_only=True):
    """Which addresses we may send requests to besides public ones."""

    allow: tuple[str, ...] = ()  # networks: 10.0.0.0/8
    deny: tuple[str, ...] = ()  # public networks that are refused all the same
    ports: tuple[int, ...] = ()  # besides 80, 443, 8080, 8443
    ca_file: str = ""  # PEM: authorities that are trusted besides the system's


class PollSection(Section, frozen=True, kw_only=True):
    """How carriers are asked."""

    factor: float = 1.0  # multiplies the cadence; a carrier's own minimum interval always holds
    concurrency: int = 8  # queries under way at once for one connection
    claim: int = 500  # shipments taken from the agenda at once


class StallSection(Section, frozen=True, kw_only=True):
    """When a parcel counts as stalled; hours per stage, over the defaults of `tracker.stall`."""

    factor: float = 1.0
    hours: Mapping[str, float] = {}  # stage → hours
    carriers: Mapping[str, Mapping[str, float]] = {}  # carrier → stage → hours
    accounts: Mapping[str, Mapping[str, float]] = {}  # account, or account/carrier → stage → hours
    expire_days: float = 30.0


class OrdersSection(Section, frozen=True, kw_only=True):
    """The order book."""

    url: str = ""  # "" is SQLite in the data directory; otherwise a SQLAlchemy async address
    ship_within_h: float = 48.0  # a paid order that waits longer needs attention


class FeedSection(Section, frozen=True, kw_only=True):
    """How long the feed of changes is kept."""

    keep_days: float = 30.0
    keep_entries: int = 1_000_000  # per shard


class AuditSection(Section, frozen=True, kw_only=True):
    """How long it is kept who did what, for each account."""

    keep_days: float = 365.0
    keep_entries: int = 100_000


class PrivacySection(Section, frozen=True, kw_only=True):
    """What of the personal data in carriers' words is masked before anything is stored."""

    mask: Literal["off", "contact", "all"] = "off"
    accounts: Mapping[str, Literal["off", "contact", "all"]] = {}  # over `mask`


class Settings(Section, frozen=True, kw_only=True):
    """Everything that can be set."""

    data: str = ".milepost"  # the data directory
    roles: tuple[Role, ...] = ("intake", "delivery", "poller")  # what this process does
    processes: Literal["one", "roles"] = "one"  # roles: one for each role, on http.port and the ports after it
    store: StoreSection = field(default_factory=StoreSection)
    http: HttpSection = field(default_factory=HttpSection)
    limits: LimitsSection = field(default_factory=LimitsSection)
    log: LogSection = field(default_factory=LogSection)
    secrets: SecretsSection = field(default_factory=SecretsSection)
    delivery: DeliverySection = field(default_factory=DeliverySection)
    egress: EgressSection = field(default_factory=EgressSection)
    poll: PollSection = field(default_factory=PollSection)
    stall: StallSection = field(default_factory=StallSection)
    orders: OrdersSection = field(default_factory=OrdersSection)
    feed: FeedSection = field(default_factory=FeedSection)
    audit: AuditSection = field(default_factory=AuditSection)
    privacy: PrivacySection = field(default_factory=PrivacySection)

    @property
    def directory(self) -> Path:
        return Path(self.data).expanduser()

    @property
    def public_url(self) -> str:
        return self.http.public_url.rstrip("/") or f"http://{self.http.host}:{self.http.port}"


def networks(written: Sequence[str]) -> list[IPv4Network | IPv6Network]:
    """The networks of a setting that was checked."""
    return [ip_network(network) for network in written]


# what the command line reads itself: the settings file, and where and as whom it asks a running daemon
_CLIENT = (ENV + "CONFIG", ENV + "URL", ENV + "API_KEY")
_SECRET = ("secrets.key", "http.metrics_token", "store.url", "orders.url")
_LEAST_TOKEN = 16  # characters
_STORES = ("redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster", "unix")


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
    _check(settings)
    return settings


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"settings file {file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"settings file {file} is not TOML: {error}") from None


def _from_env(env: Mapping[str, str]) -> list[tuple[str, str]]:
    known = {ENV + name.replace(".", "_").upper(): name for name in names()}
    found = []
    for key, value in sorted(env.items()):
        if key.startswith(ENV) and key not in _CLIENT:
            if key not in known:
                raise ConfigError(f"environment: {key} is no setting; `milepost config` lists them")
            found.append((known[key], value))
    return found


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


def _put(tree: dict[str, Any], name: str, value: str) -> None:
    if name not in names():
        raise ConfigError(f"{name} is no setting; `milepost config` lists them")
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
    return _value(Settings(), name)


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
        return f"{path}{'.' if path else ''}{quoted} is no setting; `milepost config` lists them"
    name, inside, _ = path.partition("[...]")  # a table's key, which the message does not tell
    value = _shown(name, _found(tree, name))
    wanted = _KINDS.get(quoted, problem)
    if quoted not in ("array", "object"):
        wanted = " or ".join(_choices(_annotation(name))) or wanted
    return f"{name}: {value} {'holds something that is not' if inside else 'is not'} {wanted}"


def _found(tree: Mapping[str, Any], path: str) -> Any:
    value: Any = tree
    for part in path.replace("[", ".").replace("]", "").split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def _shown(name: str, value: Any) -> str:
    return "the value" if name in _SECRET else repr(value)


def _choices(kind: Any) -> list[str]:
    """The texts that a setting of that type may have, where they are few."""
    inner = get_args(kind)
    return [one for one in inner if isinstance(one, str)] or [one for some in inner for one in _choices(some)]


def _annotation(name: str) -> Any:
    kind: Any = Settings
    for part in name.split("[", maxsplit=1)[0].split("."):
        kind = next((f.type for f in msgspec.structs.fields(kind) if f.name == part), None)
    return kind


def _check(settings: Settings) -> None:
    for name in ("egress.allow", "egress.deny", "http.trusted_proxies"):
        try:
            networks(_value(settings, name))
        except ValueError as error:
            raise ConfigError(f"{name}: {error}; a network is written 10.0.0.0/8") from None
    for name, (low, high) in _RANGES.items():
        _between(name, _value(settings, name), low, high)
    for name in _POSITIVE:
        value = _value(settings, name)
        if not 0 < value < math.inf:
            raise ConfigError(f"{name}: {value} must be more than 0{' and finite' if value > 0 else ''}")
    if not settings.roles:
        raise ConfigError(f"roles: there are none; name one or more of {', '.join(_choices(_annotation('roles')))}")
    _check_addresses(settings)


_RANGES = {
    "http.port": (0, 65_535),
    "http.header_s": (0.5, 300),
    "http.body_s": (0.5, 3_600),
    "http.idle_s": (0.5, 3_600),
    "http.write_s": (0.5, 3_600),
    "http.max_connections": (1, 1_000_000),
    "http.max_per_address": (0, 1_000_000),
    "store.shards": (1, 4_096),
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


def _check_addresses(settings: Settings) -> None:
    scheme, parted, _ = settings.store.url.partition("://")
    if settings.store.url and not (parted and scheme in _STORES):
        shown = repr(scheme) if parted else "an address without ://"  # what has no scheme may begin with a password
        raise ConfigError(
            f"store.url: {shown} is no kind of store; redis://, redis+sentinel:// and redis+cluster:// are"
        )
    if 0 < len(settings.http.metrics_token) < _LEAST_TOKEN:
        raise ConfigError(f"http.metrics_token: must have {_LEAST_TOKEN} characters or more: `openssl rand -hex 16`")
    public = settings.http.public_url
    if public and not public.startswith(("http://", "https://")):
        raise ConfigError(f"http.public_url: {public!r} must begin with https:// or http://")


def _value(settings: Settings, name: str) -> Any:
    value: Any = settings
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _between(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ConfigError(f"{name}: {value} is not between {low} and {high}")


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
        value = _value(settings, name)
        hidden = name in _SECRET and value and ("@" in value or not name.endswith(".url"))
        rows.append((name, "(hidden)" if hidden else msgspec.json.encode(value).decode()))
    return rows
