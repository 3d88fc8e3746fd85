"""Nothing leaves an account: whatever names a thing, in any route, is tried with another account's.

The routes, and the places in them where something is named, come from the route table (`everything`).
"""

from __future__ import annotations

import contextlib
import math
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
import pytest
from msgspec import Struct
from sqlalchemy import event
from sqlalchemy.engine import Engine

from tracker.accounts import Scope
from tracker.api import TABLE
from tracker.api.route import Route

from .everything import BODIES, QUERIES, UNKNOWN, Place, one_of_everything, places, request_to
from .world import Answer, Api

# An order is whose it is stated by, and a waybill whoever's follows it: another's makes one's own.
OWN_NAMES = {"put_order"}
_OWN = re.compile(r'"[^"]*\b(?:shp|sub|con|ost|qua|msg|dl|mp|whsec|whpk)_[^"]+"|"\d{4}-\d\d-\d\dT[^"]+"')
_OF_ITS_OWN = {"info", "ping", "time"}  # commands: this test's, and what an open store asks now and then, whoever comes
_NEW = re.compile(r'"(?P<name>id|cursor)":"[^"]+"')


class Toll:
    """What requests cost behind the API: commands of the store, those within its functions too, and SQL statements."""

    def __init__(self, api: Api) -> None:
        self._store = api.store
        self.spent: Counter[str] = Counter()

    async def _commands(self) -> Counter[str]:
        text = await self._store.wire.control().send(b"INFO", b"commandstats")
        found = re.findall(r"cmdstat_(\S+?):calls=(\d+)", text if isinstance(text, str) else text.decode())
        return Counter({name: int(calls) for name, calls in found if name not in _OF_ITS_OWN})

    @contextlib.asynccontextmanager
    async def counted(self) -> AsyncIterator[None]:
        statements: list[str] = []

        def heard(*args: Any) -> None:
            statements.append(args[2])

        before = await self._commands()
        event.listen(Engine, "before_cursor_execute", heard)
        try:
            yield
        finally:
            event.remove(Engine, "before_cursor_execute", heard)
        self.spent = await self._commands() - before + Counter(statements)


def told(answer: Answer, account: str, names: Mapping[str, str]) -> Any:
    """All that an answer says, but for the names that it was asked with, and the names and times of what it made."""
    text = msgspec.json.encode(answer.body).decode().replace(account, "<me>")
    for kind, name in names.items():
        text = text.replace(name, f"<{kind}>")
    text = _NEW.sub(r'"\g<name>":"<new>"', _OWN.sub('"<own>"', text)) if answer.status < 300 else text
    body = msgspec.json.decode(text)
    if answer.status >= 400:
        del body["instance"]
    headers = {name: value for name, value in answer.headers.items() if name not in ("Date", "Content-Length")}
    return answer.status, body, headers


async def tried(api: Api, mine: Mapping[str, str], place: Place, names: Mapping[str, str]) -> tuple[Any, Toll]:
    """What is told to the account with everything of `mine`, and what it costs, where `names` has the place's value."""
    toll = Toll(api)
    request = request_to(place.route, mine, place, names[place.what])
    for kept in ("/connections", "/subscriptions", "/order-stores"):  # is read anew after any account's change
        await api.call(mine["account"], "GET", kept)
    async with toll.counted():
        answer = await api.call(mine["account"], place.route.method, request.path, **request.how)
    return told(answer, mine["account"], names), toll


@pytest.mark.parametrize("tag", dict.fromkeys(route.tag for route in TABLE))
async def test_anothers_id_is_answered_as_one_that_never_was(api: Api, tag: str) -> None:
    """The same status, words and headers, for the same looks at the store and the order book."""
    everything = await one_of_everything(api, await api.account(), 7)
    theirs = {kind: everything[kind] for kind in UNKNOWN}
    for route in [route for route in TABLE if route.tag == tag]:
        named = [place for place in places(route) if place.what in UNKNOWN]
        own = [await one_of_everything(api, await api.account()) for _ in range(2 if named else 0)]
        for place in named:
            foreign, dear = await tried(api, own[0], place, theirs)
            unknown, cheap = await tried(api, own[1], place, UNKNOWN)
            assert foreign == unknown, str(place)
            assert dear.spent == cheap.spent, str(place)
            if place.within == "path" and route.name not in OWN_NAMES:
                assert foreign[0] == 404, str(place)


async def test_an_id_of_anothers_at_a_place_for_another_kind_is_unknown_too(api: Api) -> None:
    """A key's id for a shipment, an order's number for a connection: whatever it is elsewhere, it is nothing here."""
    theirs, mine = [await one_of_everything(api, await api.account(), number) for number in (7, 1)]
    named = [place for route in TABLE if route.name not in OWN_NAMES for place in places(route)]
    for place in [place for place in named if place.within == "path" and place.what]:
        for kind in UNKNOWN.keys() - {place.what}:
            told_of = []
            for name in (theirs[kind], UNKNOWN[kind]):
                request = request_to(place.route, mine, place, name)
                answer = await api.call(mine["account"], place.route.method, request.path, **request.how)
                told_of.append(told(answer, mine["account"], {"name": name}))
            assert told_of[0] == told_of[1], f"{place}: {kind}"
            assert told_of[0][0] == 404, f"{place}: {kind}"


async def test_anothers_cursor_leads_to_nothing_of_theirs(api: Api) -> None:
    """With one account's cursor or another's, who has nothing is told the same: nothing."""
    lenders = [await one_of_everything(api, await api.account(), number) for number in (7, 8)]
    for place in [place for route in TABLE for place in places(route) if place.what.endswith("cursor")]:
        stranger = await api.account()
        made = await api.call(stranger, "POST", "/subscriptions", json=BODIES["create_subscription"])
        own = {"account": stranger, "subscription": made.body["id"]}
        first, second = [(await tried(api, own, place, lender))[0] for lender in lenders]
        assert first == second, str(place)
        assert first[0] == 200, str(place)
        assert not _named(lenders, first), str(place)


async def test_a_list_holds_nothing_of_anothers_and_counts_nothing_of_it(api: Api) -> None:
    """What a newcomer is told is the same before and after another account has one of everything."""
    stranger, reading = (
        await api.account(),
        [route for route in TABLE if route.method == "GET" and not route.parameters],
    )
    await api.key(stranger)
    before = {route.name: told(await _read(api, stranger, route), stranger, {}) for route in reading}
    theirs = await one_of_everything(api, await api.account(), 7)
    for route in reading:
        answer = await _read(api, stranger, route)
        assert answer.status == 200
        assert told(answer, stranger, {}) == before[route.name]
        assert not _named([theirs], answer.body), route.name


async def _read(api: Api, account: str, route: Route) -> Answer:
    return await api.call(account, "GET", route.path, params=QUERIES.get(route.name, {}))


def _named(owners: Sequence[Mapping[str, str]], said: Any) -> list[str]:
    names = [name for owner in owners for kind, name in owner.items() if not kind.endswith("cursor")]
    return [name for name in names if name in str(said)]


async def test_nothing_of_theirs_was_touched(api: Api) -> None:
    """Every route that changes something, with their id at each of its places."""
    theirs, mine = [await one_of_everything(api, await api.account(), number) for number in (7, 1)]
    before = await _seen(api, theirs["account"])
    for place in [place for route in TABLE if route.method != "GET" for place in places(route) if place.what]:
        request = request_to(place.route, mine, place, theirs[place.what])
        await api.call(mine["account"], place.route.method, request.path, **request.how)
    assert await _seen(api, theirs["account"]) == before


async def _seen(api: Api, account: str) -> list[Any]:
    """All that its lists say. The feed's cursor moves with the neighbours' changes."""
    answers = [await _read(api, account, route) for route in TABLE if route.method == "GET" and not route.parameters]
    assert {answer.status for answer in answers} == {200}
    return [answer.body | {"cursor": None} for answer in answers]


PATHS = ["/shipments/{shipment}", "/subscriptions/{subscription}", "/orders/{order}"]
Call = Callable[[], Awaitable[Any]]
_BATCHES = 20
_ENOUGH = 10  # batches, after which a time that tells nothing is not waited for


@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", PATHS)
async def test_anothers_id_takes_as_long_as_one_that_never_was(api: Api, path: str) -> None:
    """They differ by less than half of one look at where it would lie, which is measured in the same rounds."""
    theirs, unknown, look = await _three(api, path)
    assert await _told_apart(theirs, unknown, look) is not True  # on a very busy machine there may be doubt to the end


@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", PATHS)
async def test_one_look_more_would_be_seen(api: Api, path: str) -> None:
    """So the test above is not blind."""
    theirs, unknown, look = await _three(api, path)

    async def dearer() -> None:
        await look()
        await theirs()

    assert await _told_apart(dearer, unknown, look) is True


async def _three(api: Api, path: str) -> tuple[Call, Call, Call]:
    """A stranger asks for what is another's, for what never was; and one look at the store, or the order book.

    Against SQL, a look at the store is so little that no number of rounds would tell the two apart for certain.
    """
    everything, stranger = await one_of_everything(api, await api.account(), 7), await api.account()
    store = api.store

    async def look() -> None:
        if path.startswith("/orders/"):
            await api.book.get(stranger, UNKNOWN["order"])
        else:
            await store.get_record("account", stranger, stranger)

    return (
        lambda: _refused(api, stranger, path.format_map(everything)),
        lambda: _refused(api, stranger, path.format_map(UNKNOWN)),
        look,
    )


class Measured(Struct):
    """How far the costs of two calls lie apart, by how much that may be wrong, and half of what a look costs."""

    apart: float
    doubt: float
    half: float

    @property
    def differ(self) -> bool:
        return self.apart - self.doubt > self.half

    @property
    def agree(self) -> bool:
        return self.apart + self.doubt < self.half


async def _told_apart(theirs: Call, unknown: Call, look: Call) -> bool | None:
    """Whether the first two differ by half a look: rounds of all three until there is no doubt; None: there always was.

    By the time that passes and by that which this process works; on a machine so busy that the first never tells
    anything, the second does. Who waits for a look, and not for itself, is counted (`Toll`).
    """
    passed: list[list[float]] = [[], [], []]
    worked: list[list[float]] = [[], [], []]
    order = random.Random(7)
    for batch in range(_BATCHES):
        for _ in range(150):
            for place, call in order.sample(list(enumerate((theirs, unknown, look))), 3):
                started, began = time.perf_counter(), time.process_time()
                await call()
                worked[place].append(time.process_time() - began)
                passed[place].append(time.perf_counter() - started)
        wall, work = _measured(passed), _measured(worked)
        if wall.differ or work.differ:
            return True
        if work.agree and (wall.agree or batch >= _ENOUGH):
            return False
    return None


def _measured(spans: Sequence[Sequence[float]]) -> Measured:
    (one, doubt), (other, other_doubt), (look, _) = map(_quick, spans)
    return Measured(abs(one - other), math.hypot(doubt, other_doubt), look / 2)


def _quick(spans: Sequence[float]) -> tuple[float, float]:
    """The span that a fifth of them are below, which a busy machine held up least; and by how much it may be wrong."""
    ranked, middle = sorted(spans), 0.2 * len(spans)
    chance = 3 * math.sqrt(0.8 * middle)
    low, high = (ranked[round(middle + way * chance)] for way in (-1, 1))
    return ranked[round(middle)], (high - low) / 2


async def _refused(api: Api, account: str, path: str) -> None:
    headers = {"Authorization": f"Bearer {await api.key(account)}"}
    async with api.client.get("/v1" + path, headers=headers) as response:
        assert response.status == 404
        await response.read()


async def test_the_same_waybill_is_two_shipments_in_two_accounts(api: Api) -> None:
    theirs, stranger = await one_of_everything(api, await api.account()), await api.account()
    mine = await api.call(stranger, "POST", "/shipments", json=BODIES["register_shipments"])
    assert mine.status == 201
    assert mine.body["id"] != theirs["shipment"]


async def test_anothers_connection_is_no_route(api: Api) -> None:
    theirs, stranger = await one_of_everything(api, await api.account(), 7), await api.account()
    body = BODIES["register_shipments"] | {"connection": theirs["connection"]}
    answer = await api.call(stranger, "POST", "/shipments", json=body)
    assert answer.status == 422
    assert answer.body["errors"][0]["code"] == "unknown_connection"


async def test_a_route_asks_for_a_key_and_for_its_scope(api: Api, account: str) -> None:
    for route in TABLE:
        request = request_to(route, UNKNOWN)
        assert (await api.raw(route.method, request.path, **request.how)).status == 401, route.name
        lesser = {Scope.WRITE: Scope.READ, Scope.ADMIN: Scope.WRITE}.get(route.scope)
        if lesser:
            answer = await api.call(account, route.method, request.path, scope=lesser, **request.how)
            assert answer.status == 403, route.name


def test_a_route_that_changes_anything_needs_more_than_reading() -> None:
    assert not [route.name for route in TABLE if route.method != "GET" and route.scope is Scope.READ]
