"""Lanes: a queue for each shipment and destination; claimed by head, settled by claim, buried when they die."""

from __future__ import annotations

import asyncio
import secrets
import struct
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tracker.store.agenda import ITEMS
from tracker.store.keys import encode_id, kind_code, kind_of
from tracker.store.lookout import Lookout
from tracker.store.rows import Rows, row_cursor
from tracker.store.types import DeadLetter, Delivery, Letter, Relayed, Settlement
from tracker.store.wire import checked, number

LOG_KEPT = 200  # attempts that a destination's delivery log remembers
PEEKED = 1_000  # destinations with work that one look names, per shard
RELAYED = 200  # letters that one call carries, each with its body

_LETTER = struct.Struct(">IIHIHHH")  # revision, attempts, died_at (ms, 48 bits), sizes of destination, kind, detail


def allotted(
    offers: Mapping[int, Sequence[bytes]], free: Mapping[str, int], default_free: int, limit: int
) -> dict[int, dict[bytes, int]]:
    """Of what each shard offers (destinations with work, oldest first), how many heads to claim.

    Shares the free slots of each destination over its shards, one at a time, up to `limit` in all.
    """
    left: dict[bytes, int] = {}
    given: dict[int, dict[bytes, int]] = defaultdict(dict)
    pairs = [(shard, name) for shard, names in offers.items() for name in names]
    while limit and pairs:
        again = []
        for shard, name in pairs:
            slots = left.setdefault(name, free.get(name.decode(), default_free))
            if slots > 0 and limit:
                left[name] = slots - 1
                limit -= 1
                given[shard][name] = given[shard].get(name, 0) + 1
                again.append((shard, name))
        pairs = again
    return given


def letter_of(shard: int, dead_id: bytes, account: str, kept: bytes) -> DeadLetter:
    """A dead letter from its stored form: id, fixed head, destination, kind, detail, body."""
    revision, attempts, high, low, *sizes = _LETTER.unpack_from(kept, 6)
    parts, at = [], 6 + _LETTER.size
    for size in sizes:
        parts.append(kept[at : at + size])
        at += size
    return DeadLetter(
        id=encode_id("dl_", shard, dead_id),
        destination=parts[0].decode(),
        account=account,
        shipment=encode_id("shp_", shard, kept[:6]),
        revision=revision,
        kind=kind_of(parts[1]),
        attempts=attempts,
        died_at=high << 32 | low,
        detail=parts[2].decode(errors="replace"),
        body=kept[at:],
    )


def _note(lookout: Lookout, peeks: Mapping[int, Sequence[Any]], found: bool) -> None:
    """Let it know what a look at these shards showed. Where there was work there may be more, unless all in vain."""
    for shard, (_, _, passed_over, next_ms, *names) in peeks.items():
        if names and found:
            lookout.mark([shard])
        else:
            next_s = next_ms / 1000 if next_ms >= 0 else None
            lookout.saw(shard, passed_over=bool(passed_over or names), next_s=next_s)


class Lanes(Rows):
    """The lanes' part of the store."""

    async def claim_lanes(
        self,
        claim: str,
        *,
        free: Mapping[str, int],
        default_free: int,
        limit: int,
        lease_ms: int,
        lookout: Lookout | None = None,
    ) -> list[Delivery]:
        """Take the heads of at most `limit` lanes, of each destination no more than it has slots free.

        `free` are the free slots of the destinations that are known to be busy, `default_free` those of any other.
        The same `claim` gets the same answer, less what was settled meanwhile. With a `lookout` only those shards are
        looked at where it knows of work.
        """
        busy = [name.encode() for name, slots in free.items() if slots <= 0][:ITEMS]
        shards = lookout.look(busy) if lookout else range(self.shards)
        try:
            peeks = dict(
                zip(shards, await asyncio.gather(*[self._peek(shard, claim, busy) for shard in shards]), strict=True)
            )
            # where it was asked before the answer is kept, and nothing more is taken
            quotas: dict[int, dict[bytes, int]] = {shard: {} for shard, peek in peeks.items() if peek[1]}
            if not quotas:
                first = self._next_turn()
                rotated = sorted(peeks, key=lambda shard: (shard - first) % self.shards)
                quotas = allotted({shard: peeks[shard][4:] for shard in rotated}, free, default_free, limit)
            calls = [self._claim_lanes(shard, claim, quota, lease_ms) for shard, quota in quotas.items()]
            answers = zip(quotas, await asyncio.gather(*calls), strict=True)
        except BaseException:
            if lookout:
                lookout.mark(shards)
            raise
        found = [delivery for shard, answer in answers for delivery in deliveries(shard, claim, answer)]
        if lookout:
            _note(lookout, peeks, bool(found))
        return found

    def _peek(self, shard: int, claim: str, busy: Sequence[bytes]) -> asyncio.Future[list[Any]]:
        keys = (self.keys.ready[shard], self.keys.claim(shard, f"lane:{claim}"))
        return self._read(shard, "lanes_peek", keys, (number(PEEKED), *busy), hint=True)

    _turn = 0

    def _next_turn(self) -> int:
        """Where the next claim begins, so that a small limit starves no shard."""
        self._turn = (self._turn + 1) % self.shards
        return self._turn

    def _claim_lanes(
        self, shard: int, claim: str, quota: Mapping[bytes, int], lease_ms: int
    ) -> asyncio.Future[list[bytes]]:
        keys = self.keys
        named = [keys.lanes[shard], keys.ready[shard], keys.bodies[shard], keys.claim(shard, f"lane:{claim}")]
        args = [claim.encode(), number(lease_ms)]
        for name, slots in quota.items():
            named.append(keys.queue(shard, name.decode()))
            args += (name, number(slots))
        return self._write(shard, "lanes_claim", named, args)

    async def claimed_lanes(self, shard: int, claim: str) -> list[Delivery]:
        """What was claimed in one shard under that id, where the answer was lost; less what was settled meanwhile."""
        return deliveries(shard, claim, await self._claim_lanes(shard, claim, {}, 1))

    async def settle_lanes(self, settlements: Sequence[Settlement], *, lookout: Lookout | None = None) -> int:
        """Say what became of deliveries, one call per shard. A claim that is no longer the latest changes nothing.

        Answers how many of them that were. The `lookout` learns where more waits in their lanes.
        """
        by_shard: dict[int, list[Settlement]] = defaultdict(list)
        for settlement in settlements:
            by_shard[self.keys.split(settlement.delivery.id)[0]].append(settlement)
        steps = [
            (shard, some[at : at + ITEMS]) for shard, some in by_shard.items() for at in range(0, len(some), ITEMS)
        ]
        calls = [self._settle_lanes(shard, some) for shard, some in steps]
        answers = await asyncio.gather(*calls, *self._logged(settlements))
        settled = sum(int(checked(answer)[1]) for answer in answers[: len(calls)])
        if lookout:
            lookout.mark(shard for (shard, _), answer in zip(steps, answers, strict=False) if answer[2])
        for answer in answers[len(calls) :]:
            checked(answer)
        return len(settlements) - settled

    def _settle_lanes(self, shard: int, settlements: Sequence[Settlement]) -> asyncio.Future[list[bytes]]:
        keys = self.keys
        named = list(keys.of_lanes(shard))
        args: list[bytes] = []
        for settlement in settlements:
            delivery = settlement.delivery
            named += (
                keys.queue(shard, delivery.destination),
                keys.of_account(shard, b"D", delivery.account),
                keys.of_account(shard, b"E", delivery.account),
            )
            args += (
                delivery.destination.encode(),
                keys.split(delivery.id)[1],
                number(delivery.revision),
                delivery.claim.encode(),
                settlement.outcome.value.encode(),
                number(settlement.retry_at),
                settlement.detail.encode(),
                secrets.token_bytes(6),
            )
        return self._write(shard, "lanes_settle", named, args)

    def _logged(self, settlements: Sequence[Settlement]) -> list[asyncio.Future[list[bytes]]]:
        """The attempts' entries for the delivery logs, one call per home shard."""
        named: dict[int, list[bytes]] = defaultdict(list)
        args: dict[int, list[bytes]] = defaultdict(list)
        for settlement in settlements:
            if settlement.log:
                delivery = settlement.delivery
                shard, key = self.keys.log(delivery.account, delivery.destination)
                named[shard].append(key)
                args[shard] += (delivery.destination.encode(), settlement.log)
        return [
            self._write(shard, "log", (self.keys.tombs[shard], *named[shard]), (number(LOG_KEPT), *args[shard]))
            for shard in named
        ]

    async def log_attempt(self, account: str, destination: str, entry: bytes) -> None:
        """Put an attempt that went past the lanes into the destination's delivery log."""
        shard, key = self.keys.log(account, destination)
        args = (number(LOG_KEPT), destination.encode(), entry)
        checked(await self._write(shard, "log", (self.keys.tombs[shard], key), args))

    async def lanes(self, destination: str) -> int:
        """How many shipments have changes waiting (or out) for the destination."""
        keys = self.keys
        return sum(await self._everywhere(lambda shard: self._plain(shard, b"ZCARD", keys.queue(shard, destination))))

    async def delivery_log(self, account: str, destination: str, limit: int = 50) -> list[bytes]:
        """The latest attempts at the destination, newest first, as they were settled."""
        shard, key = self.keys.log(account, destination)
        entries: list[bytes] = await self._plain(shard, b"LRANGE", key, b"0", number(limit - 1))
        return entries

    async def dead_letters(
        self, account: str, *, destination: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> tuple[list[DeadLetter], str | None]:
        """Dead letters of an account, latest first, and the cursor of the rest (None: there is none)."""
        suffix = (destination or "").encode()
        rows = await self.rows(lambda shard: [self.keys.of_account(shard, b"E", account)], cursor, limit, suffix)
        letters = await asyncio.gather(*[self._letter(shard, account, member[:6]) for _, shard, member in rows])
        return [letter for letter in letters if letter], row_cursor(rows, limit)

    async def _letter(self, shard: int, account: str, dead_id: bytes) -> DeadLetter | None:
        kept = await self._plain(shard, b"HGET", self.keys.of_account(shard, b"D", account), dead_id)
        return letter_of(shard, dead_id, account, kept) if kept else None

    async def replay_dead(self, account: str, ids: Sequence[str], *, but: Collection[str] = ()) -> int:
        """Put dead letters back into their lanes, the same bytes under the same revision; how many went.

        Letters that are not there, those whose destination was deleted, and those of the destinations `but` are left
        as they are.
        """
        replayed = await asyncio.gather(*[self._replay(account, id, but) for id in ids])
        return sum(replayed)

    async def _replay(self, account: str, id: str, but: Collection[str]) -> bool:
        try:
            shard, dead_id = self.keys.split(id, "dl_")
        except ValueError:
            return False
        letter = await self._letter(shard, account, dead_id)
        if letter is None or letter.destination in but:
            return False
        keys = self.keys
        named = (
            *keys.of_lanes(shard),
            keys.of_account(shard, b"D", account),
            keys.of_account(shard, b"E", account),
            keys.queue(shard, letter.destination),
        )
        args = (account.encode(), dead_id, letter.destination.encode(), keys.channel[shard], self.wire.publish)
        answer = await self._write(shard, "replay", named, args)
        return bool(answer[0] == b"ok")

    async def relay(self, account: str, destination: str, letters: Sequence[Letter]) -> list[Relayed]:
        """Put changes into the destination's lanes past the feed; what became of each. Raises `Gone`.

        A change that the lane holds already is not doubled; if it waits for a retry, it is due at once.
        """
        by_shard: dict[int, list[int]] = defaultdict(list)
        for place, letter in enumerate(letters):
            by_shard[self.keys.split(letter.id)[0]].append(place)
        runs = [
            (shard, places[at : at + RELAYED])
            for shard, places in by_shard.items()
            for at in range(0, len(places), RELAYED)
        ]
        answers = await asyncio.gather(
            *[self._relay(shard, account, destination, [letters[place] for place in run]) for shard, run in runs]
        )
        became = {
            place: Relayed(word.decode())
            for (_, run), answer in zip(runs, answers, strict=True)
            for place, word in zip(run, checked(answer)[1:], strict=True)
        }
        return [became[place] for place in range(len(letters))]

    def _relay(
        self, shard: int, account: str, destination: str, letters: Sequence[Letter]
    ) -> asyncio.Future[list[bytes]]:
        keys = self.keys
        named = (
            *keys.of_lanes(shard),
            keys.fanned[shard],
            keys.queue(shard, destination),
        )
        args = [destination.encode(), account.encode(), keys.channel[shard], self.wire.publish]
        for letter in letters:
            local = keys.split(letter.id)[1]
            args += (local, number(letter.revision), kind_code(letter.kind), letter.position.encode(), letter.body)
        return self._write(shard, "relay", named, args)

    def notice_id(self, account: str, name: str) -> str:
        """The identifier of a notice of ours, in the place of a shipment's: the same for the same name."""
        return self.keys.named(account, name)


def deliveries(shard: int, claim: str, answer: Sequence[bytes]) -> list[Delivery]:
    """What a claim answered: nine values for each head of a lane, after the first one."""
    return [
        Delivery(
            destination=answer[at].decode(),
            account=answer[at + 1].decode(),
            id=encode_id("shp_", shard, answer[at + 2]),
            revision=int(answer[at + 3]),
            kind=kind_of(answer[at + 4]),
            attempt=int(answer[at + 5]),
            first_at=int(answer[at + 6]),
            claim=claim,
            lease_until=int(answer[at + 7]),
            body=answer[at + 8],
        )
        for at in range(1, len(answer), 9)
    ]
