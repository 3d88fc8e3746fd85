"""The connections of a store: sealed, looked up, changed."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from msgspec import structs

from carriers.sdk import Carrier
from tracker.connections.checks import CheckUrl, check_base, check_credentials, check_moved
from tracker.connections.connection import Connection, Route, speaks_of
from tracker.connections.sealing import Seals, opened, sealed
from tracker.errors import BadInput, NotFound
from tracker.looks import Looks
from tracker.model import Document
from tracker.path_secrets import new_path_secret, replaced
from tracker.store.changing import Shelf, change_record
from tracker.store.types import StoreDown

KIND = "connection"
MAX_PER_ACCOUNT = 200
HEARD = "heard"
ORDER = "route"  # an account's order of connections for a carrier
OUTAGE = "outage"  # until when a connection that fails is not asked where another can be (ms)
_FRESH_S = 1.0  # a change made by another process may be seen so much later
_HEARD_EVERY_MS = 60_000  # one write a minute and connection says that it is alive
_OUTAGE_STEP_MS = 10_000  # an outage that grows by less is not written again


class Records(Shelf, Protocol):
    """What connections need of the store."""

    async def put_record(
        self, kind: str, account: str, id: str, value: bytes, *, create: bool = False, most: int = 0
    ) -> bool: ...
    async def records(self, kind: str, account: str | None = None) -> dict[tuple[str, str], bytes]: ...
    async def records_version(self, kind: str) -> int: ...
    async def remove_record(self, kind: str, account: str, id: str) -> bool: ...


class Registry(Protocol):
    """The adapters that are installed."""

    def get(self, slug: str) -> Carrier | None: ...


class Connections:
    """The connections of one store. Look-ups read what `refresh` last saw. Errors: BadInput, NotFound, StoreDown.

    `check_url` judges a `base` when it is given; whether it may be reached is decided again at each connect.
    """

    def __init__(self, store: Records, registry: Registry, sealer: Seals, *, check_url: CheckUrl | None = None) -> None:
        self._store = store
        self._registry = registry
        self._sealer = sealer
        self._check_url = check_url
        self._version = -1
        self._seen_at = float("-inf")
        self._looks = Looks(self._look)
        self._by_id: dict[str, Connection] = {}
        self._by_account: dict[str, list[Connection]] = {}
        self._opened: dict[bytes, Connection] = {}
        self._shut: set[str] = set()  # those that can't be opened
        self._routes: dict[tuple[str, str, str], tuple[Route, ...]] = {}
        self._orders_version = -1
        self._orders: dict[tuple[str, str], list[str]] = {}
        self._outages_version = -1
        self._outages: dict[str, int] = {}
        self._heard: dict[str, int] = {}
        self._heard_written: dict[str, int] = {}

    # ------------------------------------------------------------ looking up

    async def refresh(self, *, within_s: float = 0.0) -> None:
        """See every connection as it stands in the store now, or as it stood at most `within_s` ago."""
        if time.monotonic() - self._seen_at < within_s:
            return
        await (self._looks.join() if within_s else self._looks.now())

    async def _look(self) -> None:
        at = time.monotonic()
        kinds = (KIND, ORDER, OUTAGE)
        version, orders, outages = await asyncio.gather(*map(self._store.records_version, kinds))
        # a version is read first: what is held is at least as new as it says
        if version != self._version:
            self._take(await self._store.records(KIND))
            self._version = version
        if orders != self._orders_version:
            self._take_orders(await self._store.records(ORDER))
            self._orders_version = orders
        if outages != self._outages_version:
            self._outages = {id: int(until) for (_, id), until in (await self._store.records(OUTAGE)).items()}
            self._outages_version = outages
        self._seen_at = at

    def _take(self, found: Mapping[tuple[str, str], bytes]) -> None:
        read = {
            value: self._opened.get(value) or opened(account, value, self._sealer)
            for (account, _), value in found.items()
        }
        self._opened = {value: connection for value, connection in read.items() if connection}
        self._shut = {id for (_, id), value in found.items() if read[value] is None}
        every = sorted(self._opened.values(), key=lambda c: (c.created_at, c.id))
        self._by_id = {connection.id: connection for connection in every}
        self._by_account, self._routes = {}, {}
        for connection in every:
            self._by_account.setdefault(connection.account, []).append(connection)

    def _take_orders(self, found: Mapping[tuple[str, str], bytes]) -> None:
        self._orders = {key: msgspec.json.decode(value, type=list[str]) for key, value in found.items()}
        self._routes = {}

    async def find(self, id: str) -> Connection | None:
        """The connection of that id, seen at most a second ago; one that is not known is looked for at once.

        Raises StoreDown for one that is there and can't be opened: it may be sealed under a key that comes yet.
        """
        await self.refresh(within_s=_FRESH_S)
        found = self._by_id.get(id)
        if found is None and id.startswith("con_"):
            await self.refresh()
            found = self._by_id.get(id)
        if id in self._shut:
            raise StoreDown(f"{id} can't be opened: check secrets.key")
        return found

    def routes(self, document: Document) -> tuple[Route, ...]:
        """The routes of a shipment, in the order in which they are asked; only enabled ones of its account.

        The connection that its registration names comes first, then those that the account put in order for its
        carrier; where it did not, those of the carrier's own, then aggregators' that know it, the oldest first.
        """
        key = document.account, document.carrier, document.details.connection
        if key not in self._routes:
            self._routes[key] = tuple(self._ordered(*key))
        return self._routes[key]

    def route(self, document: Document) -> Route | None:
        """The first route of a shipment."""
        return next(iter(self.routes(document)), None)

    def _ordered(self, account: str, slug: str, wanted: str) -> list[Route]:
        mine = [c for c in self._by_account.get(account, ()) if c.enabled]
        routes = [Route(c, adapter) for c in mine if (adapter := self._registry.get(c.carrier))]
        fitting = [route for route in routes if speaks_of(route.carrier, slug)]
        said = self._orders.get((account, slug))
        if said is None:
            return sorted(fitting, key=lambda route: (route.connection.id != wanted, route.carrier.slug != slug))
        asked = [wanted, *said]
        ordered = [route for route in fitting if route.connection.id in asked]
        return sorted(ordered, key=lambda route: asked.index(route.connection.id))

    def carrier_of(self, connection: Connection) -> Carrier | None:
        """The adapter that speaks over the connection, None where it is not installed."""
        return self._registry.get(connection.carrier)

    # ------------------------------------------------------------ feed health

    async def note_heard(self, connection: Connection, *, now: int) -> None:
        """The connection has told us of something at `now` (ms); written once a minute."""
        self._heard[connection.id] = now
        if abs(now - self._heard_written.get(connection.id, 0)) >= _HEARD_EVERY_MS:  # after a step back at once
            self._heard_written[connection.id] = now
            await self._store.put_record(HEARD, connection.account, connection.id, str(now).encode())

    async def refresh_heard(self) -> None:
        """Learn what other processes heard."""
        for (_, id), value in (await self._store.records(HEARD)).items():
            self._heard[id] = max(self._heard.get(id, 0), int(value))

    def heard_at(self, document: Document) -> int | None:
        """When the sources and the route of a shipment last told of anything (ms); None where it has neither."""
        ids = {source.name.partition("/")[0] for source in document.sources}
        ids |= {route.connection.id for route in self.routes(document)}
        known = [id for id in ids if id in self._by_id]
        return max((self._heard.get(id, 0) for id in known), default=None)

    def resting_until(self, id: str) -> int:
        """Until when a connection that failed is not asked where another can be (ms); in the past: it is."""
        return self._outages.get(id, 0)

    async def note_failed(self, connection: Connection, *, until: int) -> None:
        """The connection does not work; it is left alone until then (ms), by every process."""
        known = self._outages.get(connection.id, 0)
        self._outages[connection.id] = until
        if until - known >= _OUTAGE_STEP_MS:
            await self._store.put_record(OUTAGE, connection.account, connection.id, str(until).encode())

    async def note_answered(self, connection: Connection) -> None:
        """The connection works."""
        if self._outages.pop(connection.id, None) is not None:
            await self._store.remove_record(OUTAGE, connection.account, connection.id)

    # ------------------------------------------------------------ changing

    async def all(self, account: str) -> list[Connection]:
        """The connections of an account, oldest first."""
        await self.refresh()
        return list(self._by_account.get(account, ()))

    async def get(self, account: str, id: str) -> Connection | None:
        """One connection of that account."""
        await self.refresh()
        found = self._by_id.get(id)
        return found if found and found.account == account else None

    async def create(
        self,
        account: str,
        *,
        carrier: str,
        name: str = "",
        base: str = "",
        credentials: Mapping[str, str] | None = None,
        auto_register: bool = False,
        enabled: bool = True,
        now: int,
    ) -> Connection:
        """Make a connection, its path secret with it."""
        made = Connection(
            id=f"con_{secrets.token_hex(10)}",
            account=account,
            carrier=carrier,
            name=name,
            base=base,
            credentials=dict(credentials or {}),
            path_secret=new_path_secret(),
            auto_register=auto_register,
            enabled=enabled,
            created_at=now,
        )
        self._check(made)
        kept = sealed(made, self._sealer)
        await self._store.put_record(KIND, account, made.id, kept, create=True, most=MAX_PER_ACCOUNT)
        return made

    async def amend(self, account: str, id: str, **said: Any) -> Connection:
        """Change `name`, `base`, `credentials` (as a whole), `auto_register` or `enabled`; raises NotFound."""

        def change(found: Connection) -> Connection:
            amended = structs.replace(found, **said)
            self._check(amended)
            check_moved("credentials", found.credentials, found.base, amended.base, said)
            return amended

        return await self._change(account, id, change)

    async def rotate(self, account: str, id: str, *, overlap_s: float, now: int) -> Connection:
        """Give it a new path secret; the one before it opens its address too, for `overlap_s`. Raises NotFound."""

        def change(found: Connection) -> Connection:
            return structs.replace(found, **replaced(found, overlap_s=overlap_s, now=now))

        rotated = await self._change(account, id, change)
        await self.refresh()  # who is shown the new address may use it at once
        return rotated

    async def _change(self, account: str, id: str, change: Callable[[Connection], Connection]) -> Connection:
        changed = await change_record(
            self._store,
            KIND,
            account,
            id,
            opened=lambda value: opened(account, value, self._sealer),
            change=change,
            sealed=lambda connection: sealed(connection, self._sealer),
        )
        if changed is None:
            raise NotFound(f"connection {id!r}")
        return changed

    async def remove(self, account: str, id: str) -> None:
        """Remove a connection; raises NotFound."""
        if not await self._store.remove_record(KIND, account, id):
            raise NotFound(f"connection {id!r}")
        await asyncio.gather(*(self._store.remove_record(kind, account, id) for kind in (HEARD, OUTAGE)))

    # ------------------------------------------------------------ the order of routes

    async def orders(self, account: str) -> dict[str, list[str]]:
        """The account's orders: carrier → ids of connections, the first one first."""
        await self.refresh()
        return {slug: list(ids) for (owner, slug), ids in sorted(self._orders.items()) if owner == account}

    async def order(self, account: str, carrier: str, ids: Sequence[str]) -> None:
        """Ask for that carrier's parcels over these connections, in this order.

        Raises:
            BadInput: a connection is not the account's, does not speak of the carrier, or stands there twice.
        """
        await self.refresh()
        for place, id in enumerate(ids):
            found = self._by_id.get(id)
            adapter = self.carrier_of(found) if found and found.account == account else None
            if adapter is None:
                raise BadInput(f"connections[{place}]", f"{id[:64]!r} is no connection of this account")
            if not speaks_of(adapter, carrier):
                raise BadInput(f"connections[{place}]", f"{adapter.slug} tells nothing of {carrier}")
            if id in ids[:place]:
                raise BadInput(f"connections[{place}]", f"{id[:64]!r} stands there twice")
        await self._store.put_record(ORDER, account, carrier, msgspec.json.encode(ids))

    async def forget_order(self, account: str, carrier: str) -> bool:
        """Go back to the usual order; False where there was none."""
        return await self._store.remove_record(ORDER, account, carrier)

    def _check(self, connection: Connection) -> None:
        carrier = self._registry.get(connection.carrier)
        if carrier is None:
            raise BadInput("carrier", f"{connection.carrier[:40]!r} has no adapter here", code="unknown_carrier")
        check_credentials(carrier, connection.credentials)
        check_base(connection.base)
        if connection.base and self._check_url:
            self._check_url(connection.base, "base")
