"""What a shop did not push is found anyway, once, whatever happens meanwhile: over real HTTP into the real store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from msgspec import structs

from tracker.metrics import Metrics
from tracker.model import Details
from tracker.order_stores import Backfill, BackfillSettings, OrderStore, Watermark, Watermarks
from tracker.order_stores.backfill import OVERLAP_MS
from tracker.order_stores.conformance import LOOPBACK, Trouble
from tracker.order_stores.exit import Exits
from tracker.replay import Replay, Wanted
from tracker.store import Store
from webhooks.guard import Guard, guarded_session

from .conftest import listening
from .counter import SECRET, Counter
from .peers.http import HousePeer
from .peers.peer import Peer
from .peers.shopify import ShopifyPeer
from .peers.woocommerce import WooCommercePeer
from .test_shopify import PUSH

WAYBILL = "SF1000000000001"
UNHURRIED = BackfillSettings(pause_s=0.0)


class Desk(Counter):
    """A counter whose order store is a shop that pushes nothing unless it is told to."""

    def __init__(self, store: Store, shop: Peer, session: aiohttp.ClientSession) -> None:
        super().__init__(store)
        self.shop = shop
        self.session = session
        self.marks = Watermarks(store)
        self.late = 0.0  # seconds by which our clock is ahead
        self.to: OrderStore
        self.worker = self.hire()

    def clock(self) -> float:
        return time.time() + self.late

    def hire(
        self, settings: BackfillSettings = UNHURRIED, *, metrics: Metrics | None = None, exits: Exits | None = None
    ) -> Backfill:
        """A worker, as each process has one."""
        return Backfill(
            self.order_stores,
            Watermarks(self.store),
            exits or Exits(self.session, timeout_s=5.0, clock=self.clock),
            self.handler,
            self.store,
            metrics or Metrics(),
            settings=settings,
            clock=self.clock,
        )

    async def round(self, worker: Backfill | None = None) -> Watermark:
        """Have it asked, and wait for what a worker then does."""
        await self.ask()
        return await self.turn(worker)

    async def ask(self, since: datetime | None = None) -> Watermark:
        now = round(self.clock() * 1000)
        asked = None if since is None else round(since.timestamp() * 1000)
        return await self.marks.ask(self.to, first=now - 86_400_000, since=asked, now=now)

    async def turn(self, worker: Backfill | None = None) -> Watermark:
        worker = worker or self.worker
        await worker.look()
        await worker.finished()
        return await self.mark()

    async def mark(self) -> Watermark:
        return (await self.marks.of("acme"))[self.to.id]

    async def waybills(self) -> list[str]:
        return [waybill for waybill, _, _ in await self.followed()]


@asynccontextmanager
async def open_desk(store: Store, peer: Peer) -> AsyncIterator[Desk]:
    async with listening(peer), guarded_session(guard=Guard(LOOPBACK, range(65_536))) as session:
        desk = Desk(store, peer, session)
        held = {**peer.credentials, "webhook_secret": SECRET}
        desk.to = await desk.open(peer.platform.slug, base=peer.base, credentials=held, shop="north")
        app = web.Application()
        app.add_routes(desk.handler.routes())
        async with TestClient(TestServer(app)) as desk.client:
            yield desk


@pytest.fixture(params=[ShopifyPeer, WooCommercePeer])
async def desk(request: pytest.FixtureRequest, store: Store) -> AsyncIterator[Desk]:
    async with open_desk(store, request.param()) as opened:
        yield opened


@pytest.fixture
async def shopify_desk(store: Store) -> AsyncIterator[tuple[Desk, ShopifyPeer]]:
    shop = ShopifyPeer()
    async with open_desk(store, shop) as opened:
        yield opened, shop


def ago(**time_: float) -> datetime:
    return datetime.now(UTC) - timedelta(**time_)


def waybill(number: int) -> str:
    return f"SF1{number:012}"


def sell(shop: Peer, many: int, at: Callable[[int], datetime]) -> None:
    for number in range(1, many + 1):
        shop.sell(str(1000 + number), [waybill(number)])
        shop.touch(str(1000 + number), at(number))


async def test_what_the_shop_did_not_push_is_followed_under_its_order(desk: Desk) -> None:
    """Nobody asks for it: an order store that was never asked is due."""
    desk.shop.sell("1001", [WAYBILL])
    mark = await desk.turn()
    [(number, carrier, details)] = await desk.followed()
    order = "#1001" if desk.to.platform == "shopify" else "1001"
    tail, code = ("4477", "K2P 2L8") if desk.to.platform == "shopify" else ("1234", "200000")
    wanted = Details(order_number=order, shop="north", phone_tail=tail, postal_code=code)
    assert (number, carrier, details) == (WAYBILL, "sf", wanted)
    assert (mark.found, mark.registered, mark.failed, mark.problem) == (1, 1, 0, "")
    assert mark.done_at


async def test_what_is_found_again_is_followed_once(desk: Desk) -> None:
    desk.shop.sell("1001", [WAYBILL])
    assert [(await desk.round()).registered for _ in range(3)] == [1, 0, 0]
    assert await desk.waybills() == [WAYBILL]


async def test_a_push_and_a_backfill_at_the_same_time_make_one_shipment(
    shopify_desk: tuple[Desk, ShopifyPeer],
) -> None:
    desk, shop = shopify_desk
    sell(shop, 9, lambda number: ago(minutes=1))
    pushes = [
        desk.push(desk.to, PUSH | {"name": f"#{1000 + number}.1", "tracking_numbers": [waybill(number)]})
        for number in range(1, 10)
    ]
    answers = await asyncio.gather(desk.round(), *pushes)
    assert set(answers[1:]) == {200}
    assert await desk.waybills() == [waybill(number) for number in range(1, 10)]
    assert {details.order_number for _, _, details in await desk.followed()} == {
        f"#{1000 + number}" for number in range(1, 10)
    }


async def test_no_order_is_missed_though_orders_change_while_they_are_read(desk: Desk) -> None:
    """One that is changed leaves its place in the pages for their end, and the others move up."""
    sell(desk.shop, 130, lambda number: ago(minutes=300 - number))
    changed = iter(range(1001, 1131, 7))

    def change() -> None:
        desk.shop.touch(str(next(changed, 1001)), datetime.now(UTC))

    desk.shop.moves = change
    assert not (await desk.round()).cursor
    assert await desk.waybills() == [waybill(number) for number in range(1, 131)]


async def test_orders_of_one_second_are_all_read(desk: Desk) -> None:
    """Someone changed them all at once: no time tells them apart."""
    at = ago(minutes=5)
    sell(desk.shop, 130, lambda number: at)
    await desk.round()
    assert len(await desk.waybills()) == 130


async def test_the_next_round_begins_where_this_one_ended_less_an_overlap(desk: Desk) -> None:
    """What a shop lists later than it was changed is found by the next round."""
    latest = ago(minutes=1).replace(microsecond=0)
    sell(desk.shop, 1, lambda number: latest)
    mark = await desk.round()
    assert mark.since == latest.timestamp() * 1000 - OVERLAP_MS
    desk.shop.sell("2001", [WAYBILL.replace("1", "2")])
    desk.shop.touch("2001", ago(minutes=6))
    assert (await desk.round()).registered == 1


@pytest.mark.parametrize("late", [(3, 2.99, 2.98), (-3, -3.01, 0.01)])
async def test_a_shop_whose_clock_is_wrong_loses_nothing(desk: Desk, late: Sequence[float]) -> None:
    """The watermark is by its clock, and never ahead of ours, since its clock may be put right."""
    for number, hours in enumerate(late, 1):
        desk.shop.sell(str(1000 + number), [waybill(number)])
        desk.shop.touch(str(1000 + number), ago(hours=hours))
        mark = await desk.round()
        assert mark.since <= time.time() * 1000
    assert len(await desk.waybills()) == 3


async def test_the_first_round_goes_back_so_far_and_one_who_asks_further(desk: Desk) -> None:
    sell(desk.shop, 1, lambda number: ago(days=5))
    assert (await desk.turn()).found == 0
    await desk.ask(since=ago(days=6))
    assert (await desk.turn()).registered == 1


async def test_a_long_way_is_gone_in_turns_by_whoever_is_there(desk: Desk) -> None:
    """After so many pages the others have their turn; who goes on begins where it stopped, not with what it saw."""
    sell(desk.shop, 130, lambda number: ago(minutes=300 - number))
    short = structs.replace(UNHURRIED, pages=1)
    mark = await desk.round(desk.hire(short))
    turns = 1
    while mark.cursor:
        mark = await desk.turn(desk.hire(short))
        turns += 1
    assert (len(await desk.waybills()), mark.registered) == (130, 130)
    pages = {"shopify": 13, "woocommerce": 3}[desk.to.platform]
    assert pages == turns == len([path for _, path in desk.shop.seen if "token" not in path])


async def test_of_several_workers_one_asks(desk: Desk) -> None:
    sell(desk.shop, 3, lambda number: ago(minutes=1))
    await desk.ask()
    workers = [desk.hire() for _ in range(4)]
    await asyncio.gather(*[desk.turn(worker) for worker in workers])
    assert (desk.shop.requests, len(await desk.waybills())) == (1, 3)


async def test_a_worker_that_died_is_followed_by_another_when_its_lease_ends(desk: Desk) -> None:
    sell(desk.shop, 3, lambda number: ago(minutes=1))
    assert await desk.marks.take(desk.to, since=0, now=round(time.time() * 1000))
    assert (await desk.round()).tried_at == 0
    desk.late = 121.0
    assert (await desk.turn()).registered == 3


async def test_workers_that_are_killed_again_and_again_lose_nothing_and_double_nothing(desk: Desk) -> None:
    """Amid a page, before it, after it: each begins where the one before it had come to."""
    sell(desk.shop, 130, lambda number: ago(minutes=300 - number))
    await desk.ask()
    for moment in range(12):
        worker = asyncio.create_task(desk.hire().run())
        await asyncio.sleep(0.02 + 0.03 * moment)
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
        desk.late += 121.0  # its lease has ended
    await desk.round()
    assert await desk.waybills() == [waybill(number) for number in range(1, 131)]


async def test_a_watermark_that_can_not_be_read_is_begun_anew(desk: Desk) -> None:
    sell(desk.shop, 1, lambda number: ago(minutes=20))
    await desk.store.put_record("backfill", "acme", desk.to.id, b"?")
    assert (await desk.turn()).registered == 1


async def test_a_round_that_is_overdue_is_seen_from_outside(desk: Desk) -> None:
    """That a shop is not asked is found out before anybody misses a parcel."""
    await desk.round()
    desk.shop.trouble(Trouble.AWAY)
    desk.late = 2 * 3600.0
    metrics = Metrics()
    await desk.turn(desk.hire(metrics=metrics))
    page = metrics.page().decode()
    [lag] = [float(line.split()[1]) for line in page.splitlines() if line.startswith("milepost_backfill_lag_seconds ")]
    assert 6_200 < lag < 6_400  # two hours without the quarter of one that is as it should be
    assert f'outcome="failed",platform="{desk.to.platform}"' in page


async def test_a_clock_that_is_put_back_holds_nobody_up(desk: Desk) -> None:
    """What was noted by it lies in a time that is not to come for long."""
    desk.late = 86_400.0
    desk.shop.sell("1001", [waybill(1)])
    await desk.turn()
    desk.shop.sell("1002", [waybill(2)])
    desk.late = 0.0
    assert (await desk.turn()).registered == 1
    assert await desk.marks.take(desk.to, since=0, now=round(time.time() * 1000) + 86_400_000)
    desk.shop.sell("1003", [waybill(3)])
    assert (await desk.round()).registered == 1


async def test_who_asks_for_more_overtakes_the_round_that_is_under_way(desk: Desk) -> None:
    """The worker writes no watermark over that of the wish: what was asked for would be passed over."""
    sell(desk.shop, 130, lambda number: ago(minutes=300 - number))
    sell(desk.shop, 1, lambda number: ago(days=20))
    wishes: list[asyncio.Task[Watermark]] = []

    def wish() -> None:
        if not wishes:
            wishes.append(asyncio.create_task(desk.ask(since=ago(days=30))))

    desk.shop.moves = wish
    await desk.round()
    await wishes[0]
    mark = await desk.turn()
    assert (mark.cursor, len(await desk.waybills())) == ("", 130)


async def test_a_shop_that_limits_is_asked_again_at_the_time_that_it_named(desk: Desk) -> None:
    desk.shop.sell("1001", [WAYBILL])
    desk.shop.trouble(Trouble.LIMITS)
    mark = await desk.round()
    assert 900 <= mark.again_at - time.time() * 1000 <= 60_000
    desk.shop.trouble(None)
    asked = desk.shop.requests
    await desk.turn()
    assert desk.shop.requests == asked
    desk.late = 61.0
    assert (await desk.turn()).registered == 1


async def test_a_limit_that_was_met_by_asking_is_kept_by_telling_too(desk: Desk) -> None:
    exits = Exits(desk.session, timeout_s=5.0)
    desk.shop.trouble(Trouble.LIMITS)
    await desk.round(desk.hire(exits=exits))
    desk.shop.trouble(None)
    asked, platform = desk.shop.requests, desk.shop.platform
    probe = await exits.probe(desk.to, platform)
    assert (probe.reached, desk.shop.requests) == (False, asked)
    assert "wants to be asked less often" in probe.detail


async def test_a_shop_that_fails_says_why_until_it_is_well_again(desk: Desk) -> None:
    desk.shop.sell("1001", [WAYBILL])
    desk.shop.trouble(Trouble.STRANGER)
    mark = await desk.round()
    assert (mark.problem, mark.held_until) == (
        "answered 401: it does not accept the credentials of this order store",
        0,
    )
    asked = desk.shop.requests
    await desk.turn()
    assert desk.shop.requests == asked  # at the usual interval
    desk.shop.trouble(None)
    desk.late = 901.0
    mark = await desk.turn()
    assert (mark.problem, mark.registered) == ("", 1)


async def test_an_answer_of_another_shape_is_a_problem_of_this_order_store_alone(desk: Desk) -> None:
    desk.shop.answer(b'{"data": {"orders": {"nodes": [{"id": 7}]}}}')
    mark = await desk.round()
    assert mark.problem
    assert not mark.held_until


async def test_a_page_that_is_not_there_any_more_is_no_dead_end(desk: Desk) -> None:
    """The round goes on from the latest order that it saw."""
    sell(desk.shop, 130, lambda number: ago(minutes=300 - number))
    short = structs.replace(UNHURRIED, pages=1)
    assert (await desk.round(desk.hire(short))).cursor
    desk.shop.trouble(Trouble.AWAY)
    mark = await desk.turn()
    assert (mark.cursor, bool(mark.problem)) == ("", True)
    desk.shop.trouble(None)
    assert not (await desk.round()).cursor
    assert len(await desk.waybills()) == 130


async def test_what_can_not_be_followed_is_kept_once_and_followed_when_it_can(desk: Desk) -> None:
    desk.shop.carrier = "Acme Post"
    desk.shop.sell("1001", ["73100000000000"])
    assert [(await desk.round()).failed for _ in range(3)] == [1, 1, 1]
    [kept] = await desk.kept()
    assert kept.source == f"{desk.to.id}/backfill"
    assert "'Acme Post' is no carrier that we know" in kept.reason
    await desk.connections.create("acme", carrier="dhl", credentials={"api_key": "k"}, now=1)
    replay = Replay(desk.ingest, desk.store, desk.connections, desk.registry, desk.handler)
    await replay.page("acme", Wanted(dry_run=False), now=1)
    assert (await desk.waybills(), await desk.kept()) == (["73100000000000"], [])


async def test_an_order_store_that_is_off_is_not_asked_and_goes_on_where_it_stood(desk: Desk) -> None:
    sell(desk.shop, 1, lambda number: ago(minutes=20))
    await desk.round()
    asked = desk.shop.requests
    await desk.order_stores.amend("acme", desk.to.id, enabled=False)
    sell(desk.shop, 2, lambda number: ago(minutes=10))
    await desk.round()
    assert desk.shop.requests == asked
    await desk.order_stores.amend("acme", desk.to.id, enabled=True)
    assert (await desk.turn()).registered == 1


async def test_a_platform_that_can_not_be_asked_is_not(store: Store) -> None:
    async with listening(HousePeer()) as house, guarded_session(guard=Guard(LOOPBACK, range(65_536))) as session:
        desk = Desk(store, house, session)
        await desk.order_stores.create("acme", platform="http", base=house.base, credentials=house.credentials, now=1)
        await desk.worker.look()
        await desk.worker.finished()
        assert (house.requests, await desk.marks.all()) == (0, {})


async def test_without_an_interval_only_who_asks_is_served(desk: Desk) -> None:
    sell(desk.shop, 1, lambda number: ago(minutes=1))
    lazy = desk.hire(structs.replace(UNHURRIED, every_s=0.0))
    await lazy.look()
    await lazy.finished()
    assert desk.shop.requests == 0
    assert (await desk.round(lazy)).registered == 1
    desk.late = 86_400.0
    asked = desk.shop.requests
    await desk.turn(lazy)
    assert desk.shop.requests == asked


async def test_a_deleted_order_store_leaves_no_watermark(desk: Desk) -> None:
    """Not even where it was asked at that moment."""
    sell(desk.shop, 1, lambda number: ago(minutes=1))
    await desk.round()
    await desk.order_stores.remove("acme", desk.to.id)
    assert await desk.marks.of("acme") == {}
    await desk.ask()
    await desk.worker.look()
    await desk.worker.finished()
    assert await desk.marks.of("acme") == {}


async def test_an_account_that_left_is_not_asked_and_nothing_of_it_is_written(desk: Desk) -> None:
    sell(desk.shop, 1, lambda number: ago(minutes=1))
    await desk.store.close_account("acme")
    await desk.worker.look()
    await desk.worker.finished()
    await desk.store.drop_account("acme")
    assert (desk.shop.requests, await desk.marks.all(), await desk.waybills()) == (0, {}, [])


async def test_each_account_has_what_its_own_shop_sold(desk: Desk) -> None:
    other = type(desk.shop)()
    other.sell("1001", [waybill(2)])
    desk.shop.sell("1001", [waybill(1)])
    async with listening(other):
        await desk.order_stores.create(
            "globex", platform=desk.to.platform, base=other.base, credentials=other.credentials, now=1
        )
        await desk.turn()
    ids, _ = await desk.store.page("globex")
    theirs = [one.document.waybill for one in await desk.ingest.get("globex", ids) if one]
    assert (await desk.waybills(), theirs) == ([waybill(1)], [waybill(2)])


# ---------------------------------------------------------------- Shopify's own


async def test_an_app_without_the_scope_is_told_which(shopify_desk: tuple[Desk, ShopifyPeer]) -> None:
    desk, shop = shopify_desk
    shop.lacks_scope = True
    assert "`read_orders` access scope" in (await desk.round()).problem


async def test_a_shop_may_keep_its_customers_addresses(shopify_desk: tuple[Desk, ShopifyPeer]) -> None:
    desk, shop = shopify_desk
    shop.sell("1001", [WAYBILL])
    shop.hides_addresses = True
    shop.carrier = "UPS"
    await desk.round()
    [(number, _, details)] = await desk.followed()
    assert (number, details.phone_tail, details.postal_code) == (WAYBILL, "", "")


async def test_an_order_of_many_parcels_is_read_whole(shopify_desk: tuple[Desk, ShopifyPeer]) -> None:
    desk, shop = shopify_desk
    shop.sell("1001", [waybill(number) for number in range(1, 10)])
    shop.sell("1002", [waybill(number) for number in range(21, 30)])
    shop.orders["#1002"] = dict.fromkeys(shop.orders["#1002"], "gid://shopify/Fulfillment/77")  # one, nine numbers
    await desk.round()
    assert len(await desk.waybills()) == 18


async def test_a_fulfilment_that_was_cancelled_is_not_followed(shopify_desk: tuple[Desk, ShopifyPeer]) -> None:
    desk, shop = shopify_desk
    shop.sell("1001", [WAYBILL, waybill(2)])
    shop.cancelled.add(shop.orders["#1001"][WAYBILL])
    await desk.round()
    assert await desk.waybills() == [waybill(2)]
