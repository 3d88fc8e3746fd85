"""Calls that are cancelled over a cluster, and over a server whose answers wait for a replica: as over an embedded one.

A selection, at some of their awaits, goes with the tests of clusters; all of them, at up to sixty, with the faults.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

import tracker.store
from tests.cancelling import When
from tests.ports import free_ports
from tracker.store import Store, StoreSettings, open_store
from tracker.store.cluster import Address, Cluster
from tracker.store.embedded import server_binary
from tracker.store.types import StoreDown

from .acts import Act
from .acts_beside import ACTS
from .clusters import three_nodes
from .cuts import Far, all_heard, cut_opening, cut_read, cut_write
from .lines import lines_to
from .looks import LOOKS
from .topologies import DURABLE, Process

pytestmark = pytest.mark.timeout(600)

SELECTED = {"commit", "delete", "park", "fan_out", "claim_lanes", "settle_lanes", "drop_destination", "put_record"}
SEEN = {"read", "find", "find_order", "changes", "records", "rows"}
AT = 6  # a selected call that waits more often is cut off at so many of its awaits, by lot


class Place(Struct, frozen=True):
    """Where a store is: its servers' ports, and one shard for each, or two on one."""

    kind: str
    ports: Sequence[int]

    @property
    def shards(self) -> int:
        return max(2, len(self.ports))

    @property
    def connections(self) -> int:
        """Two stores, each with a connection for its calls and one that listens to every server."""
        return 4 * len(self.ports)

    def url(self, ports: Sequence[int]) -> str:
        scheme = "redis+cluster" if self.kind == "cluster" else "redis"
        return f"{scheme}://" + ",".join(f"127.0.0.1:{port}" for port in ports)


@pytest.fixture(scope="module", params=["cluster", "replica"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Three primaries, or one with a replica that `WAIT` waits for."""
    directory = tmp_path_factory.mktemp("elsewhere")
    if request.param == "cluster":
        with three_nodes(directory) as nodes:
            yield Place("cluster", [node.port for node in nodes])
        return
    one, two = free_ports(2)
    needs = ("--min-replicas-to-write", "1", "--repl-diskless-sync-delay", "0")
    servers = [
        Process(directory / "one", server_binary(), "--port", str(one), *DURABLE, *needs),
        Process(directory / "two", server_binary(), "--port", str(two), *DURABLE, "--replicaof", "127.0.0.1", str(one)),
    ]
    try:
        yield Place("replica", [one])
    finally:
        for server in servers:
            server.kill()


@pytest.fixture
async def store(place: Place, tmp_path: Path) -> AsyncIterator[Store]:
    """An empty store there."""
    settings = StoreSettings(directory=tmp_path, url=place.url(place.ports), shards=place.shards)
    async with asyncio.timeout(60) as opening:
        while True:
            try:
                async with open_store(settings) as opened:
                    opening.reschedule(None)
                    await opened.clear()
                    yield opened
                    return
            except StoreDown:  # not listening yet, or its replica is not in step
                await asyncio.sleep(0.1)


@pytest.fixture
async def far(store: Store, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Far]:
    """The same store over a line, that is one to every server."""
    async with lines_to(place.ports) as (line, ways):

        class OverLines(Cluster):
            """The cluster's map names its servers; they are reached over their lines."""

            def server_at(self, address: Address) -> dict[str, Any]:
                return super().server_at((address[0], ways.get(address[1], address[1])))

        monkeypatch.setattr(tracker.store, "Cluster", OverLines)
        url = place.url(list(ways.values()))
        async with open_store(StoreSettings(directory=tmp_path, url=url, shards=place.shards)) as opened:
            await all_heard(store, place.connections)
            yield line, opened


@pytest.mark.cluster
@pytest.mark.parametrize("act", [one for one in ACTS if one.method in SELECTED], ids=lambda act: act.name)
async def test_a_write_that_is_cancelled_was_done_whole_or_not_at_all(
    act: Act, store: Store, far: Far, place: Place
) -> None:
    """One that lies on several servers too."""
    await cut_write(act, store, far, place.connections, all_of=AT)


@pytest.mark.cluster
@pytest.mark.parametrize("look", [one for one in LOOKS if one.method in SEEN], ids=lambda look: look.name)
async def test_a_read_that_is_cancelled_leaves_the_next_one_right(
    look: Act, store: Store, far: Far, place: Place
) -> None:
    """On each of the connections that it asked over."""
    await cut_read(look, store, far, place.connections, all_of=AT)


@pytest.mark.cluster
@pytest.mark.parametrize("when", When)
async def test_a_store_whose_opening_is_cancelled_leaves_no_connection(
    when: When, store: Store, far: Far, place: Place
) -> None:
    """To whichever server."""
    await cut_opening(when, store, far, place.connections, all_of=20)


@pytest.mark.faults
@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.name)
async def test_every_write_that_is_cancelled_anywhere_was_done_whole_or_not_at_all(
    act: Act, store: Store, far: Far, place: Place
) -> None:
    """Nobody else gets its answer, the connections stay, and done again it is done once."""
    await cut_write(act, store, far, place.connections)


@pytest.mark.faults
@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
async def test_every_read_that_is_cancelled_anywhere_leaves_the_next_one_right(
    look: Act, store: Store, far: Far, place: Place
) -> None:
    """The answer that nobody waits for any more is not given to somebody else."""
    await cut_read(look, store, far, place.connections)


@pytest.mark.faults
@pytest.mark.parametrize("when", When)
async def test_a_store_whose_opening_is_cancelled_anywhere_leaves_no_connection(
    when: When, store: Store, far: Far, place: Place
) -> None:
    """At whatever step of mapping, connecting, examining and identifying."""
    await cut_opening(when, store, far, place.connections)
