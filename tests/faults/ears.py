"""Many healthy subscribers at once, for long: each at a path of its own, each message accounted for until forgotten."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from hashlib import blake2b
from types import TracebackType
from typing import Self

import msgspec

from tests.bench.http1 import listen
from tests.faults.daemon import Daemon
from webhooks.standard import Signer

_ACCEPTED = b"HTTP/1.1 204 No Content\r\n\r\n"
_REFUSED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"


class Subscriber:
    """What came to one path: each message's digest, and the highest revision of each shipment."""

    def __init__(self, secret: str) -> None:
        self.signer = Signer([secret])
        self.digests: dict[str, bytes] = {}
        self.highest: dict[str, int] = {}


class Ears:
    """`async with Ears() as ears`, then `await ears.subscribe(daemon, 9)`."""

    def __init__(self) -> None:
        self.subscribers: dict[str, Subscriber] = {}
        self.arrivals = 0
        self.wrong: Counter[str] = Counter()  # forged, misordered, differing: must stay empty
        self.repeated = 0
        self.port = 0
        self._server: asyncio.Server | None = None

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"

    async def subscribe(self, daemon: Daemon, number: int) -> None:
        """Subscribe so many endpoints, each by its number."""
        for name in map(str, range(number)):
            made = await daemon.call("POST", "/v1/subscriptions", {"url": self.url(name)})
            self.subscribers[name] = Subscriber(made["secret"])

    async def __aenter__(self) -> Self:
        self._server, self.port = await listen(self._answer)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server
        self._server.close()

    def missing(self, ids: Iterable[str]) -> int:
        """How many of the messages some subscriber has not had yet."""
        wanted = list(ids)
        return sum(id not in one.digests for one in self.subscribers.values() for id in wanted)

    def forget(self, ids: Iterable[str], shipments: Iterable[str]) -> None:
        """Keep no account any more of messages that everybody has had."""
        gone, of = list(ids), list(shipments)
        for one in self.subscribers.values():
            for id in gone:
                del one.digests[id]
            for shipment in of:
                del one.highest[shipment]

    def _answer(self, head: bytes, body: bytes) -> bytes:
        lines = head.split(b"\r\n")
        one = self.subscribers[lines[0].split(b" ")[1][1:].decode()]
        said = dict(line.split(b": ", 1) for line in lines[1:] if line)
        id, signed = said[b"webhook-id"].decode(), said[b"webhook-signature"].decode()
        if one.signer.sign(id, int(said[b"webhook-timestamp"]), body) not in signed.split(" "):
            self.wrong["forged"] += 1
            return _REFUSED
        self.arrivals += 1
        self._account(one, id, body)
        return _ACCEPTED

    def _account(self, one: Subscriber, id: str, body: bytes) -> None:
        digest = blake2b(body, digest_size=16).digest()
        before = one.digests.setdefault(id, digest)
        if before is not digest:
            self.repeated += 1
            self.wrong["differing"] += before != digest
            return
        data = msgspec.json.decode(body)["data"]
        shipment, revision = data["shipment"]["id"], data["revision"]
        self.wrong["misordered"] += revision < one.highest.get(shipment, 0)
        one.highest[shipment] = max(revision, one.highest.get(shipment, 0))
