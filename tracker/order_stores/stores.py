"""The order stores of the accounts: each one's platform, address, credentials and words. Secrets lie sealed."""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import msgspec
import structlog
from msgspec import Struct, structs

from tracker.connections.checks import check_credentials
from tracker.errors import BadInput, MilepostError, NotFound
from tracker.looks import Looks
from tracker.order_stores.registry import Platforms, wrong_words
from tracker.order_stores.sdk import Platform
from tracker.path_secrets import new_path_secret, replaced
from tracker.store.changing import change_record
from tracker.store.types import StoreDown

KIND = "order_store"  # of the store's records
WATERMARK = "backfill"  # of the records that say up to where it was asked
PREFIX = "store:"  # of its destinations
MAX_PER_ACCOUNT = 50
_FRESH_S = 1.0  # a change made by another process may be seen so much later

log = structlog.get_logger()


class OrderStore(Struct, frozen=True, kw_only=True):
    """One account's access to one shop or ERP, its credentials open."""

    id: str
    account: str
    platform: str  # slug
    base: str  # its address
    name: str = ""
    credentials: Mapping[str, str] = {}
    options: Mapping[str, str] = {}
    statuses: Mapping[str, str] = {}  # over the platform's own
    shops: tuple[str, ...] = ()  # told of parcels with these labels only
    shop: str = ""  # the label of the parcels that it registers
    path_secret: str = ""
    old_secret: str = ""  # the one before it
    old_until: int = 0  # ms; so long that one opens the address too
    enabled: bool = True
    created_at: int = 0  # ms

    @property
    def destination(self) -> str:
        """The name of its lanes."""
        return PREFIX + self.id

    def __repr__(self) -> str:  # never its secrets
        return f"OrderStore({self.id}, {self.platform}, account {self.account})"


class Listener(Struct, frozen=True):
    """An order store as the fan-out sees it."""

    id: str  # the destination
    account: str
    shops: tuple[str, ...]
    enabled: bool
    orders_only: bool = True

    @property
    def filters_labels(self) -> bool:
        """Whether `wants` depends on the shipment's shop."""
        return bool(self.shops)

    def wants(self, kind: str, shop: str | None, carrier: str | None) -> bool:
        """Whether a change goes to it; None: not known, so it may."""
        return self.enabled and (not self.shops or shop is None or shop in self.shops)


class Records(Protocol):
    """What order stores need of the store."""

    async def put_record(
        self, kind: str, account: str, id: str, value: bytes, *, create: bool = False, most: int = 0
    ) -> bool: ...
    async def get_record(self, kind: str, account: str, id: str) -> bytes | None: ...
    async def replace_record(
        self, kind: str, account: str, id: str, value: bytes, *, seen: bytes | None = None
    ) -> bool: ...
    async def records(self, kind: str, account: str | None = None) -> dict[tuple[str, str], bytes]: ...
    async def records_version(self, kind: str) -> int: ...
    async def remove_record(self, kind: str, account: str, id: str) -> bool: ...
    async def drop_destination(self, account: str, destination: str) -> None: ...


class Seals(Protocol):
    """How secrets lie in the store."""

    def seal(self, plain: bytes) -> str: ...
    def unseal(self, sealed: str) -> bytes: ...


class Probe(Struct, frozen=True):
    """Whether an order store could be reached with its credentials, and whom or what it met."""

    reached: bool
    detail: str


class _Heard(Struct, frozen=True):
    """What the fan-out needs of a record."""

    shops: tuple[str, ...] = ()
    enabled: bool = True


class _Kept(Struct, frozen=True, kw_only=True):
    """An order store as stored."""

    id: str
    platform: str
    base: str
    name: str
    credentials: str  # sealed JSON object
    options: dict[str, str]
    statuses: dict[str, str]
    shops: tuple[str, ...]
    shop: str
    path_secret: str  # sealed
    enabled: bool
    created_at: int
    old_secret: str = ""  # sealed; "" where there is none
    old_until: int = 0


def listeners(records: Mapping[tuple[str, str], bytes]) -> list[Listener]:
    """Every order store among the records, as a listener; one that can't be read is left out, the others go on."""
    found = []
    for (account, id), record in records.items():
        try:
            heard = msgspec.json.decode(record, type=_Heard)
        except msgspec.DecodeError as error:
            log.error("order_store_unreadable", account=account, order_store=id, error=str(error))
        else:
            found.append(Listener(PREFIX + id, account, heard.shops, heard.enabled))
    return found


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
        opened = {value: self._opened.get(value) or self._open(account, value) for (account, _), value in found.items()}
        self._opened = {value: one for value, one in opened.items() if one}
        self._shut = {id for (_, id), value in found.items() if opened[value] is None}
        self._by_id = {one.id: one for one in sorted(self._opened.values(), key=lambda one: (one.created_at, one.id))}

    def _open(self, account: str, value: bytes) -> OrderStore | None:
        """The order store of a record; None, and a line in the log, where it can't be opened: the others go on."""
        try:
            kept = msgspec.json.decode(value, type=_Kept)
            said = structs.asdict(kept) | {
                "credentials": msgspec.json.decode(self._sealer.unseal(kept.credentials), type=dict[str, str]),
                "path_secret": self._sealer.unseal(kept.path_secret).decode(),
                "old_secret": self._sealer.unseal(kept.old_secret).decode() if kept.old_secret else "",
            }
        except (MilepostError, ValueError) as error:
            log.error("order_store_unreadable", account=account, error=str(error))
            return None
        return OrderStore(account=account, **said)

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
        self._check(made)
        await self._store.put_record(KIND, account, made.id, self._seal(made), create=True, most=MAX_PER_ACCOUNT)
        return made

    async def amend(self, account: str, id: str, **said: Any) -> OrderStore:
        """Change what is said, leave the rest; credentials, options and statuses are replaced as a whole."""

        def change(found: OrderStore) -> OrderStore:
            amended = structs.replace(found, **_tuples(said))
            self._check(amended)
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
            opened=lambda value: self._open(account, value),
            change=change,
            sealed=self._seal,
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

    def _seal(self, store: OrderStore) -> bytes:
        said = structs.asdict(store) | {
            "credentials": self._sealer.seal(msgspec.json.encode(store.credentials)),
            "path_secret": self._sealer.seal(store.path_secret.encode()),
            "old_secret": self._sealer.seal(store.old_secret.encode()) if store.old_secret else "",
        }
        del said["account"]
        return msgspec.json.encode(_Kept(**said))

    def _check(self, store: OrderStore) -> None:
        platform = self.platform_of(store)
        if platform is None:
            known = ", ".join(one.slug for one in self._platforms)
            raise BadInput("platform", f"{store.platform[:40]!r} is not installed; there are {known}", code="unknown")
        self._check_base(platform, store.base)
        check_credentials(platform, store.credentials)
        if platform.check:
            platform.check(store.credentials)
        _check_options(platform, store.options)
        for problem in wrong_words(platform, store.statuses):
            field, _, why = problem.partition(": ")
            raise BadInput(field, why)

    def _check_base(self, platform: Platform, base: str) -> None:
        try:
            self._check_url(base)
            if "?" in base:
                raise BadInput("base", "has a query: paths are added to it")
        except BadInput as error:
            raise BadInput(
                "base", f"{error.problem}; {platform.name} is at {platform.address}", code=error.code
            ) from None


def word_for(store: OrderStore, platform: Platform, status: str) -> str:
    """What an order store says for one of our statuses; "" where it is not told."""
    return store.statuses.get(status, platform.statuses.get(status, ""))


def _check_options(platform: Platform, options: Mapping[str, str]) -> None:
    known = {option.name: option.choices for option in platform.options}
    for name, choice in options.items():
        if name not in known:
            have = ", ".join(known) or "none"
            raise BadInput(f"options.{name[:64]}", f"{platform.slug} has no such option; it has {have}")
        if choice not in known[name]:
            raise BadInput(f"options.{name}", f"{choice[:64]!r} is not among {', '.join(known[name])}")


def _tuples(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in said.items()}
