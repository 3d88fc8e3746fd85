"""Every call of the store may be cancelled at any moment: all of it or nothing, and nobody else notices."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

import pytest

from tests.cancelling import Bystanders, Cut, When, chosen, watching
from tracker.store import EmbeddedServer, Store, StoreSettings, open_store

from .acts import Act
from .acts_beside import ACTS
from .goods import creation, register
from .lines import Line, unreliable
from .looks import LOOKS

SHARDS = 2
CONNECTIONS = 4  # two stores over one server, each with one for its calls and one that listens
ELSEWHERE = {
    "identify": "below: a store that is opened",
    "learn_time": "below: a store that is opened",
    "keep_identity": "runs as long as the store is open",
    "wake": "below: a waiter that is cancelled",
    "clear": "empties the store for a copy of another one",
    "compact": "asks the servers for a rewrite, which only they do",
}

Shape = dict[bytes, Counter[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """One whose store has two shards, so that few awaits show all."""
    with EmbeddedServer(tmp_path_factory.mktemp("two")) as server:
        yield server


@pytest.fixture
async def store(server: EmbeddedServer) -> AsyncIterator[Store]:
    async with open_store(StoreSettings(directory=server.directory, url=server.url, shards=SHARDS)) as opened:
        await opened.clear()
        yield opened


@pytest.fixture
async def far(store: Store, tmp_path: Path) -> AsyncIterator[tuple[Line, Store]]:
    """The same store, over a line that can keep its answers."""
    async with unreliable(store, tmp_path) as pair:
        while await clients(store) < CONNECTIONS:  # the listeners open theirs by themselves
            await asyncio.sleep(0.005)
        yield pair


async def shape(store: Store) -> Shape:
    """What lies in each shard: the keys, their types and how much they hold, whatever ids and times they hold it of."""
    ask = store.wire.control().send
    keys: list[bytes] = await ask(b"KEYS", b"*")
    types = await asyncio.gather(*[ask(b"TYPE", key) for key in keys])
    found: Shape = {tag: Counter() for tag in (*store.keys.tags, b"{milepost}")}
    for key, type in zip(keys, types, strict=True):
        tag, _, name = key.partition(b"}")
        name = b"d" if name.startswith(b"d:") else name
        found[tag + b"}"][name, type, *await _sizes(store, key, type)] += 1
    return found


def total(shape: Shape) -> Counter[tuple[Any, ...]]:
    """The same, wherever it lies."""
    return sum(shape.values(), Counter[tuple[Any, ...]]())


def whole_or_nothing(found: Shape, before: Shape, done: Shape) -> bool:
    """Whether each shard, or the store where the shard is drawn by lot, looks as before or as afterwards."""
    by_shard = all(shape in (before[tag], done[tag]) for tag, shape in found.items())
    return by_shard or total(found) in (total(before), total(done))


async def _sizes(store: Store, key: bytes, type: bytes) -> tuple[int, ...]:
    ask = store.wire.control().send
    if type == b"hash":
        return tuple(sorted(map(len, await ask(b"HVALS", key))))
    counted = {b"string": b"STRLEN", b"zset": b"ZCARD", b"list": b"LLEN", b"stream": b"XLEN", b"set": b"SCARD"}
    return (await ask(counted[type], key),)


class Trial:
    """One act, cut at every await in turn."""

    def __init__(self, act: Act, store: Store, far: tuple[Line, Store]) -> None:
        self.act, self.store = act, store
        self.line, self.far = far
        self.bystanders = Bystanders(self.far)

    async def cut(self, at: int, when: When) -> tuple[Cut, Shape, Shape, Any]:
        """How it looked before and after, and what was answered to the same call once more."""
        await self.store.clear()
        call = await self.act.begin(self.store)
        before = await shape(self.store)
        cut = Cut(at, when, self.line, self.bystanders)
        await cut.run(call(self.far))
        await self.bystanders.check()
        after = await shape(self.store)
        return cut, before, after, None if self.act.adds else await call(self.far)


def connection_of(store: Store) -> Any:
    """Who the store's connection is for the server: another one after a break."""
    return store.wire.control().send(b"CLIENT", b"ID")


async def clients(store: Store) -> int:
    told: bytes = await store.wire.control().send(b"CLIENT", b"LIST")
    return len(told.splitlines())


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.name)
async def test_a_write_that_is_cancelled_anywhere_was_done_whole_or_not_at_all(
    act: Act, store: Store, far: tuple[Line, Store]
) -> None:
    """Nobody else gets its answer, the connection stays, and done again it is done once."""
    trial = Trial(act, store, far)
    connection = await connection_of(far[1])
    with watching():
        whole, before, done, answer = await trial.cut(-1, When.UNSENT)
        complete = total(await shape(store))
        for when in When:
            for at in chosen(whole.awaits):
                cut, _, after, again = await trial.cut(at, when)
                where = f"{when}, await {at} of {whole.awaits}"
                assert cut.task.cancelled() or when is When.ANSWERED, where
                assert act.steps or whole_or_nothing(after, before, done), where
                if whole.awaits == 1:
                    assert total(after) == total(before if when is When.UNSENT else done), where
                if not act.adds:
                    assert (again, total(await shape(store))) == (answer, complete), where
    assert (await connection_of(far[1]), await clients(store)) == (connection, CONNECTIONS)


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
async def test_a_read_that_is_cancelled_anywhere_leaves_the_next_one_right(
    look: Act, store: Store, far: tuple[Line, Store]
) -> None:
    """The answer that nobody waits for any more is not given to somebody else."""
    line, over = far
    call = await look.begin(store)
    bystanders = Bystanders(over)
    connection = await connection_of(over)
    with watching():
        whole = Cut(-1, When.UNSENT, line, bystanders)
        answer = await whole.run(call(over))
        for when in When:
            for at in chosen(whole.awaits):
                cut = Cut(at, when, line, bystanders)
                await cut.run(call(over))
                await bystanders.check()
                assert cut.task.cancelled() or when is When.ANSWERED, f"{when}, await {at}"
                assert await call(over) == answer, f"{when}, await {at}"
    assert (await connection_of(over), await clients(store)) == (connection, CONNECTIONS)


@pytest.mark.parametrize("when", When)
async def test_a_store_whose_opening_is_cancelled_leaves_no_connection(
    when: When, server: EmbeddedServer, store: Store, far: tuple[Line, Store]
) -> None:
    """Nor a task: at whatever step of connecting, examining and identifying."""
    line, over = far
    url = over.url

    async def open_and_close() -> None:
        async with open_store(StoreSettings(directory=server.directory, url=url, shards=SHARDS)) as opened:
            await opened.ping()

    with watching():
        bystanders = Bystanders(over)
        whole = Cut(-1, When.UNSENT, line, bystanders)
        await whole.run(open_and_close())
        for at in chosen(whole.awaits, all_of=200):
            await Cut(at, when, line, bystanders).run(open_and_close())
            await bystanders.check()
        async with asyncio.timeout(5):
            while await clients(store) > CONNECTIONS:  # the server sees an end a moment later
                await asyncio.sleep(0.005)


async def test_a_waiter_that_is_cancelled_as_it_is_woken_hears_of_it_the_next_time(
    store: Store, far: tuple[Line, Store]
) -> None:
    """A deadline over the wait loses no wake-up, and does not take another's."""
    write = creation(store, "acme", "W1")
    shard = frozenset({store.shard_of_id(write.id)})
    cut = Cut(1, When.ANSWERED, far[0], Bystanders(store))
    with watching():
        cancelled = asyncio.create_task(cut.run(_woken(store, cancelled=True)))
        other = asyncio.create_task(_woken(store))
        while cut.awaits < 2:
            await asyncio.sleep(0)
        await store.commit(write)
        assert (await cancelled, await other) == (shard, shard)


async def _woken(store: Store, *, cancelled: bool = False) -> frozenset[int]:
    """What a task hears of, from when it begins to wait."""
    heard = await store.wake(0)
    try:
        heard |= await store.wake(5)
    except asyncio.CancelledError:
        assert cancelled and not heard
        heard = await store.wake(0)
    return heard


async def test_a_reader_that_is_cancelled_anywhere_takes_no_page_from_those_who_wait_with_it(
    store: Store, far: tuple[Line, Store]
) -> None:
    """They share a look, whoever of them began it."""
    line, over = far
    with watching():
        for when in When:
            for at in range(6):
                account = f"account-{when.name}-{at}"
                cut = Cut(at, when, line, Bystanders(over))
                leaves = asyncio.create_task(cut.run(_follows(over, account)))
                stay = [asyncio.create_task(_follows(over, account)) for _ in range(2)]
                await asyncio.sleep(0.02)
                id = await register(store, account, "W1")
                async with asyncio.timeout(10):
                    assert await asyncio.gather(*stay) == [[id], [id]], f"{when}, await {at}"
                    await leaves
                with over.following(account) as tip:
                    assert tip.readers == 1, "this one"


async def _follows(store: Store, account: str) -> list[str]:
    """Which shipments are in the first page that is not empty, for one who reads from the beginning."""
    with store.following(account) as tip:
        page = await tip.join(None, 50)
        while not page.entries:
            page = await tip.after(page, 50, 10) or page
        return [entry.id for entry in page.entries]


def test_every_call_of_the_store_is_tried_here_or_named_with_where_it_is() -> None:
    """A new one has to say what becomes of it."""
    public = {name for name in dir(Store) if not name.startswith("_") and iscoroutinefunction(getattr(Store, name))}
    assert {one.method for one in (*ACTS, *LOOKS)} | ELSEWHERE.keys() == public
