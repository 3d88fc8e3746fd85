"""One flush loop per primary: everything that waits goes out in one write, and the replies come back in order."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from hiredis import pack_command
from msgspec import Struct
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ReadOnlyError, RedisError, ResponseError

from tracker.errors import ConfigError, MilepostError
from tracker.store.connect import hang_up
from tracker.store.types import StoreDown

logger = structlog.get_logger()

DEADLINE_S = 10.0  # for one flush, from the write to its last reply
PATIENCE_S = 5.0  # how long a call may wait for a connection
CONNECT_S = 5.0  # for one attempt to connect and to examine the server: one that is frozen accepts and never answers
BATCH = 4_000
_EMPTIED_S = 0.2  # between two looks whether the store is back
_EMPTIED = "it was emptied (FLUSHALL?): nothing is taken in or answered until what it held is back"
WAITING = 100_000


class ReplyLost(StoreDown):
    """The call was sent and its reply never came: it may have run, or not."""


class Emptied(StoreDown):
    """The server answers, and what was in the store is gone from it: nothing that it says now is true of the store."""


class Refused(StoreDown):
    """The store answered with an error of its own (out of memory, read-only, a library that it does not know)."""

    @property
    def passes(self) -> bool:
        """It may be gone in a moment: replicas that have just started, or fell behind."""
        return str(self.__cause__).startswith("NOREPLICAS")


def packed(*args: bytes) -> bytes:
    """One command in the wire protocol."""
    command: bytes = pack_command(args)  # type: ignore[arg-type]  # its stub says one argument, and means any number
    return command


# `WAIT` counts from the last write of its own connection. What a flush read may be the write of another one, not yet
# replicated: a write of no consequence after it puts that behind us too. This one is in no log, so that reads cost no
# fsync; a cluster sends it to no replica, and has a fence of its own, in no log either.
FENCE = packed(b"PUBLISH", b"milepost:fence", b"")


_NO_FUNCTION = "Function not found"


class Proof(Struct, frozen=True):
    """A command and what it answers as long as this is the store that was opened."""

    command: bytes
    answer: bytes


class _Call:
    __slots__ = ("again", "command", "future", "hint", "queued_at")

    def __init__(self, command: bytes, future: asyncio.Future[Any], again: bool, hint: bool) -> None:
        self.command = command
        self.future = future
        self.again = again  # may be sent once more if its reply is lost
        self.hint = hint  # need not wait for replicas
        self.queued_at = time.monotonic()

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)

    def answer(self, reply: object) -> None:
        if self.future.done():
            return
        if isinstance(reply, Exception):
            self.future.set_exception(reply)
        else:
            self.future.set_result(reply)


class FlushLoop:
    """Sends commands to one server over one connection, which it opens again whenever it breaks.

    `connect` opens and prepares a connection. `on_error` hears of every reply that is an error and of every
    broken connection (a cluster uses it to look for the new primary).
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], Awaitable[AbstractConnection]],
        *,
        on_error: Callable[[Exception], None] | None = None,
        deadline: float = DEADLINE_S,
        patience: float = PATIENCE_S,
    ) -> None:
        self.name = name
        self.wait_replicas = 0  # 2xx waits for so many replicas
        self.fence = FENCE
        self.proof: Proof | None = None  # asked at the end of every flush: none of its answers counts before it
        self._connect = connect
        self._on_error = on_error
        self._deadline = deadline
        self._patience = patience
        self._waiting: deque[_Call] = deque()
        self._awake = asyncio.Event()
        self._connection: AbstractConnection | None = None
        self._closed = False
        self._stale = False  # the server may be the primary no more: find it anew
        self._emptied = False

    @property
    def connected(self) -> bool:
        return self._connection is not None

    def send(self, *args: bytes, again: bool = False, hint: bool = False) -> asyncio.Future[Any]:
        """Queue one command; the future gets its reply, an error reply as `Refused`, or `StoreDown`.

        `again`: it reads, or writes what it may write twice; a lost reply is then asked for once more. `hint`: what it
        reads is told to nobody, and only says which write is worth trying: that one waits for replicas.
        """
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._closed or len(self._waiting) >= WAITING:
            future.set_exception(StoreDown(f"{self.name}: {'closed' if self._closed else 'too many calls wait'}"))
            return future
        self._waiting.append(_Call(packed(*args), future, again, hint))
        self._awake.set()
        return future

    async def run(self) -> None:
        """Flush until cancelled; then everything that waits fails with `StoreDown`."""
        try:
            while True:
                await self._awake.wait()
                connection = await self._connected()
                batch = self._take()
                if batch:
                    await self._flush(connection, batch)
        finally:
            self._closed = True
            self._fail_waiting(StoreDown(f"{self.name}: closed"), older_than=0)
            await self._drop_connection()

    def _take(self) -> list[_Call]:
        batch: list[_Call] = []
        while self._waiting and len(batch) < BATCH:
            call = self._waiting.popleft()
            if not call.future.done():
                batch.append(call)
        if not self._waiting:
            self._awake.clear()
        return batch

    async def _flush(self, connection: AbstractConnection, batch: list[_Call]) -> None:
        try:
            async with asyncio.timeout(self._deadline):
                proof = self.proof
                replicas = 0 if all(call.hint for call in batch) else self.wait_replicas
                commands = [call.command for call in batch]
                if proof:
                    commands.append(proof.command)
                if replicas:
                    commands.append(self.fence)
                    commands.append(packed(b"WAIT", b"%d" % replicas, b"%d" % int(self._deadline * 900)))
                await connection.send_packed_command([b"".join(commands)], check_health=False)
                replies = [await self._reply(connection) for _ in batch]
                if proof:  # a store that is emptied stays so: what stood at the end stood at each call
                    self._check(proof, await self._reply(connection))
                if replicas:
                    await self._replicated(connection, batch, replicas)
            for call, reply in zip(batch, replies, strict=True):
                call.answer(reply)
        except Emptied as error:
            for call in batch:
                call.fail(error)
            await self._drop_connection()
        except (RedisError, OSError, RuntimeError, TimeoutError) as error:
            await self._broken(batch, error)
        except BaseException:
            self._lose(batch, StoreDown("closed"))
            raise

    def _check(self, proof: Proof, told: object) -> None:
        """Raise `Emptied` where the server has another store, or none; an error of its own says nothing of that."""
        was, self._emptied = self._emptied, told != proof.answer and not isinstance(told, Exception)
        if self._emptied and not was:
            logger.error("store_emptied", server=self.name)
        elif was and not self._emptied:
            logger.warning("store_back", server=self.name)
        if self._emptied:
            raise Emptied(f"{self.name}: {_EMPTIED}")

    async def _prove(self, connection: AbstractConnection) -> None:
        """Raise `Emptied` before anything is sent to a server that was known to be so."""
        if self.proof and self._emptied:
            await connection.send_packed_command([self.proof.command], check_health=False)
            self._check(self.proof, await self._reply(connection))

    async def _replicated(self, connection: AbstractConnection, batch: list[_Call], replicas: int) -> None:
        """Fail the calls, unless `WAIT` says that the replicas have the flush."""
        fence = await self._reply(connection)
        copies = await connection.read_response(disconnect_on_error=False)
        if isinstance(fence, Exception):  # `WAIT` spoke of what was before
            why = f"it is not known whether replicas have it: {fence}"
        elif copies < replicas:
            why = f"{copies} of {replicas} replicas have it"
        else:
            return
        self._stale = True
        for call in batch:
            call.fail(ReplyLost(f"{self.name}: {why}"))

    async def _reply(self, connection: AbstractConnection) -> object:
        try:
            return await connection.read_response(disconnect_on_error=False)
        except ResponseError as error:
            # a replica by now, or its functions were flushed: to connect is to look for the primary, and to load them
            self._stale = self._stale or isinstance(error, ReadOnlyError) or _NO_FUNCTION in str(error)
            if self._on_error:
                self._on_error(error)
            refused = Refused(f"{self.name}: {error}")
            refused.__cause__ = error
            return refused

    async def _broken(self, lost: list[_Call], error: Exception) -> None:
        self._lose(lost, error)
        # what waited behind a flush that took its whole deadline need not wait for the next connection too
        self._fail_waiting(StoreDown(f"{self.name}: {_why(error)}"), older_than=self._patience)
        await self._drop_connection()
        if self._on_error:
            self._on_error(error)

    def _lose(self, lost: list[_Call], error: Exception) -> None:
        for call in reversed(lost):
            if call.again and not self._closed:
                call.again = False
                self._waiting.appendleft(call)
                self._awake.set()
            else:
                call.fail(ReplyLost(f"{self.name}: {_why(error)}"))

    async def _connected(self) -> AbstractConnection:
        if self._connection is not None and (self._stale or await self._connection.can_read()):
            await self._drop_connection()  # of a primary that was, closed by the server, or out of step
        self._stale = False
        pause = 0.02
        while self._connection is None:
            try:
                async with asyncio.timeout(CONNECT_S):
                    self._connection = await self._connect()
                    await self._prove(self._connection)
            except Emptied as error:
                await self._drop_connection()
                self._fail_waiting(error, older_than=0)
                await asyncio.sleep(_EMPTIED_S)
            except ConfigError as error:
                self._fail_waiting(error, older_than=0)
                await asyncio.sleep(1.0)
            except (RedisError, OSError, RuntimeError, TimeoutError, StoreDown) as error:
                await self._drop_connection()
                self._fail_waiting(StoreDown(f"{self.name}: {_why(error)}"), older_than=self._patience)
                if self._on_error:
                    self._on_error(error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 1.0)
        return self._connection

    def _fail_waiting(self, error: MilepostError, *, older_than: float) -> None:
        limit = time.monotonic() - older_than
        while self._waiting and self._waiting[0].queued_at <= limit:
            self._waiting.popleft().fail(error)

    async def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await hang_up(connection)


def _why(error: Exception) -> str:
    """What broke, also where the exception has no words of its own."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__
