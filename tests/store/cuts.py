"""What it takes to cut the store's calls off wherever they wait, over one server or several."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

from tests.cancelling import Bystanders, Cut, When, chosen, watching
from tracker.store import Store, StoreSettings, open_store
from tracker.store.flush import FlushLoop

from .acts import Act
from .lines import Line

Shape = dict[bytes, Counter[tuple[Any, ...]]]
Far = tuple[Line, Store]  # a store over a line that can keep its answers


async def shape(store: Store) -> Shape:
    """What lies in each shard: the keys, their types and how much they hold, whatever ids and times they hold it of."""
    found: Shape = {tag: Counter() for tag in (*store.keys.tags, b"{milepost}")}
    for primary in store.wire.primaries():
        keys: list[bytes] = await primary.send(b"KEYS", b"*")
        types = await asyncio.gather(*[primary.send(b"TYPE", key) for key in keys])
        for key, type in zip(keys, types, strict=True):
            tag, _, name = key.partition(b"}")
            name = b"d" if name.startswith(b"d:") else name
            if name != b"fence":
                found[tag + b"}"][name, type, *await _sizes(primary, key, type)] += 1
    return found


def total(shape: Shape) -> Counter[tuple[Any, ...]]:
    """The same, wherever it lies."""
    return sum(shape.values(), Counter[tuple[Any, ...]]())


def whole_or_nothing(found: Shape, before: Shape, done: Shape) -> bool:
    """Whether each shard, or the store where the shard is drawn by lot, looks as before or as afterwards."""
    by_shard = all(shape in (before[tag], done[tag]) for tag, shape in found.items())
    return by_shard or total(found) in (total(before), total(done))


async def _sizes(primary: FlushLoop, key: bytes, type: bytes) -> tuple[int, ...]:
    ask = primary.send
    if type == b"hash":
        return tuple(sorted(map(len, await ask(b"HVALS", key))))
    counted = {b"string": b"STRLEN", b"zset": b"ZCARD", b"list": b"LLEN", b"stream": b"XLEN", b"set": b"SCARD"}
    return (await ask(counted[type], key),)


class Trial:
    """One act, cut at every await in turn."""

    def __init__(self, act: Act, store: Store, far: Far) -> None:
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


async def connections_of(store: Store) -> list[int]:
    """Who the store's connections are for the servers: others after a break."""
    return [await primary.send(b"CLIENT", b"ID") for primary in store.wire.primaries()]


async def clients(store: Store) -> int:
    """How many are connected to its servers, replicas not counted."""
    told = [await primary.send(b"CLIENT", b"LIST") for primary in store.wire.primaries()]
    return sum(b"flags=S" not in line for one in told for line in one.splitlines())


async def all_heard(store: Store, connections: int) -> None:
    """Return once so many are connected: listeners open their connections by themselves."""
    async with asyncio.timeout(60):
        while await clients(store) < connections:
            await asyncio.sleep(0.005)


async def cut_write(act: Act, store: Store, far: Far, connections: int, *, all_of: int = 60) -> None:
    """Cut a write off at its awaits: done whole or not at all, its neighbours served, and done again done once."""
    trial = Trial(act, store, far)
    kept = await connections_of(far[1])
    with watching():
        whole, before, done, answer = await trial.cut(-1, When.UNSENT)
        complete = total(await shape(store))
        for when in When:
            for at in chosen(whole.awaits, all_of=all_of):
                cut, _, after, again = await trial.cut(at, when)
                where = f"{when}, await {at} of {whole.awaits}"
                assert cut.task.cancelled() or when is When.ANSWERED, where
                assert act.steps or whole_or_nothing(after, before, done), where
                if whole.awaits == 1:
                    assert total(after) == total(before if when is When.UNSENT else done), where
                if not act.adds:
                    assert (again, total(await shape(store))) == (answer, complete), where
    assert (await connections_of(far[1]), await clients(store)) == (kept, connections)


async def cut_read(look: Act, store: Store, far: Far, connections: int, *, all_of: int = 60) -> None:
    """Cut a read off at its awaits: the answer that nobody waits for is not given to somebody else."""
    line, over = far
    call = await look.begin(store)
    bystanders = Bystanders(over)
    kept = await connections_of(over)
    with watching():
        whole = Cut(-1, When.UNSENT, line, bystanders)
        answer = await whole.run(call(over))
        for when in When:
            for at in chosen(whole.awaits, all_of=all_of):
                cut = Cut(at, when, line, bystanders)
                await cut.run(call(over))
                await bystanders.check()
                assert cut.task.cancelled() or when is When.ANSWERED, f"{when}, await {at}"
                assert await call(over) == answer, f"{when}, await {at}"
    assert (await connections_of(over), await clients(store)) == (kept, connections)


async def cut_opening(when: When, store: Store, far: Far, connections: int, *, all_of: int = 200) -> None:
    """Cut a store's opening off at its awaits: no connection is left."""
    line, over = far
    url = over.url

    async def open_and_close() -> None:
        async with open_store(StoreSettings(directory=Path(), url=url, shards=store.shards)) as opened:
            await opened.ping()

    with watching():
        bystanders = Bystanders(over)
        whole = Cut(-1, When.UNSENT, line, bystanders)
        await whole.run(open_and_close())
        for at in chosen(whole.awaits, all_of=all_of):
            await Cut(at, when, line, bystanders).run(open_and_close())
            await bystanders.check()
        try:
            async with asyncio.timeout(60):
                while await clients(store) > connections:  # the server sees an end a moment later
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError(f"{await clients(store)} connections, and {connections} before") from None
