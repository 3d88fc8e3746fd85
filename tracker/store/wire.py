"""From a shard to the server that holds it: one server for all of them here, a cluster in `cluster`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from tracker.store.clock import Clock
from tracker.store.connect import Server, examine, hang_up, open_connection
from tracker.store.flush import FlushLoop, Proof, Refused, packed
from tracker.store.keys import Keys
from tracker.store.types import Gone

ALIVE_S = 5.0  # between two questions to a connection that only listens
Heard = Callable[[bytes, bytes | None], None]


class Wire(Protocol):
    """The way to the shards of a store."""

    publish: bytes  # the command by which a function wakes others

    def shard(self, shard: int) -> FlushLoop:
        """The flush loop of the shard's primary."""

    def control(self) -> FlushLoop:
        """The flush loop of the primary that holds the control records."""

    def primaries(self) -> Iterable[FlushLoop]:
        """Every primary's flush loop."""

    async def run(self) -> None:
        """Serve until cancelled."""

    async def listen(self, heard: Heard) -> None:
        """Call `heard` with the channel of every wake-up, and who it is for, until cancelled.

        With None for each channel as it begins to be heard: what came before went by unheard.
        """

    async def mapped(self) -> None:
        """Return once it is known where the shards are."""

    def prove(self, id: bytes) -> None:
        """From now on each flush looks first whether its primary has the store of that id, if any, in it still."""

    def identities(self) -> dict[str, Server]:
        """What each connected primary said of itself, under a name that its successor keeps."""


async def listened(connection: AbstractConnection, heard: Heard) -> None:
    """Hand every message of a subscribed connection on; ends only by an error, as where a channel is heard no more.

    A connection that is there no more says so to nobody who only listens: it is asked, and has to answer.
    """
    clock = asyncio.get_running_loop().time
    async with asyncio.timeout(2.5 * ALIVE_S) as silence:
        asking = asyncio.create_task(_ask_for_life(connection))
        try:
            while True:
                message = await connection.read_response(timeout=float("inf"), disconnect_on_error=False)
                if message[0] in (b"message", b"smessage"):
                    heard(message[1], message[2])
                elif message[0] in (b"subscribe", b"ssubscribe"):
                    heard(message[1], None)
                elif message[0] == b"pong":
                    silence.reschedule(clock() + 2.5 * ALIVE_S)
                elif message[0] == b"sunsubscribe":
                    raise ConnectionError("a slot has moved: its channels are heard elsewhere")
        finally:
            asking.cancel()


async def _ask_for_life(connection: AbstractConnection) -> None:
    with contextlib.suppress(RedisError, OSError):  # who reads hears of it too
        while True:
            await asyncio.sleep(ALIVE_S)
            await connection.send_command("PING", check_health=False)


def proof_of(keys: Keys, shard: int, id: bytes) -> Proof | None:
    """That the primary of the shard has the store of that id."""
    return Proof(packed(b"GET", keys.id[shard]), id) if id else None


class OneServer:
    """Every shard on one server. `server` are its connection arguments; `find` finds them anew at each connect."""

    publish = b"PUBLISH"

    def __init__(
        self, keys: Keys, find: Callable[[], Awaitable[dict[str, Any]]], durability: str, patience: float
    ) -> None:
        self._keys = keys
        self._find = find
        self._durability = durability
        self._server: Server | None = None
        self._loop = FlushLoop("store", self.connect, patience=patience)

    async def connect(self) -> AbstractConnection:
        """An examined connection."""
        connection = await open_connection(await self._find())
        try:
            self._server = await examine(connection, self._durability)
        except BaseException:
            await hang_up(connection)
            raise
        self._loop.wait_replicas = self._server.wait_replicas
        return connection

    def shard(self, shard: int) -> FlushLoop:
        return self._loop

    def control(self) -> FlushLoop:
        return self._loop

    def primaries(self) -> Iterable[FlushLoop]:
        return (self._loop,)

    async def mapped(self) -> None:
        """One server is where it is."""

    def prove(self, id: bytes) -> None:
        self._loop.proof = proof_of(self._keys, 0, id)

    def identities(self) -> dict[str, Server]:
        return {"0": self._server} if self._server else {}

    async def run(self) -> None:
        await self._loop.run()

    async def listen(self, heard: Heard) -> None:
        connection = await open_connection(await self._find())
        try:
            await connection.send_command("SUBSCRIBE", *self._keys.channel, check_health=False)
            await listened(connection, heard)
        finally:
            await hang_up(connection)


class Calls:
    """Function calls and plain commands on shards; the base of every part of the store."""

    def __init__(self, keys: Keys, wire: Wire) -> None:
        self.keys = keys
        self.wire = wire
        self.clock = Clock()

    @property
    def shards(self) -> int:
        return self.keys.shards

    def _write(self, shard: int, function: str, keys: Sequence[bytes], args: Sequence[bytes]) -> asyncio.Future[Any]:
        return self.wire.shard(shard).send(b"FCALL", b"milepost_" + function.encode(), b"%d" % len(keys), *keys, *args)

    def _read(
        self, shard: int, function: str, keys: Sequence[bytes], args: Sequence[bytes] = (), *, hint: bool = False
    ) -> asyncio.Future[Any]:
        name = b"milepost_" + function.encode()
        return self.wire.shard(shard).send(b"FCALL_RO", name, b"%d" % len(keys), *keys, *args, again=True, hint=hint)

    def _plain(self, shard: int, *args: bytes) -> asyncio.Future[Any]:
        """A plain command: one that reads, or removes what may be removed twice."""
        return self.wire.shard(shard).send(*args, again=True)

    async def _everywhere(self, call: Callable[[int], asyncio.Future[Any]]) -> list[Any]:
        """The answers of all shards, in one flush per primary."""
        return await asyncio.gather(*[call(shard) for shard in range(self.shards)])


def checked(answer: list[Any]) -> list[Any]:
    """The answer, unless it says that its account or destination is gone or that the call was malformed."""
    if answer[0] == b"gone":
        raise Gone(f"the {answer[1].decode()} was deleted")
    if answer[0] == b"bad":
        raise Refused(answer[1].decode())
    return answer


def number(value: int) -> bytes:
    return b"%d" % value
