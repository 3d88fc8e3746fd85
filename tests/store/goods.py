"""What the store's tests put into it: shipments of invented accounts."""

from __future__ import annotations

import asyncio
from typing import Any

from tracker.store import Store
from tracker.store.types import Committed, Indexed, LaneRef, NewChange, Write

REGISTERED_AT = 1_763_000_000_000


def indexed(**changes: Any) -> Indexed:
    """What an open shipment in transit is listed under."""
    facts = {"status": "in_transit", "stalled": None, "open": True, "order_number": "", "registered_at": REGISTERED_AT}
    return Indexed(**{**facts, **changes})


def creation(store: Store, account: str, waybill: str, **changes: Any) -> Write:
    """The first commit of a shipment, announced as registered."""
    facts: dict[str, Any] = {
        "account": account,
        "id": store.new_id(account, waybill),
        "expected": 0,
        "document": f"document of {waybill}".encode(),
        "before": None,
        "after": indexed(),
        "changes": (NewChange("registered", f"{waybill} was registered".encode()),),
        "waybills": (waybill,),
    }
    return Write(**{**facts, **changes})


def next_write(write: Write, committed: Committed, **changes: Any) -> Write:
    """A further commit of the same shipment."""
    facts: dict[str, Any] = {
        "account": write.account,
        "id": write.id,
        "expected": committed.version,
        "document": write.document + b", again",
        "before": write.after,
        "after": write.after,
        "changes": (NewChange("in_transit", f"change {committed.revision + 1}".encode()),),
    }
    return Write(**{**facts, **changes})


async def register(store: Store, account: str, waybill: str, **changes: Any) -> str:
    """A committed shipment's id."""
    write = creation(store, account, waybill, **changes)
    await store.commit(write)
    return write.id


async def fan_out_all(store: Store, *destinations: str) -> int:
    """Fan every change of every shard out to the destinations; how many changes there were."""
    seen = 0
    for shard in range(store.shards):
        cursor, entries = await store.unfanned(shard)
        if entries:
            refs = [
                LaneRef(destination, entry.account, entry.id, entry.revision, entry.kind)
                for entry in entries
                for destination in destinations
            ]
            assert (await store.fan_out(shard, cursor, entries[-1].position, refs)).moved
            seen += len(entries)
    return seen


async def reads(store: Store) -> int:
    """How many calls the server has answered that only read."""
    told = await store.wire.control().send(b"INFO", b"commandstats")
    lines = [line for line in told.decode().splitlines() if line.startswith("cmdstat_fcall_ro:")]
    return int(lines[0].partition("calls=")[2].partition(",")[0]) if lines else 0


async def listening(store: Store) -> None:
    """Return once the store hears what is published, and nothing else: that it begins to hear a shard is news of it."""
    async with asyncio.timeout(30):
        await store.wake(0)
        alone = 0
        while alone < 2:
            id = await register(store, "nobody", f"N{asyncio.get_running_loop().time()}")
            alone = alone + 1 if await store.wake(0.05) == {store.shard_of_id(id)} else 0
    await fan_out_all(store)
