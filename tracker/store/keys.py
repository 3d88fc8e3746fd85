"""Where everything lies: shards, their hash tags, the keys of a shard and the identifiers that carry a shard.

Every key of a shard begins with its tag, `{s3f0a}`, so that a cluster keeps them together:

| key | type | holds |
|---|---|---|
| `d:<id>` | string | document: version u32, revision u32, bytes |
| `n:<bucket>` | hash | 8-byte digest of a waybill → id (6 bytes; 8 with the shard: an alias), of an order → ids |
| `i:<account>:<status>`, `z:<account>` | zset | ids by registration; `z` the stalled ones by how long they have been |
| `g` | hash | deleted shipments → their aliases in other shards, until those are gone: shard u16, digest |
| `due`, `dl` | zset, hash | what is due when; its claims in flight |
| `f`, `fc`, `fm` | stream, string, hash | feed; how far it is fanned out; trimmed to where and how many, by account |
| `x:<account>` | list | positions of the account's entries in the feed |
| `b`, `p` | hash | frozen bodies; how many lanes still need each, where more than one |
| `l`, `r`, `q:<destination>` | hash, zset, zset | lanes; destinations with work; a destination's lanes by due time |
| `c:<claim>` | string | what was answered to a claim, for its lease |
| `D:<account>`, `E:<account>` | hash, zset | dead letters and their order |
| `L:<account>:<destination>` | list | the last delivery attempts, in the destination's home shard |
| `k:<account>:<digest>` | list | scans parked for a waybill that is not registered |
| `K:<account>`, `W:<account>` | zset, hash | what they are, by when last heard of; bytes of each, of all |
| `u:<account>`, `v:<account>` | hash, zset | quarantined bodies, and bytes of all; their order: in its home shard |
| `a:<account>` | stream | who did what, in the account's home shard |
| `t` | set | tombstones of accounts (`a:`) and destinations (`d:`) |
| `w` | channel | the account of each commit, empty where lanes were filled; who waits listens |
| `id` | string | the store's id, which `meta` has too: gone where somebody emptied the server |
| `fence` | string | empty; written behind what is read, in a cluster with replicas, so that `WAIT` covers it |

Control records lie under the tag `{milepost}`: `meta`, `rv` (versions), `t` and a hash `r:<kind>` each; and what
carriers said that nothing covers, a hash `s:<account>` each and `s:` for all of them: carrier, kind and key → count,
first and last, text and shipment; carrier and kind → how many keys. And a zset `m:<account>:<owner>` of what was done
once, which expires: the pushes that a connection was told, by a digest of each, where the carrier signs a time; what an
order store was told of in vain; the sessions of a key that were ended.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from functools import cache, lru_cache
from hashlib import blake2b

SLOTS = 16_384
BUCKETS = 256
MAX_SHARDS = 1024
LAYOUT = 1
CONTROL = b"{milepost}"
_IDS = 8_192  # remembered both ways: one change names its shipment a dozen times on its way out

_DIGITS = "0123456789abcdefghijklmnopqrstuv"
_KINDS = {
    "registered": b"r",
    "updated": b"u",
    "pending": b"n",
    "info_received": b"i",
    "picked_up": b"p",
    "in_transit": b"t",
    "out_for_delivery": b"o",
    "delivery_failed": b"f",
    "available_for_pickup": b"a",
    "delivered": b"d",
    "exception": b"e",
    "returning": b"g",
    "returned": b"b",
    "cancelled": b"c",
    "expired": b"x",
    "stalled": b"s",
    "moving_again": b"m",
    "corrected": b"k",
    "deleted": b"z",
}
_KIND_OF = {code: kind for kind, code in _KINDS.items()}


ORDERLESS = b"-"  # before the code of a change that concerns no order


def kind_code(kind: str) -> bytes:
    """The kind of a change as it is stored: one letter, or the word itself where there is none for it."""
    return _KINDS.get(kind) or kind.encode()


def kind_of(code: bytes) -> str:
    """The kind of a change from its stored code."""
    return _KIND_OF.get(code) or code.decode()


def slot_of(key: bytes) -> int:
    """The cluster slot of a key, by its hash tag if it has one."""
    start = key.find(b"{")
    end = key.find(b"}", start + 1)
    tagged = key[start + 1 : end] if start >= 0 and end > start + 1 else key
    return binascii.crc_hqx(tagged, 0) % SLOTS


def _tag(shard: int, shards: int) -> bytes:
    """A tag whose slot lies in the shard's equal share of the slots, so that primaries get equal numbers of shards."""
    for attempt in range(1 << 16):
        tag = b"{s%02x%x}" % (shard, attempt)
        if slot_of(tag) * shards // SLOTS == shard:
            return tag
    raise AssertionError(f"no tag for shard {shard} of {shards}")


@cache
def tags(shards: int) -> tuple[bytes, ...]:
    """The hash tags of a store of so many shards."""
    return tuple(_tag(shard, shards) for shard in range(shards))


def digest(purpose: bytes, account: str, value: str) -> bytes:
    """Eight bytes that stand for a number of an account in an index."""
    return blake2b(f"{account}\0{value}".encode(), digest_size=8, person=purpose).digest()


@lru_cache(maxsize=_IDS)
def encode_id(prefix: str, shard: int, local: bytes) -> str:
    """`shp_` + two digits of the shard + ten of the six random bytes, in base 32."""
    number = int.from_bytes(local, "big")
    digits = [_DIGITS[number >> shift & 31] for shift in range(45, -1, -5)]
    return f"{prefix}{_DIGITS[shard >> 5]}{_DIGITS[shard & 31]}{''.join(digits)}"


@lru_cache(maxsize=_IDS)
def decode_id(prefix: str, id: str) -> tuple[int, bytes]:
    """Shard and the six bytes of an identifier; `ValueError` where it is none of ours."""
    try:
        body = id.removeprefix(prefix)
        shard, local = int(body[:2], 32), int(body[2:], 32).to_bytes(6, "big")
        if encode_id(prefix, shard, local) == id:
            return shard, local
    except (ValueError, OverflowError, IndexError):
        pass
    raise ValueError(f"{id!r} is not an identifier of the form {prefix}…")


def encode_cursor(parts: bytes) -> str:
    """An opaque cursor for a URL."""
    return base64.urlsafe_b64encode(parts).rstrip(b"=").decode()


def decode_cursor(cursor: str) -> bytes:
    """The bytes of an opaque cursor; `ValueError` where it is not one."""
    try:
        return base64.b64decode(cursor.encode() + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise ValueError(f"cursor {cursor!r} is not one of ours") from None


class Keys:
    """The keys of a store of `shards` shards."""

    def __init__(self, shards: int) -> None:
        if not 1 <= shards <= MAX_SHARDS:
            raise ValueError(f"shards: {shards} is not between 1 and {MAX_SHARDS}")
        self.shards = shards
        self.tags = tags(shards)
        self.slots = tuple(slot_of(tag) for tag in self.tags)
        fixed = ("due", "dl", "f", "fc", "fm", "b", "p", "l", "r", "t", "w", "id", "g")
        self._fixed = {name: tuple(tag + name.encode() for tag in self.tags) for name in fixed}
        self.due, self.leases = self._fixed["due"], self._fixed["dl"]
        self.feed, self.fanned, self.marks = self._fixed["f"], self._fixed["fc"], self._fixed["fm"]
        self.bodies, self.pending = self._fixed["b"], self._fixed["p"]
        self.lanes, self.ready, self.tombs = self._fixed["l"], self._fixed["r"], self._fixed["t"]
        self.channel, self.id = self._fixed["w"], self._fixed["id"]
        self.deleted = self._fixed["g"]

    def shard_of(self, account: str, number: str) -> int:
        """The shard that owns a waybill of an account."""
        return binascii.crc32(f"{account}\0{number}".encode()) % self.shards

    def new_id(self, shard: int) -> str:
        """A fresh shipment id of a shard."""
        return encode_id("shp_", shard, secrets.token_bytes(6))

    def named(self, account: str, name: str) -> str:
        """The id that follows from a name."""
        local = blake2b(f"{account}\0{name}".encode(), digest_size=6, person=b"notice").digest()
        return encode_id("shp_", self.shard_of(account, name), local)

    def split(self, id: str, prefix: str = "shp_") -> tuple[int, bytes]:
        """Shard and local part of an identifier; `ValueError` where it is none of this store's."""
        shard, local = decode_id(prefix, id)
        if shard >= self.shards:
            raise ValueError(f"{id!r} names shard {shard}; this store has {self.shards}")
        return shard, local

    def document(self, shard: int, local: bytes) -> bytes:
        return self.tags[shard] + b"d:" + local

    def fence(self, shard: int) -> bytes:
        """What is written after reads, so that `WAIT` covers what they saw."""
        return self.tags[shard] + b"fence"

    def number(self, shard: int, field: bytes) -> bytes:
        return b"%bn:%d" % (self.tags[shard], field[0] % BUCKETS)

    def index(self, shard: int, account: str, status: str) -> bytes:
        return self.tags[shard] + f"i:{account}:{status}".encode()

    def queue(self, shard: int, destination: str) -> bytes:
        return self.tags[shard] + b"q:" + destination.encode()

    def claim(self, shard: int, claim: str) -> bytes:
        return self.tags[shard] + b"c:" + claim.encode()

    def of_lanes(self, shard: int) -> tuple[bytes, ...]:
        """What each function over a shard's lanes is told of first, in this order."""
        return self.lanes[shard], self.ready[shard], self.bodies[shard], self.pending[shard], self.tombs[shard]

    def of_account(self, shard: int, letter: bytes, account: str) -> bytes:
        """A key of the form `x:<account>`; the table above names the letters."""
        return b"%b%b:%b" % (self.tags[shard], letter, account.encode())

    def parked(self, shard: int, account: str, waybill: str) -> bytes:
        return self.parked_as(shard, account, digest(b"parked", account, waybill).hex().encode())

    def parked_as(self, shard: int, account: str, name: bytes) -> bytes:
        """Where scans are parked under that name, the digest of their waybill."""
        return b"%bk:%b:%b" % (self.tags[shard], account.encode(), name)

    def log(self, account: str, destination: str) -> tuple[int, bytes]:
        """The home shard of a destination's delivery log, and its key."""
        shard = self.shard_of(account, destination)
        return shard, self.tags[shard] + f"L:{account}:{destination}".encode()

    def trail(self, account: str) -> tuple[int, bytes]:
        """The home shard of an account's audit trail, and its key."""
        shard = self.shard_of(account, "audit")
        return shard, self.of_account(shard, b"a", account)
