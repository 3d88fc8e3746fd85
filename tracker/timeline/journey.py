"""The walk through a shipment's events that yields its status: what reopens, what strays, where a leg begins."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import structs

from tracker.milestones import STATUS_OF
from tracker.model import Event, Milestone, Moment, Status

M, S = Milestone, Status

_SILENT = frozenset({M.DELAYED, M.NOTE, M.UNKNOWN})
_REOPENS = frozenset({M.AVAILABLE_FOR_PICKUP, M.DELIVERY_FAILED, M.RETURNING, M.RETURNED})
_NOT_YET_MOVING = frozenset({S.PENDING, S.INFO_RECEIVED, S.PICKED_UP, S.CANCELLED})
_NEW_LEG_AFTER = 2 * 86_400  # s; a pick-up sooner than this after delivery is the courier's bookkeeping


class Journey:
    """A fold over events in order of happening. Read `events` for their marked copies."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.status = S.PENDING
        self.at: Moment | None = None
        self.progress: Event | None = None
        self.delivered: Event | None = None
        self.delayed = False
        self.leg = 1
        self.last_time: Moment | None = None
        self._back = False  # this leg leads to the sender
        self._moved = False  # something beyond the pick-up was seen on this leg

    @classmethod
    def of(cls, events: Iterable[Event]) -> Journey:
        """Walk through `events`; retracted ones are kept and change nothing."""
        journey = cls()
        for event in events:
            journey._take(event)
        return journey

    def told(self, milestone: Milestone, time: Moment) -> bool:
        """Whether an event of that milestone stands at that time."""
        return any(e.milestone is milestone and e.time.wall == time.wall and not e.retracted for e in self.events)

    def _take(self, event: Event) -> None:
        stray = not (event.retracted or self._accept(event))
        self.events.append(structs.replace(event, leg=self.leg, stray=stray) if stray or self.leg > 1 else event)

    def _accept(self, event: Event) -> bool:
        """Follow the event; False where it contradicts what is known for certain."""
        if event.milestone in _SILENT:
            self.delayed = self.delayed or event.milestone is M.DELAYED
            return True
        if self.last_time is None or event.time.instant >= self.last_time.instant:
            self.last_time = event.time
        if self.status is S.DELIVERED:
            return self._after_delivery(event)
        if self.status is S.RETURNED:
            return event.milestone in (M.RETURNED, M.DELIVERED, M.RETURNING) or self._begins_again(event)
        self._move(event)
        return True

    def _after_delivery(self, event: Event) -> bool:
        assert self.delivered is not None
        if event.milestone is M.DELIVERED:
            return True  # told again (80, then 8000): the first one stands
        later_day = event.milestone is M.OUT_FOR_DELIVERY and event.time.day > self.delivered.time.day
        if event.milestone in _REOPENS or later_day:
            self._move(event)
            return True
        return self._begins_again(event)

    def _begins_again(self, event: Event) -> bool:
        """A pick-up days later on the same waybill: a return, or the number used again."""
        assert self.at is not None
        if event.milestone is not M.PICKED_UP or event.time.instant - self.at.instant < _NEW_LEG_AFTER:
            return False
        self._open_leg(back=False)
        self._set(S.PICKED_UP, event)
        return True

    def _open_leg(self, *, back: bool) -> None:
        self.leg += 1
        self._back, self._moved = back, False
        self.delivered = None

    def _move(self, event: Event) -> None:
        milestone = event.milestone
        if milestone in (M.RETURNING, M.RETURNED):
            if not self._back:
                self._open_leg(back=True)
            self._set(STATUS_OF[milestone], event)
        elif self._back:
            self._move_back(event)
        elif milestone is M.INFO_RECEIVED:
            self._begin(S.INFO_RECEIVED, event, while_in=(S.PENDING, S.INFO_RECEIVED, S.CANCELLED))
        elif milestone is M.PICKED_UP:
            self._begin(S.PICKED_UP, event, while_in=self._before_moving())
        else:
            self._set(STATUS_OF[milestone], event)

    def _before_moving(self) -> Iterable[Status]:
        return _NOT_YET_MOVING if self._moved else {*_NOT_YET_MOVING, S.EXCEPTION, S.DELIVERY_FAILED}

    def _begin(self, status: Status, event: Event, *, while_in: Iterable[Status]) -> None:
        """An opening scan: moves the status only where the journey has not got further."""
        if self.status in while_in:
            self._set(status, event)

    def _move_back(self, event: Event) -> None:
        """On the way to the sender only arrival, trouble and cancellation change the status."""
        if event.milestone is M.DELIVERED:
            self._set(S.RETURNED, event)
        elif event.milestone in (M.EXCEPTION, M.CANCELLED):
            self._set(STATUS_OF[event.milestone], event)
        elif event.milestone is not M.INFO_RECEIVED:
            self._set(S.RETURNING, event)

    def _set(self, status: Status, event: Event) -> None:
        if status is not self.status or self.at is None:
            self.at = event.time
        self.status = status
        self.progress = event
        self.delayed = False
        self.delivered = event if status is S.DELIVERED else None
        if status not in _NOT_YET_MOVING and status is not S.EXCEPTION:
            self._moved = True
