"""The delivery engine: claims the heads of lanes, hands each to its destination, settles what became of them.

Order lives in the lanes: the store gives out a lane's head alone, and the next one only when the head has settled.
Fairness lives in the slots: a destination has `per_destination` of them, one that fails fewer, and one that does
nothing else is only probed (`webhooks.outlet`). So a dead destination costs one slot now and then, and nobody waits.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from secrets import token_hex
from typing import Protocol

import structlog
from msgspec import Struct

from tracker.store.lookout import Lookout
from tracker.store.types import Claim, Delivery, Outcome, StoreDown
from webhooks.attempts import attempted, rest_s
from webhooks.destination import Webhooks
from webhooks.handing import Handing, Handler, kind_of, prefix_of, report
from webhooks.outlet import Outlet
from webhooks.settling import PAUSE_S, SettlementStore, Settling

log = structlog.get_logger()

_HELD_S = 1.0  # until somebody looks again at what a paused subscription does not take


class Observer(Protocol):
    """Counts attempts; `destination` is its kind (`webhook`, `orders`, `store`), `outcome` an `Outcome`."""

    def delivered(self, destination: str, outcome: str, seconds: float, /) -> None: ...


class LaneStore(SettlementStore, Protocol):
    """The part of the store that delivery uses."""

    def watching(self, every_s: float, woken: Callable[[], object]) -> AbstractContextManager[Lookout]: ...
    async def claim_lanes(
        self, claim: str, *, free: Mapping[str, int], default_free: int, limit: int, lease_ms: int, lookout: Lookout
    ) -> list[Delivery]: ...


class OutboundSettings(Struct, frozen=True, kw_only=True):
    """How hard and how long we try; seconds."""

    per_destination: int = 16  # deliveries under way at once for one destination
    total: int = 512  # and in all
    timeout_s: float = 15.0  # one attempt, the answer's body included
    schedule_factor: float = 1.0  # multiplies the retry schedule
    pace_s: float = 0.004  # between two claims, so that each carries more
    poll_s: float = 1.0  # the net under a lost wake-up

    @property
    def lease_s(self) -> float:
        """How long a claim is ours: an attempt that waits for two others still ends within it."""
        return 3 * self.timeout_s + 5


class Outbound:
    """Delivers until stopped. `handlers` maps the prefix of a destination to what takes its deliveries.

    Everything that has no handler is a webhook. `widths` gives a prefix more (or fewer) slots than `per_destination`.
    """

    def __init__(
        self,
        store: LaneStore,
        webhooks: Webhooks,
        observer: Observer,
        *,
        settings: OutboundSettings | None = None,
        handlers: Mapping[str, Handler] | None = None,
        widths: Mapping[str, int] | None = None,
        clock: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._webhooks = webhooks
        self._observer = observer
        self._settings = settings or OutboundSettings()
        self._widths = dict(widths or {})
        self._handing = Handing(
            webhooks,
            handlers or {},
            timeout_s=self._settings.timeout_s,
            schedule_factor=self._settings.schedule_factor,
            clock=clock,
            jitter=jitter,
        )
        self._outlets: dict[str, Outlet] = {}
        self._narrow: dict[str, int] = {}  # slots of the destinations that have fewer than others
        self._tasks: asyncio.TaskGroup | None = None
        self._held = 0
        # claims that others make for us and have not brought yet, and what we learn meanwhile of where they go
        self._offers: dict[str, asyncio.Task[StoreDown | None]] = {}
        self._claim_id = ""
        self._claim_sent = 0.0
        self._down = False
        self._stopping = False
        self._closing = asyncio.Event()  # the same, for those who wait
        self._nudged = asyncio.Event()
        self._dry = asyncio.Event()  # most of what the last claim brought is done
        self._dry_below = 0
        self._settling = Settling(store, clock, self._nudged.set, self._note_down)

    async def run(self) -> None:
        """Claim, deliver and settle until `stop`; then finish what is under way."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            minding = tasks.create_task(self._mind())
            with self._store.watching(self._settings.poll_s, self._nudged.set) as lookout:
                tasks.create_task(self._settling.run(lookout))
                await self._claim(lookout)
            minding.cancel()
            self._give_back()
            while self._held or self._offers:
                self._nudged.clear()
                await self._nudged.wait()
            self._settling.drain()

    def stop(self) -> None:
        """Claim no more; `run` returns when the deliveries under way have ended and settled."""
        self._stopping = True
        self._closing.set()
        self._nudged.set()

    def nudge(self) -> None:
        """Look for work now."""
        self._nudged.set()

    def offer(self, wanted: Mapping[str, int]) -> Claim | None:
        """A claim for changes that are about to go into lanes: of each destination no more than it has slots free.

        `withdraw` ends it; until then `run` does not end, for what was claimed must be given back.
        """
        room = 2 * self._settings.total - self._held
        if self._stopping or self._tasks is None or room <= 0:
            return None
        free, now = {}, asyncio.get_running_loop().time()
        for name, count in wanted.items():
            outlet = self._outlets.get(name)
            slots = self._narrow.get(name, self._width(name))
            free[name] = min(count, room, outlet.free(now) if outlet and slots else slots)
            room -= free[name]
        claim = Claim(id=token_hex(12), lease_ms=int(self._settings.lease_s * 1000), free=free)
        self._offers[claim.id] = asyncio.create_task(self._learn([name for name, count in free.items() if count]))
        return claim

    def withdraw(self, claim: Claim) -> None:
        """Nothing more will be claimed by the offer, and what was is taken."""
        self._offers.pop(claim.id).cancel()
        self._nudged.set()

    async def take_claimed(self, claim: Claim, found: Sequence[Delivery], sent_at: float) -> None:
        """Deliver what was claimed by an offer at `sent_at` (s of the loop's clock)."""
        if down := await self._offers[claim.id]:
            for delivery in found:
                self._settling.give_back(delivery)
            raise down
        for delivery in found:
            if self._stopping:
                self._settling.give_back(delivery)
            else:
                self._take(delivery, sent_at)

    async def _mind(self) -> None:
        """Keep the ledger of endpoints that fail."""
        while True:
            try:
                await self._webhooks.ledger.keep()
            except StoreDown as error:
                self._note_down(error)
            except Exception:  # a bad endpoint must not end the deliveries of all others
                log.exception("ledger_crashed")
            await asyncio.sleep(self._settings.poll_s)

    async def _claim(self, lookout: Lookout) -> None:
        loop = asyncio.get_running_loop()
        while not self._stopping:
            self._nudged.clear()
            began = loop.time()
            found = await self._claimed(lookout)
            for delivery in found:
                self._take(delivery, self._claim_sent)
            self._dry_below = len(found) // 2
            self._dry.clear()
            await asyncio.sleep(self._settings.pace_s)
            # a claim may ask every shard: rest in proportion, so that under load each brings more;
            # one that was slow because the store was away is no measure
            await _either(self._dry, min(2 * (loop.time() - began), self._settings.poll_s))
            if not found:
                await _either(self._nudged, lookout.rest_s())

    async def _claimed(self, lookout: Lookout) -> list[Delivery]:
        """The next heads of lanes; none where there is no room, no work or no store."""
        room = 2 * self._settings.total - self._held  # half of them may wait
        if room <= 0:
            await _either(self._nudged, self._settings.poll_s)
            return []
        try:
            found = await self._claim_once(room, lookout)
            await self._know([delivery.destination for delivery in found])
        except StoreDown as error:
            self._note_down(error)
            await asyncio.sleep(PAUSE_S)
            return []
        self._claim_id = ""
        self._note_up()
        return found

    async def _learn(self, destinations: Sequence[str]) -> StoreDown | None:
        """Know those of these that are subscriptions; why not."""
        try:
            if any(self._handing.is_webhook(name) for name in destinations):
                await self._know(destinations)
        except StoreDown as error:
            return error
        return None

    async def _know(self, destinations: Sequence[str]) -> None:
        """Be as new as these subscriptions."""
        directory = self._webhooks.directory
        changed = await directory.refresh([name for name in destinations if self._handing.is_webhook(name)])
        if changed is not None:
            self._adapt(changed)

    def _adapt(self, changed: Mapping[str, object]) -> None:
        """Take on the limits of the subscriptions; one that was changed gets a fresh start."""
        usual = self._settings.per_destination
        limited = self._webhooks.directory.limited
        self._narrow = {one.id: 0 if one.held else one.slots(usual) for one in limited}
        for name in changed.keys() & self._outlets.keys():
            self._outlets[name].limit(*self._limits(name))
            self._outlets[name].begin_anew()

    async def _claim_once(self, room: int, lookout: Lookout) -> list[Delivery]:
        now = asyncio.get_running_loop().time()
        if not self._claim_id or now - self._claim_sent > self._settings.timeout_s:
            self._claim_id, self._claim_sent = token_hex(12), now
        # an id that is still there is of a claim whose reply was lost: asked again, it gets the same answer
        return await self._store.claim_lanes(
            self._claim_id,
            free=self._free(now),
            default_free=self._settings.per_destination,
            limit=room,
            lease_ms=int(self._settings.lease_s * 1000),
            lookout=lookout,
        )

    def _free(self, now: float) -> dict[str, int]:
        for name in [name for name, outlet in self._outlets.items() if outlet.forgettable(now)]:
            del self._outlets[name]
        free = dict(self._narrow)
        for name, outlet in self._outlets.items():
            if free.get(name, 1):  # a paused one has none, whatever its outlet says
                free[name] = outlet.free(now)
        return free

    def _take(self, delivery: Delivery, sent_at: float) -> None:
        outlet = self._outlets.get(delivery.destination)
        if outlet is None:
            outlet = self._outlets[delivery.destination] = self._opened(delivery.destination)
        # our own clock, from before the claim was sent: never later than the store's
        outlet.waiting.append((delivery, sent_at + self._settings.lease_s))
        self._held += 1
        if outlet.busy < outlet.width:
            assert self._tasks is not None
            outlet.busy += 1
            self._tasks.create_task(self._work(outlet))

    async def _work(self, outlet: Outlet) -> None:
        """One slot: delivers what waits for the destination, one after the other, and ends when nothing does."""
        while outlet.waiting and outlet.busy <= outlet.width:
            if outlet.rate and not await self._paced(outlet):
                break
            delivery, until = outlet.waiting.popleft()
            await self._attempt(outlet, delivery, until)
            self._held -= 1
            if self._held < self._dry_below:
                self._dry.set()
        outlet.busy -= 1
        self._nudged.set()

    async def _attempt(self, outlet: Outlet, delivery: Delivery, until: float) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        if until - began < self._settings.timeout_s + 1:
            log.info("lease_too_short", destination=delivery.destination, shipment=delivery.id)
            return  # somebody else may have it before we are done; it comes back when the lease ends
        result = await self._handing.hand(delivery)
        if result.outcome is Outcome.HELD:
            self._settling.give_back(delivery, after_s=_HELD_S)
            return
        took = loop.time() - began
        settlement = self._handing.settlement(delivery, result, took)
        self._settling.add(settlement)
        self._observer.delivered(kind_of(delivery.destination), settlement.outcome.value, took)
        well = result.outcome is not Outcome.RETRY
        turned = attempted(result) and outlet.learn(well, took, began + took, rest_s(result))
        report(settlement, result, turned)
        if outlet.shut_until > began + took:
            self._hold(outlet, outlet.shut_until - began - took)

    async def _paced(self, outlet: Outlet) -> bool:
        """Wait for a turn in the outlet's rate; whether anything still waits for it then."""
        await _either(self._closing, outlet.turn(asyncio.get_running_loop().time()))
        return bool(outlet.waiting)

    def _hold(self, outlet: Outlet, seconds: float) -> None:
        """Give back what waits for a destination that was shut, and look again when it may be probed."""
        self._empty(outlet)
        asyncio.get_running_loop().call_later(seconds + 0.005, self._nudged.set)

    def _give_back(self) -> None:
        """Let go of what waits and was not begun."""
        for outlet in self._outlets.values():
            self._empty(outlet)

    def _empty(self, outlet: Outlet) -> None:
        for delivery, _ in outlet.waiting:
            self._settling.give_back(delivery)
            self._held -= 1
        outlet.waiting.clear()

    def _width(self, destination: str) -> int:
        return self._widths.get(prefix_of(destination), self._settings.per_destination)

    def _opened(self, destination: str) -> Outlet:
        """A new outlet; one of ours (an order book) is never shut, it says itself when to come again."""
        if not self._handing.is_webhook(destination):
            return Outlet(self._width(destination), patience=0.0)
        most, rate = self._limits(destination)
        suspect = self._webhooks.ledger.failing(destination)
        return Outlet(most, rate=rate, patience=self._settings.schedule_factor, suspect=suspect)

    def _limits(self, destination: str) -> tuple[int, float]:
        """Slots and rate of a webhook."""
        usual = self._width(destination)
        known = self._webhooks.directory.get(destination)
        return (known[0].slots(usual), known[0].rate) if known else (usual, 0.0)

    def _note_down(self, error: StoreDown) -> None:
        if not self._down:
            self._down = True
            log.warning("delivery_waits_for_store", error=str(error))

    def _note_up(self) -> None:
        if self._down:
            self._down = False
            log.info("delivery_resumed")


async def _either(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, no longer than so many seconds."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
