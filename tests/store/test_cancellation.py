"""Every call of the store may be cancelled at any moment: all of it or nothing, and nobody else notices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from inspect import iscoroutinefunction
from pathlib import Path

import pytest

from tests.cancelling import Bystanders, Cut, When, watching
from tracker.store import EmbeddedServer, Store, StoreSettings, open_store

from .acts import Act
from .acts_beside import ACTS
from .cuts import Far, all_heard, cut_opening, cut_read, cut_write
from .goods import creation, register
from .lines import unreliable
from .looks import LOOKS

SHARDS = 2
CONNECTIONS = 4  # two stores over one server, each with one for its calls and one that listens
ELSEWHERE = {
    "identify": "below: a store that is opened",
    "learn_time": "below: a store that is opened",
    "keep_identity": "runs as long as the store is open",
    "wake": "below: a waiter that is cancelled",
    "clear": "empties the store for a copy of another one",
    "went_back": "one write, by an operator who says so again where it failed",
    "compact": "asks the servers for a rewrite, which only they do",
}


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
async def far(store: Store, tmp_path: Path) -> AsyncIterator[Far]:
    """The same store, over a line that can keep its answers."""
    async with unreliable(store, tmp_path) as pair:
        await all_heard(store, CONNECTIONS)
        yield pair


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.name)
async def test_a_write_that_is_cancelled_anywhere_was_done_whole_or_not_at_all(
    act: Act, store: Store, far: Far
) -> None:
    """Nobody else gets its answer, the connection stays, and done again it is done once."""
    await cut_write(act, store, far, CONNECTIONS)


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
async def test_a_read_that_is_cancelled_anywhere_leaves_the_next_one_right(look: Act, store: Store, far: Far) -> None:
    """The answer that nobody waits for any more is not given to somebody else."""
    await cut_read(look, store, far, CONNECTIONS)


@pytest.mark.parametrize("when", When)
async def test_a_store_whose_opening_is_cancelled_leaves_no_connection(when: When, store: Store, far: Far) -> None:
    """Nor a task: at whatever step of connecting, examining and identifying."""
    await cut_opening(when, store, far, CONNECTIONS)


async def test_a_waiter_that_is_cancelled_as_it_is_woken_hears_of_it_the_next_time(store: Store, far: Far) -> None:
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
    store: Store, far: Far
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
                async with asyncio.timeout(60):
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
