"""An account has its turn among the others, however much it asks for at once."""

from __future__ import annotations

import asyncio

import pytest

from tests.ingress.site import Site
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


async def test_a_neighbour_that_asks_for_all_it_may_is_one_of_two_accounts(site: Site) -> None:
    """Sixty of its long lists were asked for before; few of them are answered first."""
    made = await site.call("POST", "/v1/accounts", {"name": "crowd"})
    crowd = {"Authorization": f"Bearer {made.json()['key']['key']}"}
    some = [{"waybill": f"CROWD{n:06}", "carrier": "simulated", "paused": True} for n in range(1_000)]
    assert (await site.call("POST", "/v1/shipments", {"shipments": some}, **crowd)).status == 200
    answered = 0

    async def ask() -> None:
        nonlocal answered
        assert (await site.call("GET", "/v1/shipments?tag=none&limit=200", **crowd)).status == 200
        answered += 1

    crowding = [asyncio.create_task(ask()) for _ in range(60)]
    await asyncio.sleep(0.3)
    assert (await site.call("GET", "/v1/counts")).status == 200
    assert answered <= 30
    await asyncio.gather(*crowding)
