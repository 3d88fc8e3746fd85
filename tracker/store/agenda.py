"""What is due when: claims under a lease, settled with the claim as fencing token."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence

from tracker.store.keys import encode_id
from tracker.store.types import DueItem
from tracker.store.wire import Calls, checked, number

ITEMS = 1_000  # the most that one call of a function carries


def shares(waiting: Mapping[int, int], limit: int) -> dict[int, int]:
    """Share `limit` out over what waits in each shard, evenly, none more than it has."""
    given: dict[int, int] = dict.fromkeys(waiting, 0)
    open_shards = [shard for shard, count in waiting.items() if count]
    while limit and open_shards:
        each = max(1, limit // len(open_shards))
        for shard in open_shards[:limit]:
            more = min(each, waiting[shard] - given[shard], limit)
            given[shard] += more
            limit -= more
        open_shards = [shard for shard in open_shards if given[shard] < waiting[shard]]
    return {shard: count for shard, count in given.items() if count}


class Agenda(Calls):
    """The agenda's part of the store."""

    _turn = 0

    def _rotated(self) -> list[int]:
        """All shards, beginning elsewhere at each call, so that a small limit starves none."""
        self._turn = (self._turn + 1) % self.shards
        return [*range(self._turn, self.shards), *range(self._turn)]

    async def claim_due(self, claim: str, *, limit: int, lease_ms: int) -> list[DueItem]:
        """Take at most `limit` shipments whose hour has come; they come again when the lease (ms) has run out.

        The same `claim` gets the same answer, less what was settled meanwhile.
        """
        keys, name = self.keys, claim.encode()
        own = [keys.claim(shard, f"due:{claim}") for shard in range(self.shards)]
        peeks = await self._everywhere(
            lambda shard: self._read(shard, "due_peek", (keys.due[shard], own[shard]), (number(limit),), hint=True)
        )
        quotas = {shard: 1 for shard, peek in enumerate(peeks) if peek[2]}  # asked before: the answer is kept there
        if not quotas:
            quotas = shares({shard: peeks[shard][1] for shard in self._rotated()}, limit)
        calls = [
            self._write(
                shard,
                "due_claim",
                (keys.due[shard], keys.leases[shard], own[shard]),
                (name, number(quota), number(lease_ms)),
            )
            for shard, quota in quotas.items()
        ]
        answers = zip(quotas, await asyncio.gather(*calls), strict=True)
        return [
            DueItem(encode_id("shp_", shard, answer[at]), int(answer[at + 1]), claim)
            for shard, answer in answers
            for at in range(1, len(answer), 2)
        ]

    async def settle_due(self, items: Sequence[tuple[DueItem, int | None]]) -> None:
        """Say when each is due next (ms; None: never). An item whose claim is no longer the latest stays as it is."""
        by_shard: dict[int, list[bytes]] = defaultdict(list)
        for item, due in items:
            shard, local = self.keys.split(item.id)
            by_shard[shard] += (local, item.claim.encode(), b"" if due is None else number(due))
        calls = [
            self._write(shard, "due_settle", (self.keys.due[shard], self.keys.leases[shard]), args)
            for shard, all_args in by_shard.items()
            for args in chunked(all_args, 3 * ITEMS)
        ]
        for answer in await asyncio.gather(*calls):
            checked(answer)


def chunked(values: Sequence[bytes], size: int) -> list[Sequence[bytes]]:
    """The values in runs of at most `size`."""
    return [values[at : at + size] for at in range(0, len(values), size)]
