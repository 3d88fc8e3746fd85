"""The order stores of the accounts: each one's platform, address, credentials and words. Secrets lie sealed."""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from msgspec import structs

from tracker.connections.checks import check_moved
from tracker.connections.sealing import Seals
from tracker.errors import NotFound
from tracker.looks import Looks
from tracker.order_stores.checks import check
from tracker.order_stores.order_store import PREFIX, OrderStore, Probe
from tracker.order_stores.registry import Platforms
from tracker.order_stores.sdk import Platform
from tracker.order_stores.sealing import opened, sealed
from tracker.path_secrets import new_path_secret, replaced
from tracker.store.changing import Shelf, change_record
from tracker.store.types import StoreDown

KIND = "order_store"  # of the store's records
WATERMARK = "backfill"  # of the records that say up to where it was asked
MAX_PER_ACCOUNT = 50
_FRESH_S = 1.0  # a change made by another process may be seen so much later


class Records(Shelf, Protocol):
    """What order stores need of the store."""

    async def put_record(
        self, kind: str, account: str, id: str, value: bytes, *, create: bool = False, most: int = 0
    ) -> bool: ...
    async def records(self, kind: str, account: str | None = None) -> dict[tuple[str, str], bytes]: ...
    async def records_version(self, kind: str) -> int: ...
    async def remove_record(self, kind: str, account: str, id: str) -> bool: ...
    async def drop_destination(self, account: str, destination: str) -> None: ...


class OrderStores:
    """The order stores of one store. Errors: BadInput, NotFound, StoreDown."""

    def __init__(
        self,
        store: Records,
        platforms: Platforms,
        sealer: Seals,
        *,
        check_url: Callable[[str], None],
        probe: Callable[[OrderStore, Platform], Awaitable[Probe]],
    ) -> None:
        self._store = store
        self._platforms = platforms
        self._sealer = sealer
        self._check_url = check_url
        self._probe = probe
        self._version = -1
        self._seen_at = float("-inf")
        self._looks = Looks(self._look)
        self._by_id: dict[str, OrderStore] = {}
        self._opened: dict[bytes, OrderStore] = {}
        self._shut: set[str] = set()  # those that can't be opened

    # ------------------------------------------------------------ looking up

    async def find(self, id: str) -> OrderStore | None:
        """The order store of that id, seen at most a second ago; one that is not known is looked for at once.

        Raises StoreDown for one that is there and can't be opened: it may be sealed under a key that comes yet.
        """
        await self._refresh(within_s=_FRESH_S)
        if id not in self._by_id:
            await self._refresh()
        if id in self._shut:
            raise StoreDown(f"{id} can't be opened: check secrets.key")
        return self._by_id.get(id)

    def platform_of(self, store: OrderStore) -> Platform | None:
        """The platform of an order store, None where it is not installed."""
        return self._platforms.get(store.platform)

    async def all(self, account: str) -> list[OrderStore]:
        """The order stores of an account, oldest first."""
        await self._refresh()
        return [one for one in self._by_id.values() if one.account == account]

    async def everybody(self) -> list[OrderStore]:
        """The order stores of every account, oldest first."""
        await self._refresh()
        return list(self._by_id.values())

    async def get(self, account: str, id: str) -> OrderStore | None:
        """One order store of that account."""
        await self._refresh()
        found = self._by_id.get(id)
        return found if found and found.account == account else None

    async def _refresh(self, *, within_s: float = 0.0) -> None:
        if time.monotonic() - self._seen_at < within_s:
            return
        await (self._looks.join() if within_s else self._looks.now())

    async def _look(self) -> None:
        at = time.monotonic()
        version = await self._store.records_version(KIND)
        if version != self._version:
            self._take(await self._store.records(KIND))
            self._version = version  # read first: what is held is at least as new as it says
        self._seen_at = at

    def _take(self, found: Mapping[tuple[str, str], bytes]) -> None:
        read = {
            value: self._opened.get(value) or opened(account, value, self._sealer)
            for (account, _), value in found.items()
        }
        self._opened = {value: one for value, one in read.items() if one}
        self._shut = {id for (_, id), value in found.items() if read[value] is None}
        self._by_id = {one.id: one for one in sorted(self._opened.values(), key=lambda one: (one.created_at, one.id))}

    # ------------------------------------------------------------ changing

    async def create(self, account: str, *, now: int, **said: Any) -> OrderStore:
        """Make an order store, its path secret with it; `now` in ms."""
        made = OrderStore(
            id=f"ost_{secrets.token_hex(10)}",
            account=account,
            path_secret=new_path_secret(),
            created_at=now,
            **_tuples(said),
        )
        check(made, self._platforms, self._check_url)
        await self._store.put_record(
            KIND, account, made.id, sealed(made, self._sealer), create=True, most=MAX_PER_ACCOUNT
        )
        return made

    async def amend(self, account: str, id: str, **said: Any) -> OrderStore:
        """Change what is said, leave the rest; credentials, options and statuses are replaced as a whole."""

        def change(found: OrderStore) -> OrderStore:
            amended = structs.replace(found, **_tuples(said))
            check(amended, self._platforms, self._check_url)
            check_moved("credentials", found.credentials, found.base, amended.base, said)
            return amended

        return await self._change(account, id, change)

    async def rotate(self, account: str, id: str, *, overlap_s: float, now: int) -> OrderStore:
        """Give it a new path secret; the one before it opens its address too, for `overlap_s`."""

        def change(found: OrderStore) -> OrderStore:
            return structs.replace(found, **replaced(found, overlap_s=overlap_s, now=now))

        rotated = await self._change(account, id, change)
        await self._refresh()  # who is shown the new address may use it at once
        return rotated

    async def _change(self, account: str, id: str, change: Callable[[OrderStore], OrderStore]) -> OrderStore:
        changed = await change_record(
            self._store,
            KIND,
            account,
            id,
            opened=lambda value: opened(account, value, self._sealer),
            change=change,
            sealed=lambda store: sealed(store, self._sealer),
        )
        if changed is None:
            raise NotFound(f"order store {id!r}")
        return changed

    def takes_pushes(self, store: OrderStore) -> bool:
        """Whether its platform pushes fulfilments."""
        platform = self.platform_of(store)
        return platform is not None and platform.fulfilments is not None

    def can_be_asked(self, store: OrderStore) -> bool:
        """Whether its platform can be asked what it did not push."""
        platform = self.platform_of(store)
        return platform is not None and platform.recent is not None

    async def remove(self, account: str, id: str) -> None:
        """Remove an order store and drop what waits for it."""
        if await self._store.remove_record(KIND, account, id):
            await self._store.remove_record(WATERMARK, account, id)
            await self._store.drop_destination(account, PREFIX + id)

    async def test(self, store: OrderStore) -> Probe:
        """Ask its platform something that changes nothing, with its credentials."""
        platform = self.platform_of(store)
        if platform is None:
            return Probe(False, f"the platform {store.platform!r} is not installed")
        return await self._probe(store, platform)


def _tuples(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in said.items()}
