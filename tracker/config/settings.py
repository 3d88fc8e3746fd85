"""Everything that can be set, in sections, with what it is when nobody sets it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from msgspec import Struct, field, structs

Role = Literal["intake", "delivery", "poller"]

_EVERY_ADDRESS = ("0.0.0.0", "::")  # listened on, they are no address to be reached at


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A group of settings; an unknown name is an error, since it is a typing mistake."""


class StoreSection(Section, frozen=True, kw_only=True):
    """Where the shipments are."""

    url: str = ""  # "" runs the embedded server; redis://, redis+sentinel://, redis+cluster://; rediss… with TLS
    shards: int = 0  # fixed when a store is created; 0: as it was, and a new one gets 64
    durability: Literal["always", "relaxed"] = "always"


class HttpSection(Section, frozen=True, kw_only=True):
    """Where Milepost listens."""

    host: str = "127.0.0.1"
    port: int = 8040
    public_url: str = ""  # how carriers and buyers reach it; "" is http://host:port, unless that is every address
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


class BackfillSection(Section, frozen=True, kw_only=True):
    """How order stores are asked what their platforms did not push."""

    every_min: float = 15.0  # minutes between two rounds; 0: only who asks for one
    first_days: float = 2.0  # so far back the first round of an order store begins


class ShipmentsSection(Section, frozen=True, kw_only=True):
    """How long shipments are kept."""

    keep_days: float = 180.0  # after the last that was written of a closed one; 0: until they are deleted


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
    backfill: BackfillSection = field(default_factory=BackfillSection)
    shipments: ShipmentsSection = field(default_factory=ShipmentsSection)
    feed: FeedSection = field(default_factory=FeedSection)
    audit: AuditSection = field(default_factory=AuditSection)
    privacy: PrivacySection = field(default_factory=PrivacySection)

    @property
    def directory(self) -> Path:
        return Path(self.data).expanduser()

    @property
    def public_url(self) -> str:
        """How it is reached: as it is set, else where it listens."""
        host = f"[{self.http.host}]" if ":" in self.http.host else self.http.host
        return self.http.public_url.rstrip("/") or f"http://{host}:{self.http.port}"

    @property
    def known_url(self) -> str:
        """The same, where somebody else can use it; "" where all we know is that it listens on every address."""
        return "" if urlsplit(self.public_url).hostname in _EVERY_ADDRESS else self.public_url

    def heard_on(self, port: int) -> Settings:
        """The same, with the port that a port of 0 became."""
        return structs.replace(self, http=structs.replace(self.http, port=port))


def networks(written: Sequence[str]) -> list[IPv4Network | IPv6Network]:
    """The networks of a setting that was checked."""
    return [ip_network(network) for network in written]
