"""Changes once more: into a subscription's lanes again, from a point of the feed on, or a single one.

A change goes out under the id that it had. Its body is the frozen one where that still lies in the store: while another
lane needs it, or in a dead letter. Where it is gone, it is rendered anew, and says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tracker.buyer_links import no_link
from tracker.model import ChangeKind, Shipment
from tracker.store.types import DeadLetter, FeedPage, Letter, Relayed
from tracker.views import rendered_anew

_PAGE = 200
_LOGGED = 200  # attempts that a log holds
_KINDS = frozenset(ChangeKind)


class Wanting(Protocol):
    """A subscription, as far as it matters here."""

    @property
    def id(self) -> str: ...
    @property
    def account(self) -> str: ...
    def wants(self, kind: str, shop: str | None, carrier: str | None, status: str | None = None, /) -> bool: ...


class ReplayStore(Protocol):
    """The part of the store that this uses."""

    async def changes(self, account: str, cursor: str | None, limit: int = 100) -> FeedPage: ...
    async def relay(self, account: str, destination: str, letters: Sequence[Letter]) -> list[Relayed]: ...
    async def dead_letters(
        self, account: str, *, destination: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> tuple[list[DeadLetter], str | None]: ...
    async def replay_dead(self, account: str, ids: Sequence[str]) -> int: ...
    async def delivery_log(self, account: str, destination: str, limit: int = 50) -> list[bytes]: ...


class Door(Protocol):
    """Where shipments are read."""

    async def get(self, account: str, ids: Sequence[str]) -> list[Shipment | None]: ...


class _Attempt(Struct):
    """An attempt of the log, as far as it matters here."""

    id: str
    at: str
    type: str
    revision: int
    outcome: str
    test: bool = False


_logged = msgspec.json.Decoder(_Attempt).decode


class Tally(Struct, frozen=True, kw_only=True):
    """How many changes became what, and the cursor from which to go on."""

    counts: Mapping[Relayed, int]
    cursor: str
    more: bool


class Redelivery:
    """`tracking_url` makes a shipment's link for its buyer, as the bodies have it."""

    def __init__(self, store: ReplayStore, door: Door, tracking_url: Callable[[str], str] = no_link) -> None:
        self._store = store
        self._door = door
        self._tracking_url = tracking_url

    async def after(self, subscription: Wanting, cursor: str | None, *, limit: int, now: int) -> Tally:
        """Send what the subscription wants of the next `limit` changes after the cursor once more. `now` in ms.

        Raises `CursorTooOld` and, for a cursor that is none, `ValueError`.
        """
        page = await self._store.changes(subscription.account, cursor, limit)
        letters = [
            Letter(id=one.id, revision=one.revision, kind=one.kind, position=one.position)
            for one in page.entries
            if subscription.wants(one.kind, None, None)
        ]
        times = {(one.id, one.revision): one.at for one in page.entries}
        became = await self._sent(subscription, letters, times, now)
        return Tally(counts=Counter(became), cursor=page.cursor, more=page.more)

    async def one(self, subscription: Wanting, letter: Letter, *, at: int, now: int, died: bool) -> Relayed:
        """Send one change once more; `at` is when it was, in ms, and `died` whether it may be a dead letter."""
        if died and await self._revived(subscription, letter):
            return Relayed.KEPT
        [became] = await self._sent(subscription, [letter], {(letter.id, letter.revision): at}, now)
        return became

    async def message(self, subscription: Wanting, message: str, *, now: int) -> Relayed | None:
        """Send the message of that `webhook-id` once more, None where the subscription's log has none such.

        A test is none: what it tells of does not exist.
        """
        log = await self._store.delivery_log(subscription.account, subscription.id, _LOGGED)
        attempts = [one for one in map(_logged, log) if one.id == message and not one.test]
        if not attempts:
            return None
        latest, first = attempts[0], attempts[-1]
        letter = Letter(id=_shipment_of(message), revision=latest.revision, kind=latest.type.removeprefix("shipment."))
        return await self.one(subscription, letter, at=_ms(first.at), now=now, died=latest.outcome == "dead")

    async def recover(self, subscription: Wanting, limit: int) -> tuple[int, bool]:
        """Send up to `limit` of the subscription's dead letters again; how many went, and whether more are left."""
        letters, cursor = await self._store.dead_letters(subscription.account, destination=subscription.id, limit=limit)
        replayed = await self._store.replay_dead(subscription.account, [one.id for one in letters])
        return replayed, bool(cursor and replayed)

    async def _revived(self, subscription: Wanting, letter: Letter) -> bool:
        cursor = None
        while True:
            dead, cursor = await self._store.dead_letters(
                subscription.account, destination=subscription.id, cursor=cursor, limit=_PAGE
            )
            for one in dead:
                if (one.shipment, one.revision) == (letter.id, letter.revision):
                    return await self._store.replay_dead(subscription.account, [one.id]) == 1
            if cursor is None:
                return False

    async def _sent(
        self, subscription: Wanting, letters: Sequence[Letter], times: Mapping[tuple[str, int], int], now: int
    ) -> list[Relayed]:
        """With the bodies that are kept; then, for those that are not, with new ones."""
        if not letters:
            return []
        account, id = subscription.account, subscription.id
        became = await self._store.relay(account, id, letters)
        lost = [one for one, word in zip(letters, became, strict=True) if word is Relayed.LOST]
        again, hopeless = await self._rendered(subscription, lost, times, now)
        words = await self._store.relay(account, id, again) if again else []
        return [*[word for word in became if word is not Relayed.LOST], *words, *[Relayed.LOST] * hopeless]

    async def _rendered(
        self, subscription: Wanting, letters: Sequence[Letter], times: Mapping[tuple[str, int], int], now: int
    ) -> tuple[list[Letter], int]:
        """The letters with new bodies, those whose shipment passes the filters; and how many can't be rendered."""
        ids = list(dict.fromkeys(one.id for one in letters if one.kind in _KINDS))
        found = dict(zip(ids, await self._door.get(subscription.account, ids), strict=True)) if ids else {}
        again, hopeless = [], 0
        for letter in letters:
            shipment = found.get(letter.id)
            if shipment is None:
                hopeless += 1
            elif _passes(subscription, letter, shipment):
                at = times[letter.id, letter.revision]
                again.append(replace(letter, body=self._body(letter, shipment, at, now)))
        return again, hopeless

    def _body(self, letter: Letter, shipment: Shipment, at: int, now: int) -> bytes:
        url = self._tracking_url(letter.id)
        kind = ChangeKind(letter.kind)
        return rendered_anew(kind, shipment, revision=letter.revision, at=at, now=now, tracking_url=url)


def _shipment_of(message: str) -> str:
    """The shipment, or the notice, that a `webhook-id` names."""
    return "shp_" + message.removeprefix("msg_").rpartition("_")[0]


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def _passes(subscription: Wanting, letter: Letter, shipment: Shipment) -> bool:
    document = shipment.document
    return subscription.wants(letter.kind, document.details.shop, document.carrier, shipment.status.value)
