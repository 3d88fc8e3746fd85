"""Delivery: the engine empties a backlog, against a bare aiohttp client that signs and posts the same bodies."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from ipaddress import ip_network

import aiohttp
from yarl import URL

from tests.bench.figures import Figure, Mark, Sizes, at_least, figure
from tests.bench.processes import Child, child, workspace
from tests.bench.profiling import profiled
from tests.bench.tape import ACCOUNT, play, recorded
from tracker.secrets import Sealer, new_key
from tracker.store import Store, StoreSettings, open_store
from tracker.store.types import LaneRef, Write
from webhooks import subscription as subs
from webhooks.destination import Webhooks
from webhooks.guard import Guard
from webhooks.outbound import Outbound
from webhooks.post import Poster
from webhooks.standard import Signer, new_secret
from webhooks.wire import Wire

AT_ONCE = 16  # what one destination may have under way
EVENTS = 3
SUBSCRIPTION = "sub_bench"
_ENDS_WITHIN_S = 120.0


class Counting:
    """Hears of every attempt; sets `all` after so many."""

    def __init__(self, wanted: int) -> None:
        self._left = wanted
        self.all = asyncio.Event()

    def delivered(self, destination: str, outcome: str, seconds: float) -> None:
        if outcome != "done":
            raise RuntimeError(f"a delivery of the benchmark ended as {outcome}")
        self._left -= 1
        if not self._left:
            self.all.set()


async def delivery(sizes: Sizes) -> AsyncIterator[Figure]:
    """Deliveries a second from the claim to the settled lane."""
    writes = await recorded(range(sizes.backlog // (EVENTS + 1)), events=EVENTS)
    ours: list[float] = []
    bare: list[float] = []
    with workspace() as directory:
        async with child("receiver") as receiver, open_store(StoreSettings(directory=directory)) as store:
            for place in range(sizes.warm + sizes.rounds):
                ceiling = await _bare(receiver, writes)
                rate = await engine(store, receiver, writes, sizes if place == sizes.warm + sizes.rounds - 1 else None)
                if place >= sizes.warm:
                    ours.append(rate)
                    bare.append(ceiling)
    yield figure(
        f"delivery: a backlog to one subscriber, {AT_ONCE} at once",
        ours,
        "deliveries/s",
        ceiling=bare,
        ceiling_is="bare aiohttp client: sign and post",
        marks=_forty,
    )


def _forty(value: float, share: float) -> tuple[Mark, ...]:
    return (at_least(0.4, share, "40 % of the ceiling"),)


async def engine(store: Store, receiver: Child, writes: Sequence[Write], sizes: Sizes | None) -> float:
    """Deliveries a second of the engine, from its start to the last settled lane; profiled as `sizes` say."""
    await store.clear()
    sealer = Sealer([new_key()])
    await _subscribe(store, sealer, receiver.ready["url"])
    await play(store, writes)
    changes = await _fan_out(store)
    await receiver.ask("reset")
    counting = Counting(changes)
    allow, ports = [ip_network("127.0.0.0/8")], frozenset({receiver.ready["port"]})
    async with contextlib.aclosing(Wire(guard=Guard(allow, ports))) as wire:
        outbound = Outbound(store, Webhooks(store, sealer, Poster(wire)), counting)
        with profiled(sizes, "delivery"):
            began = time.monotonic()
            async with asyncio.timeout(_ENDS_WITHIN_S), asyncio.TaskGroup() as tasks:
                running = tasks.create_task(outbound.run())
                await counting.all.wait()
                outbound.stop()
                await running
            ended = time.monotonic()
    got = await receiver.ask("count")
    if got["distinct"] != changes or await store.lanes(SUBSCRIPTION):
        raise RuntimeError(f"{got['distinct']} of {changes} changes arrived")
    return changes / (ended - began)


async def _subscribe(store: Store, sealer: Sealer, url: str) -> None:
    secret = subs.sealed([new_secret()], sealer)
    one = subs.Subscription(id=SUBSCRIPTION, account=ACCOUNT, url=url, secret=secret)
    await store.put_record(subs.KIND, ACCOUNT, SUBSCRIPTION, subs.to_record(one))


async def _fan_out(store: Store) -> int:
    """Every change into the lane of the one subscription; how many there were."""
    fanned = 0
    for shard in range(store.shards):
        while True:
            cursor, entries = await store.unfanned(shard)
            if not entries:
                break
            refs = [LaneRef(SUBSCRIPTION, one.account, one.id, one.revision, one.kind) for one in entries]
            await store.fan_out(shard, cursor, entries[-1].position, refs)
            fanned += len(entries)
    return fanned


async def _bare(receiver: Child, writes: Sequence[Write]) -> float:
    """The same bodies, signed and posted by as many workers as the engine has slots."""
    bodies = iter([change.body for write in writes for change in write.changes])
    url, signer, sent = URL(receiver.ready["url"]), Signer([new_secret()]), 0

    async def work(session: aiohttp.ClientSession) -> None:
        nonlocal sent
        for body in bodies:
            sent += 1
            id, now = f"msg_{sent}", int(time.time())
            headers = {
                "Content-Type": "application/json",
                "webhook-id": id,
                "webhook-timestamp": str(now),
                "webhook-signature": signer.sign(id, now, body),
            }
            async with session.post(url, data=body, headers=headers) as answer:
                await answer.read()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_ONCE):
                tasks.create_task(work(session))
        ended = time.monotonic()
    return sent / (ended - began)
