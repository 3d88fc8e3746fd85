"""What the adapter of an order platform sees of Milepost: what it is told, its way out, and the record it fills in.

An adapter is a module under `tracker/order_stores/platforms/` (or an installed package with the entry point
`milepost.order_stores`) that exposes one frozen `Platform` named `platform`. It opens no connection of its own.

Telling must be idempotent: a reply may be lost, and the same parcel is told again. So look at what is there first.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import unescape
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from carriers.sdk import (
    Credential,
    ParseError,
    Push,
    Verify,
    hmac_sha256,
    object_of,
    read_json,
    rows_at,
    text_at,
)
from tracker.catalogue import listed
from tracker.errors import BadInput, MilepostError
from tracker.milestones import STATUSES
from tracker.model import Status
from tracker.orders import Order, OrderStatus, OrderUpdate, order_view

__all__ = [
    "LANGUAGES",
    "BadInput",
    "Credential",
    "Fulfilment",
    "Http",
    "Limited",
    "Option",
    "Order",
    "OrderStatus",
    "OrderUpdate",
    "Page",
    "ParseError",
    "Platform",
    "Push",
    "Refused",
    "Reply",
    "Status",
    "Told",
    "Unavailable",
    "at",
    "excerpt",
    "happened_at",
    "hmac_sha256",
    "latest_is",
    "object_of",
    "objects",
    "order_view",
    "phone_tail",
    "postal_code",
    "read_json",
    "rows_at",
    "sentence",
    "text_at",
]

LANGUAGES = ("en", "zh")
_EXCERPT = 200


class Refused(MilepostError):
    """The platform will never take this: the update becomes a dead letter at once, with this reason."""


class Limited(MilepostError):
    """The platform wants to be asked less often: nothing is sent to this order store for `retry_after_s`."""

    def __init__(self, problem: str, *, retry_after_s: float) -> None:
        super().__init__(problem)
        self.retry_after_s = retry_after_s


class Unavailable(MilepostError):
    """It did not take it now: it is away, its answer can't be read, its credentials do not hold, or what we speak of is
    not there yet. Tried again on the schedule of webhooks, and dead at its end."""


class Told(Struct, frozen=True, kw_only=True):
    """One parcel of one order, both as the order book has them now, and the platform's word for where they stand."""

    order: Order
    parcel: OrderUpdate
    word: str  # "": where it stands now is not told


class Reply(Struct, frozen=True):
    """An HTTP answer: any status below 500 except 3xx, 401, 403 and 429, which the way out deals with."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body as JSON; raises Unavailable where it is none: a page of a proxy, an answer that was cut off."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Unavailable(f"answered {self.status} with no JSON: {excerpt(self.body)}") from None


class Http(Protocol):
    """The way out for one order store. Raises Limited and Unavailable."""

    @property
    def credentials(self) -> Mapping[str, str]:
        """What the order store holds, by the names in `Platform.credentials`."""

    @property
    def options(self) -> Mapping[str, str]:
        """Each of `Platform.options`, as it was set or by default."""

    def now(self) -> float:
        """Seconds since 1970, for the platforms that sign a timestamp."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Sequence[tuple[str, str]] | None = None,
        json: Any = None,
        data: bytes | None = None,
    ) -> Reply:
        """Send one request below the order store's address, once; `json` or `data` is its body, JSON if not said."""

    async def token(self, obtain: Callable[[], Awaitable[tuple[str, float]]]) -> str:
        """The token that is held, or a fresh one: `obtain` gives it and its life in seconds. A 401 forgets it."""


class Option(Struct, frozen=True):
    """A choice that an order store may make; the first is made where it makes none."""

    name: str
    about: str
    choices: tuple[str, ...]


class Fulfilment(Struct, frozen=True, kw_only=True):
    """A waybill that a platform says it has handed to a carrier; `carrier` in the platform's words, "" unknown."""

    order_number: str
    waybill: str
    carrier: str = ""
    phone_tail: str = ""  # the last four digits of the recipient's phone: some carriers do not answer without them
    postal_code: str = ""


class Page(Struct, frozen=True, kw_only=True):
    """Some of what a platform has handed to carriers, out of the orders that were updated since a time."""

    fulfilments: Sequence[Fulfilment] = ()
    updated_to: datetime | None = None  # the latest update of an order on it, by the platform's clock
    next: str = ""  # where the next page begins; "": this was the last


Tell = Callable[[Http, Told], Coroutine[Any, Any, None]]
# One page of the fulfilments of all orders that were updated at that time or later, the first updated first: the first
# page, or that which `next` of the one before it names.
Recent = Callable[[Http, datetime, str], Coroutine[Any, Any, Page]]
Probe = Callable[[Http], Coroutine[Any, Any, str]]  # asks what changes nothing; says whom it reached
Fulfilments = Callable[[Push], Sequence[Fulfilment]]


class Platform(Struct, frozen=True, kw_only=True):
    """One order platform's interface: a record of functions."""

    slug: str
    name: str
    docs: str
    address: str  # what the address of an order store looks like, for people
    tell: Tell
    probe: Probe
    words_for: type[Status] | type[OrderStatus] | None = None  # what it has words for: parcels, whole orders
    statuses: Mapping[str, str] = {}  # our status → its word, unless an order store says otherwise; "" is not told
    words: Collection[str] = ()  # every word that it takes; none: whatever fits `word`
    word: str = ""  # a regular expression
    whole_order: bool = True  # what is told depends on the other parcels of the order too
    credentials: Sequence[Credential] = ()
    options: Sequence[Option] = ()
    check: Callable[[Mapping[str, str]], None] | None = None  # raises BadInput for a credential that can't be right
    rate: float = 5.0  # requests a second and order store
    fulfilments: Fulfilments | None = None  # what a push of it says; raises ParseError
    recent: Recent | None = None  # finds what it did not push; raises as `tell` does
    verify: Verify | None = None  # of its pushes; without it the secret in the address alone protects them
    greeting: Callable[[Push], bool] | None = None  # a push that it does not sign and that says nothing


def sentence(told: Told, language: str) -> str:
    """Where a parcel stands, in a few words: `顺丰速运 SF1000000000001：派件中`."""
    carrier = listed().get(told.parcel.carrier)
    word = STATUSES[Status(told.parcel.status)]
    if language == "zh":
        return f"{carrier.zh if carrier else told.parcel.carrier} {told.parcel.waybill}：{word.zh}"
    return f"{carrier.en if carrier else told.parcel.carrier} {told.parcel.waybill}: {word.en}"


def happened_at(parcel: OrderUpdate) -> datetime:
    """When the latest scan happened; where the carrier gave no offset, when we heard of it."""
    try:
        at = datetime.fromisoformat(parcel.last_at)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        at = datetime.fromtimestamp(parcel.updated_at / 1000, UTC)
    return at.astimezone(UTC).replace(microsecond=0)


def latest_is(notes: Iterable[str], told: Told, text: str) -> bool:
    """Whether the newest of the notes that begin like ours about the parcel says `text`; `notes` oldest first."""
    marks = tuple(f" {told.parcel.waybill}{colon}" for colon in ":：")
    ours = [note for note in map(unescape, notes) if any(mark in note for mark in marks)]
    return bool(ours) and ours[-1] == text


def at(value: Any, *path: str) -> Any:
    """What stands there in an answer; None where nothing does."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects of a list in an answer; none where it is no list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def phone_tail(address: Mapping[str, Any]) -> str:
    """The last four digits of an address's `phone`, "" where it has none."""
    digits = [char for char in str(address.get("phone") or "") if char in "0123456789"]
    return "".join(digits[-4:]) if len(digits) >= 4 else ""


def postal_code(text: object) -> str:
    """A postal code as a registration takes it, "" where it is none."""
    code = str(text or "").strip()
    return code if re.fullmatch(r"[A-Za-z0-9 -]{0,16}", code) else ""


def excerpt(body: bytes) -> str:
    """The beginning of an answer, on one line."""
    return " ".join(body[: 4 * _EXCERPT].decode(errors="replace").split())[:_EXCERPT]
