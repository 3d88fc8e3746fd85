"""What a carrier adapter sees of Milepost: types, times, signatures, parsing aids. Nothing else.

An adapter is a folder under `carriers/` (or an installed package with the entry point `milepost.carriers`) that exposes
one frozen `Carrier` named `carrier`. It says what codes mean in a table, turns bytes into reports in `parse`, and asks
in `fetch` through the `Http` that it is given. It opens no connection and reads no clock of its own.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from operator import itemgetter, le
from typing import Literal, Protocol

from msgspec import Struct

from carriers.reading import (
    ParseError,
    dict_at,
    form,
    list_at,
    moment,
    moment_at,
    moment_or_none,
    object_of,
    read_json,
    rows_at,
    text_at,
)
from tracker.catalogue import codes_at
from tracker.model import (
    Certainty,
    Milestone,
    Moment,
    Problem,
    ProblemKind,
    Reason,
    Report,
    Scan,
    Summary,
)
from tracker.normalise import Coarse, Meaning, coarse, look_up

__all__ = [
    "Answer",
    "Ask",
    "Carrier",
    "Certainty",
    "Coarse",
    "Credential",
    "Http",
    "M",
    "Meaning",
    "Moment",
    "ParseError",
    "Problem",
    "ProblemKind",
    "Push",
    "R",
    "Reply",
    "Report",
    "Scan",
    "Signed",
    "Summary",
    "coarse",
    "codes_at",
    "dict_at",
    "form",
    "hmac_sha256",
    "list_at",
    "look_up",
    "moment",
    "moment_at",
    "moment_or_none",
    "object_of",
    "oldest_first",
    "read_json",
    "rows_at",
    "same_secret",
    "text_at",
    "token_of",
]

M = Milestone
R = Reason


class Ask(Struct, frozen=True, kw_only=True):
    """One waybill to ask about, with what the carrier may want to know beside it."""

    number: str
    carrier: str = ""  # the carrier's slug, where the connection is an aggregator's
    phone_tail: str = ""  # the last four digits
    postal_code: str = ""
    ship_date: str = ""  # YYYY-MM-DD


class Reply(Struct, frozen=True):
    """An HTTP answer: any status below 500 except 401 and 429, which `Http` deals with."""

    status: int
    content_type: str
    body: bytes


class Http(Protocol):
    """The way out for one connection: budget, retries, breaker, metrics and token refresh live behind it."""

    @property
    def credentials(self) -> Mapping[str, str]:
        """What the connection holds, by the names in `Carrier.credentials`."""

    @property
    def base(self) -> str:
        """The carrier's base address: the adapter's own, unless the connection names another."""

    def now(self) -> float:
        """Seconds since 1970, for the carriers that sign a timestamp."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Sequence[tuple[str, str]] | None = None,
        data: bytes | None = None,
    ) -> Reply:
        """Send one request; `url` may be a path below `base`."""

    async def token(self, key: str, obtain: Callable[[Http], Awaitable[tuple[str, float]]]) -> str:
        """The cached token of that key; `obtain` returns a fresh one and its life in seconds.

        A 401 forgets the token: `fetch` is called once more with a fresh one.
        """


class Push(Struct, frozen=True, kw_only=True):
    """A request that a carrier sent to us, its body as the bytes that came."""

    headers: Mapping[str, str]  # names in lower case
    query: Mapping[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "")


class Credential(Struct, frozen=True):
    """One thing that a connection must (or may) hold."""

    name: str
    about: str
    secret: bool = True
    required: bool = True


Parse = Callable[[bytes, str], Sequence[Report]]
Fetch = Callable[[Http, Sequence[Ask]], Awaitable[Sequence[Reply]]]
Verify = Callable[[Push, Mapping[str, str]], bool]  # the request, the connection's credentials → genuine?
Subscribe = Callable[[Http, Sequence[Ask], str], Awaitable[Mapping[str, str]]]  # callback URL → refusals by number
Unsubscribe = Callable[[Http, Sequence[Ask]], Awaitable[None]]
Answer = tuple[int, str, bytes]  # status, content type, body
Acknowledge = Callable[[bool], Answer]  # accepted?
Respond = Callable[[Push, bool, int], Answer]  # the push, accepted?, now (ms)
Greet = Callable[[Push, Mapping[str, str]], Answer | None]  # a GET, the connection's credentials; None: not genuine


class Signed(Struct, frozen=True):
    """A time that a push's signature covers, where the carrier's does: an old push is then refused.

    `at` is asked after `verify`: seconds since 1970, None where the push carries none. It must read what `verify`
    covers and nothing else. `repeated_s`: how long the carrier goes on sending a push that had no 2xx under its first
    signature; 0 where it signs each attempt anew. Where its documents do not say, be generous: what is refused is lost.
    """

    at: Callable[[Push], float | None]
    repeated_s: float = 0.0


class Carrier(Struct, frozen=True, kw_only=True):
    """One carrier's or aggregator's interface: a record of functions."""

    slug: str
    name: str
    name_zh: str = ""
    docs: str
    milestones: Mapping[str, Meaning]
    parse: Parse
    base: str = ""  # the production address
    sandbox: str = ""
    aggregator: bool = False
    carriers: Mapping[str, str] = {}  # an aggregator's own carrier code → our slug: `codes_at(slug)`
    numbers: Sequence[str] = ()  # regular expressions of whole waybill numbers
    batch: int = 1  # numbers per query
    fetch: Fetch | None = None
    verify: Verify | None = None  # None: pushes are protected by the secret in the URL alone
    signed: Signed | None = None  # the time that `verify` covers
    subscribe: Subscribe | None = None
    unsubscribe: Unsubscribe | None = None
    acknowledge: Acknowledge | None = None  # None: 200 with an empty body
    respond: Respond | None = None  # in its place, where the answer speaks of the push, or of the time
    greet: Greet | None = None  # answers the GET by which a carrier tries an address before it pushes there
    min_interval: float = 0.0  # seconds between two queries for one waybill
    rate: float = 5.0  # queries a second and connection
    full_history: bool = False  # a query's answer is complete: a scan missing from it was withdrawn
    credentials: Sequence[Credential] = ()
    needs: Callable[[Ask], str] | None = None  # what a registration lacks, named, or ""
    zone: str = ""  # the documented zone of times without an offset, for people; the parse applies it


# ---------------------------------------------------------------- scans


def oldest_first(scans: Iterable[Scan]) -> tuple[Scan, ...]:
    """The scans in the order in which they happened; those of one second, and those without a time, keep their place.

    A list that runs from newest to oldest is turned round first, so that the carrier's own order survives within a
    second.
    """
    rows = list(scans)
    times = [scan.time.instant for scan in rows if scan.time]
    if times and times[0] > times[-1]:
        rows.reverse()
        times.reverse()
    if all(map(le, times, times[1:])):
        return tuple(rows)
    last = min(times)
    keyed = [(last := scan.time.instant if scan.time else last, scan) for scan in rows]
    return tuple(scan for _, scan in sorted(keyed, key=itemgetter(0)))


# ---------------------------------------------------------------- tokens


def token_of(reply: Reply, *, life_s: float) -> tuple[str, float]:
    """The access token of an OAuth answer (RFC 6749, 5.1) and its life in seconds, `life_s` where it does not say.

    Raises ParseError for an answer without one.
    """
    answer = object_of(read_json(reply.body), "$")
    token, life = text_at(answer, "access_token", "$"), text_at(answer, "expires_in", "$")
    if not token:
        raise ParseError("$.access_token", f"it gave no token, status {reply.status}")
    try:
        return token, float(life or life_s)
    except ValueError:
        raise ParseError("$.expires_in", f"not a number of seconds: {life[:40]!r}") from None


# ---------------------------------------------------------------- signatures


def same_secret(given: str, expected: str) -> bool:
    """Whether two signatures or secrets are equal, in constant time; an empty one equals nothing."""
    return bool(given) and bool(expected) and hmac.compare_digest(given.encode(), expected.encode())


def hmac_sha256(
    header: str, *, secret: str = "webhook_secret", encoding: Literal["base64", "hex"] = "base64", prefix: str = ""
) -> Verify:
    """A `verify` for HMAC-SHA256 over the raw body, keyed by the credential `secret` as UTF-8, sent in `header`.

    A connection without that secret accepts nothing. `prefix` stands before the signature (`sha256=`).
    """

    def verify(push: Push, credentials: Mapping[str, str]) -> bool:
        key, given = credentials.get(secret, ""), push.headers.get(header.lower(), "").strip()
        if not key or not given.startswith(prefix):
            return False
        digest = hmac.new(key.encode(), push.body, hashlib.sha256).digest()
        if encoding == "hex":
            return same_secret(given[len(prefix) :].lower(), digest.hex())
        return same_secret(given[len(prefix) :], base64.b64encode(digest).decode())

    return verify
