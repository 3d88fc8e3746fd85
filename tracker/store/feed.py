"""The log of changes: read for fan-out, read by cursor, trimmed behind both."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from tracker.store.agenda import ITEMS
from tracker.store.cursors import Position, pack_cursor, pack_position, position_of, unpack_cursor, unpack_position
from tracker.store.hearsay import Hearsay, entry_of, proof_of
from tracker.store.keys import Keys, kind_code
from tracker.store.lanes import deliveries
from tracker.store.tips import Tip
from tracker.store.types import Claim, CursorTooOld, Delivery, Fanned, FeedEntry, FeedPage, LaneRef
from tracker.store.wire import Calls, Wire, checked, number


class Feed(Calls):
    """The feed's part of the store."""

    epoch = 1  # raised when a replica took over, or a backup was restored; set when the store is opened

    def __init__(self, keys: Keys, wire: Wire) -> None:
        super().__init__(keys, wire)
        self.hearsay = Hearsay(keys.shards)

    async def unfanned(self, shard: int, limit: int = 500) -> tuple[str, list[FeedEntry]]:
        """The fan-out cursor of a shard and the entries after it, oldest first."""
        reading = self.hearsay.reading(shard)
        answer = await self._read(
            shard, "unfanned", (self.keys.feed[shard], self.keys.fanned[shard]), (number(min(limit, ITEMS)),)
        )
        entries = [
            entry_of(shard, answer[at].decode(), answer[at + 1].decode(), answer[at + 2])
            for at in range(2, len(answer), 3)
        ]
        cursor = answer[1].decode()
        if len(entries) < limit:
            self.hearsay.read(shard, cursor, reading)
        else:
            self.hearsay.forget(shard)  # there may be more than anybody told us
        return cursor, entries

    def heard(self, shard: int) -> tuple[str, list[FeedEntry]] | None:
        """The same as far as wake-ups told it, perhaps with gaps; None where it has to be read."""
        return self.hearsay.unfanned(shard)

    async def fan_out(
        self,
        shard: int,
        cursor: str,
        upto: str,
        refs: Sequence[LaneRef],
        claim: Claim | None = None,
        *,
        heard: Sequence[FeedEntry] = (),
    ) -> Fanned:
        """Fill the lanes with the changes after `cursor` up to `upto` and advance, unless another worker did.

        A change without a ref loses its body. A ref to a destination or an account that was deleted is left out.
        With `claim`, lanes that were empty are claimed as they are filled, unless the destination has due work already.
        Entries that were `heard` and not read have to be all that there are, or nothing is done.
        """
        claimed: list[Delivery] = []
        for step, some, known in await self._steps(shard, cursor, upto, refs, heard):
            proof = proof_of(known) if heard else b""
            answer = checked(await self._fan_out(shard, cursor, step, proof, some, claim))
            if answer[0] == b"unknown":
                self.hearsay.forget(shard)
                return Fanned(False, claimed)
            if answer[0] != b"ok":
                self.hearsay.moved(shard, answer[1].decode())
                return Fanned(False, claimed)
            self.hearsay.moved(shard, step)
            if claim:
                claimed += deliveries(shard, claim.id, answer[1:])
            cursor, claim = step, None  # one call, one answer that is kept
        return Fanned(True, claimed)

    async def _steps(
        self, shard: int, cursor: str, upto: str, refs: Sequence[LaneRef], heard: Sequence[FeedEntry]
    ) -> list[tuple[str, Sequence[LaneRef], Sequence[FeedEntry]]]:
        """The refs cut into steps that one call can carry: the position that each reaches, its refs, its entries."""
        if len(refs) <= ITEMS:
            return [(upto, refs, heard)]
        of_change: dict[tuple[str, int], list[LaneRef]] = defaultdict(list)
        for ref in refs:
            of_change[ref.id, ref.revision].append(ref)
        steps: list[tuple[str, Sequence[LaneRef], Sequence[FeedEntry]]] = []
        some: list[LaneRef] = []
        known: list[FeedEntry] = []
        reached = cursor
        for entry in heard or (await self.unfanned(shard, ITEMS))[1]:
            if position_of(entry.position) > position_of(upto):
                break
            more = of_change[entry.id, entry.revision]
            if some and len(some) + len(more) > ITEMS:
                steps.append((reached, some, known))
                some, known = [], []
            some = some + more
            known = [*known, entry]
            reached = entry.position
        return [*steps, (upto, some, known)]

    async def _fan_out(
        self, shard: int, cursor: str, upto: str, proof: bytes, refs: Sequence[LaneRef], claim: Claim | None
    ) -> list[bytes]:
        keys = self.keys
        places = {name: at + 1 for at, name in enumerate(dict.fromkeys(ref.destination for ref in refs))}
        id, lease, free = (claim.id, claim.lease_ms, claim.free) if claim else ("", 0, {})
        named = (
            keys.feed[shard],
            keys.fanned[shard],
            *keys.of_lanes(shard),
            keys.claim(shard, f"lane:{id}"),
            *[keys.queue(shard, name) for name in places],
        )
        args = [cursor.encode(), upto.encode(), proof, keys.channel[shard], self.wire.publish]
        args += (id.encode(), number(lease), number(len(places)))
        for name in places:
            args += (name.encode(), number(free.get(name, 0)))
        for ref in refs:
            local = keys.split(ref.id)[1]
            args += (
                number(places[ref.destination]),
                ref.account.encode(),
                local,
                number(ref.revision),
                kind_code(ref.kind),
            )
        answer: list[bytes] = await self._write(shard, "fan_out", named, args)
        return answer

    async def changes(self, account: str, cursor: str | None, limit: int = 100, tip: Tip | None = None) -> FeedPage:
        """The account's changes after the cursor (None: from the beginning of what is kept).

        In commit order for each shipment. The page's tally counts every change that the account ever had up to its
        cursor, by the places in the account's own lists and not by what was handed out: what lacks in between shows.
        With its `tip` only the shards are read that have something new for one who stands there.
        Raises `CursorTooOld` where some were trimmed past the cursor or a failover came between, and `ValueError` for a
        cursor that is not one of this feed.
        """
        positions = list(self.positions(cursor))
        asked = tip.ask(positions, self.epoch) if tip else dict.fromkeys(range(self.shards), 0)
        idle = tip.tally(but=asked) if tip else 0
        quota = max(4, min(limit, -(-2 * limit // max(1, len(asked)))))
        calls = [self._feed_read(shard, account, positions[shard], quota) for shard in asked]
        answers = dict(zip(asked, await asyncio.gather(*calls), strict=True))
        if any(answer[0] == b"old" for answer in answers.values()):
            raise CursorTooOld("the feed was trimmed past this cursor: list the shipments, then follow from a new one")
        for shard, answer in answers.items():
            if tip and answer[2] == b"end":
                tip.learn(shard, asked[shard], unpack_position(answer[1]), int(answer[5]))
        return self._page(account, positions, answers, limit, idle)

    def _feed_read(
        self, shard: int, account: str, position: Position | None, quota: int
    ) -> asyncio.Future[list[bytes]]:
        keys = self.keys
        named = (keys.feed[shard], keys.of_account(shard, b"x", account), keys.marks[shard])
        return self._read(shard, "feed_read", named, (account.encode(), pack_position(position), number(quota)))

    def _page(
        self,
        account: str,
        positions: list[Position | None],
        answers: Mapping[int, Sequence[bytes]],
        limit: int,
        idle: int,
    ) -> FeedPage:
        """What was read as a page, from the positions; `idle` is the tally of the shards that were not."""
        found = sorted(
            (position_of(answer[at].decode()), shard, answer[at].decode(), answer[at + 1])
            for shard, answer in answers.items()
            for at in range(6, len(answer), 2)
        )
        left_over = {shard for _, shard, _, _ in found[limit:]}
        taken = Counter(shard for _, shard, _, _ in found[:limit])
        tally = idle + sum(
            int(answer[4]) + taken[shard] if shard in left_over else int(answer[5]) for shard, answer in answers.items()
        )
        tally_before = idle + sum(int(answer[4]) for answer in answers.values())
        for shard, answer in answers.items():
            done = shard not in left_over and answer[2] == b"end"
            positions[shard] = unpack_position(answer[1] if done else answer[3])
        for position, shard, _, _ in found[:limit]:
            if shard in left_over or answers[shard][2] == b"more":
                positions[shard] = position
        entries = tuple(entry_of(shard, stream_id, account, change) for _, shard, stream_id, change in found[:limit])
        more = bool(left_over) or any(answer[2] == b"more" for answer in answers.values())
        return FeedPage(entries, pack_cursor(self.epoch, positions), more, tally, tally_before)

    def positions(self, cursor: str | None) -> Sequence[Position | None]:
        """Where the cursor stands in each shard. Raises as `changes` does."""
        if cursor is None:
            return [None] * self.shards
        epoch, positions = unpack_cursor(cursor)
        if len(positions) != self.shards:
            raise ValueError(f"cursor {cursor!r} is of a store of {len(positions)} shards, not {self.shards}")
        if epoch != self.epoch:
            why = "the store failed over or was restored since this cursor: list the shipments, then follow anew"
            raise CursorTooOld(why)
        return positions

    async def committed(self, shard: int, after: Position | None) -> tuple[Position, dict[bytes, Position] | None]:
        """Where the shard's feed ends, and each account's last entry after `after`; None where that can't be told."""
        named = (self.keys.feed[shard], self.keys.marks[shard])
        answer = await self._read(shard, "committed", named, (pack_position(after),))
        told = after is not None and answer[0] == b"ok"
        pairs = zip(answer[2::2], map(unpack_position, answer[3::2]), strict=True)
        return unpack_position(answer[1]), dict(pairs) if told else None

    async def head(self) -> str:
        """The cursor of now: nothing that is committed already comes after it."""
        keys = self.keys
        answers = await self._everywhere(
            lambda shard: self._read(shard, "feed_head", (keys.feed[shard], keys.marks[shard]))
        )
        return pack_cursor(self.epoch, [unpack_position(answer[1]) for answer in answers])

    async def cursor_at(self, at: int) -> str:
        """The cursor before everything that was committed at the time `at` (ms) or later."""
        keys = self.keys
        answers = await self._everywhere(
            lambda shard: self._read(shard, "feed_head", (keys.feed[shard], keys.marks[shard]))
        )
        before = (max(at, 1) - 1, (1 << 32) - 1)
        return pack_cursor(self.epoch, [min(before, unpack_position(answer[1])) for answer in answers])

    async def trim_feed(self, *, keep_ms: int, keep_entries: int) -> int:
        """Forget changes that are older than `keep_ms` or more than `keep_entries` in all; how many went.

        At most a thousand per shard and call, and none that fan-out has not seen.
        """
        share = -(-keep_entries // self.shards)
        keys = self.keys
        plans = await self._everywhere(
            lambda shard: self._read(
                shard, "trim_plan", (keys.feed[shard], keys.fanned[shard]), (number(keep_ms), number(share))
            )
        )
        calls = [self._trim(shard, plan[1], plan[2]) for shard, plan in enumerate(plans) if plan[1] != b"-"]
        return sum(checked(answer)[1] for answer in await asyncio.gather(*calls))

    def _trim(self, shard: int, upto: bytes, accounts: Sequence[bytes]) -> asyncio.Future[list[int]]:
        keys = self.keys
        lists = [keys.of_account(shard, b"x", account.decode()) for account in accounts]
        named = (keys.feed[shard], keys.fanned[shard], keys.marks[shard], *lists)
        return self._write(shard, "trim", named, (upto, *accounts))
