"""Looks that are shared: how many are made, and who gets which."""

from __future__ import annotations

import asyncio

import pytest

from tracker.looks import Looks


class Slow:
    def __init__(self, *, fails: bool = False) -> None:
        self.began = self.ended = 0
        self.fails = fails

    async def look(self) -> None:
        self.began += 1
        await asyncio.sleep(0.02)
        self.ended += 1
        if self.fails:
            raise ValueError("away")


async def test_all_who_ask_while_one_is_under_way_share_the_next() -> None:
    slow = Slow()
    looks = Looks(slow.look)
    first = asyncio.create_task(looks.now())
    await asyncio.sleep(0)
    await asyncio.gather(*(looks.now() for _ in range(50)))
    await first
    assert (slow.began, slow.ended) == (2, 2)


async def test_one_that_may_be_old_is_joined() -> None:
    slow = Slow()
    looks = Looks(slow.look)
    await asyncio.gather(*(looks.join() for _ in range(50)))
    assert slow.began == 1


async def test_a_failure_is_shared_and_the_next_look_is_another() -> None:
    slow = Slow(fails=True)
    looks = Looks(slow.look)
    outcomes = await asyncio.gather(*(looks.join() for _ in range(5)), return_exceptions=True)
    assert [str(one) for one in outcomes] == ["away"] * 5
    slow.fails = False
    await looks.now()
    assert slow.began == 2


async def test_one_who_gives_up_takes_nothing_from_the_others() -> None:
    slow = Slow()
    looks = Looks(slow.look)
    hurried, patient = asyncio.create_task(looks.now()), asyncio.create_task(looks.join())
    await asyncio.sleep(0)
    hurried.cancel()
    await patient
    with pytest.raises(asyncio.CancelledError):
        await hurried
    assert slow.ended == 1
