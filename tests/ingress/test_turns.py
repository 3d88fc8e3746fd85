"""An account has its turn among the others, however much it asks for at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.ingress.site import Site
from tests.ingress.test_limits import signed_in
from tracker.ingress.turns import Turns


async def test_so_many_of_one_account_at_once_in_their_order_and_another_is_not_kept_waiting() -> None:
    turns, under_way, done = Turns(2), list[str](), list[str]()

    async def work(account: str, name: str) -> None:
        async with turns.of(account):
            under_way.append(name)
            assert len([one for one in under_way if one.startswith("a")]) <= 2
            await asyncio.sleep(0.01)
            under_way.remove(name)
            done.append(name)

    await asyncio.gather(*[work("a", f"a{n}") for n in range(9)], work("b", "b0"))
    assert [one for one in done if one.startswith("a")] == [f"a{n}" for n in range(9)]
    assert done.index("b0") <= 2


async def test_one_that_is_cut_off_while_it_waits_or_works_leaves_its_place() -> None:
    """And nothing is remembered of an account that asks for nothing."""
    turns, begun = Turns(1), asyncio.Event()

    async def work() -> None:
        async with turns.of("a"):
            begun.set()
            await asyncio.sleep(60)

    working, waiting = asyncio.create_task(work()), asyncio.create_task(work())
    await begun.wait()
    await asyncio.sleep(0)
    for task in (waiting, working):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with asyncio.timeout(1), turns.of("a"):
        pass
    assert not vars(turns)["_of"]


async def test_calls_and_pages_take_a_turn_of_their_account_and_who_waits_takes_none(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, held = list[str](), 0
    of = Turns.of

    @contextlib.asynccontextmanager
    async def seen(turns: Turns, account: str) -> AsyncIterator[None]:
        nonlocal held
        async with of(turns, account):
            taken.append(account)
            held += 1
            yield
            held -= 1

    monkeypatch.setattr(Turns, "of", seen)
    cookie = await signed_in(site)
    for path in ("/v1/counts", "/v1/shipments?tag=none", "/v1/changes?after=now", "/", "/parcels", "/v1/counts"):
        before = len(taken)
        assert (await site.call("GET", path, Cookie=cookie)).status == 200
        assert taken[before:] == ["default"], path
    waiting = asyncio.create_task(site.call("GET", "/v1/changes?after=now&wait=1"))
    await asyncio.sleep(0.3)
    assert not held
    assert (await waiting).status == 200
