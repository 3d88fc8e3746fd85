"""Every status that a subscriber may answer, over real HTTP, and what becomes of it: the table of docs/webhooks.md."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from tests.faults.answering import Answering, Manner, answering, in_turn, saying
from tests.faults.daemon import Daemon, Tenant, tenant, until
from tests.faults.load import waybills

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

ATTEMPTS = 10
PER_ACCOUNT = 100  # subscriptions
Made = dict[str, tuple[Tenant, str]]
EMPTY = b"Content-Length: 0\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n" + EMPTY


def status(code: int, *more: str) -> bytes:
    lines = "".join(f"{line}\r\n" for line in more)
    return f"HTTP/1.1 {code} As it is\r\n{lines}".encode() + EMPTY


def with_location(code: int) -> tuple[str, ...]:
    return ("Location: /followed",) if 300 <= code < 400 else ()


STATUSES = {str(code): saying(status(code, *with_location(code))) for code in range(200, 600)}

ODD: dict[str, tuple[str, Manner]] = {  # name → what becomes of it, and how it is answered
    "100-200": ("delivered", saying(b"HTTP/1.1 100 Continue\r\n\r\n", OK)),
    "many-1xx-200": ("delivered", saying(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 500, OK)),
    "101": ("dead", saying(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n")),
    "199-close": ("dead", saying(b"HTTP/1.1 199 Odd\r\n\r\n", then="close")),
    "1xx-flood": ("dead", saying(b"HTTP/1.1 100 Continue\r\n\r\n" * 8_000)),
    "600": ("dead", saying(status(600))),
    "999": ("dead", saying(status(999))),
    "no-status": ("dead", saying(b"HTTP/1.1 \r\n" + EMPTY)),
    "no-http": ("dead", saying(b"220 mail.example ESMTP\r\n", then="close")),
    "no-reason": ("delivered", saying(b"HTTP/1.1 200\r\n" + EMPTY)),
    "200-until-close": ("delivered", saying(b"HTTP/1.1 200 OK\r\n\r\nfine", then="close")),
    "200-cut": ("dead", saying(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfi", then="close")),
    "200-cut-chunk": ("dead", saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nfi", then="close")),
    "200-reset": ("dead", saying(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfi", then="reset")),
    "200-head-reset": ("dead", saying(b"HTTP/1.1 200 OK\r\nContent-Le", then="reset")),
    "reset": ("dead", saying(then="reset")),
    "closed": ("dead", saying(then="close")),
    "204-with-body": ("delivered", saying(b"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nbody", then="close")),
    "200-more-than-64-KiB": ("delivered", saying(b"HTTP/1.1 200 OK\r\n\r\n", *[b"x" * 65_536] * 8, then="close")),
    "500-more-than-64-KiB": ("dead", saying(b"HTTP/1.1 500 No\r\n\r\n", *[b"x" * 65_536] * 8, then="close")),
    "head-more-than-64-KiB": ("dead", saying(b"HTTP/1.1 200 OK\r\n" + b"X-More: and more\r\n" * 60_000 + EMPTY)),
}


def later(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


DAY = 86_400
Hint = str | Callable[[], str]
HINTS: dict[str, tuple[Hint, float, float]] = {  # name → Retry-After, and the bounds of the wait, s
    "a number": ("2", 1.9, 4.5),
    "a number with blanks": (" 2 ", 1.9, 4.5),
    "a date": (lambda: later(4), 2.5, 6.5),
    "a date that is over": (lambda: later(-3600), 0.0, 1.5),
    "garbage": ("soon", 0.0, 1.5),
    "nothing": ("", 0.0, 1.5),
    "a negative number": ("-5", 0.0, 1.5),
    "a fraction": ("2.5", 0.0, 1.5),
    "a date of no calendar": ("Mon, 99 Foo 2026 99:99:99 GMT", 0.0, 1.5),
    "a huge number": ("9" * 30, DAY, DAY),
    "a number beyond all digits": ("9" * 5_000, DAY, DAY),
    "a date in a thousand years": ("Sat, 01 Jan 3026 00:00:00 GMT", DAY, DAY),
}


def hinting(code: int, hint: Hint) -> Manner:
    """The first answer, made when it is asked for; afterwards all is well."""

    async def first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        value = hint() if callable(hint) else hint
        await saying(status(code, f"Retry-After: {value}"))(reader, writer)

    return in_turn(first, saying(OK))


@asynccontextmanager
async def asked(directory: Path, manners: Mapping[str, Manner]) -> AsyncIterator[tuple[Answering, Made]]:
    """A daemon that has a message for each, whose schedule takes three seconds in all; name → account, subscription."""
    async with answering({**manners, "followed": saying(OK)}) as there:
        chosen = {
            "egress.allow": "127.0.0.0/8",
            "egress.ports": str(there.port),
            "delivery.schedule_factor": "0.00001",
            "delivery.timeout_s": "5",
        }
        async with Daemon(directory, settings=chosen) as daemon:
            await daemon.start()
            made: Made = {}
            for start in range(0, len(manners), PER_ACCOUNT):
                account = await tenant(daemon, f"shop-{start}")
                for name in list(manners)[start : start + PER_ACCOUNT]:
                    made[name] = account, await subscribe(account, there.url(name))
                await account.call("POST", "/v1/shipments", {"waybill": waybills(1)[0], "carrier": "simulated"})
            yield there, made


async def subscribe(account: Tenant, url: str) -> str:
    made = await account.call("POST", "/v1/subscriptions", {"url": url, "types": ["shipment.registered"]})
    return str(made["id"])


async def letters(made: Made) -> dict[str, int]:
    """Subscriptions that have dead letters, and after how many attempts."""
    found: dict[str, int] = {}
    for account in {account.key: account for account, _ in made.values()}.values():
        page = await account.call("GET", "/v1/dead-letters", limit="200")
        found |= {letter["destination"]: letter["attempts"] for letter in page["dead_letters"]}
    return found


async def became(account: Tenant, id: str, dead: Mapping[str, int]) -> str:
    """`delivered`, `disabled`, `dead`, or `waiting`."""
    if id in dead:
        return "dead"
    if (await account.call("GET", f"/v1/subscriptions/{id}"))["state"] == "disabled":
        return "disabled"
    log = (await account.call("GET", f"/v1/subscriptions/{id}/deliveries"))["deliveries"]
    return "delivered" if log and log[0]["outcome"] == "done" else "waiting"


async def test_every_status_has_the_outcome_that_the_table_says(tmp_path: Path) -> None:
    """2xx once and no more; 410 once, and the subscription is off; all else ten times, then a dead letter."""
    expected = {name: "delivered" if name < "300" else "dead" for name in STATUSES} | {"410": "disabled"}
    expected |= {name: becomes for name, (becomes, _) in ODD.items()}
    manners = STATUSES | {name: manner for name, (_, manner) in ODD.items()}
    async with asked(tmp_path / "data", manners) as (there, made):
        buried: dict[str, int] = {}

        async def settled() -> bool:
            nonlocal buried
            before, buried = buried, await letters(made)
            return len(buried) == len(before) and bool(buried)

        await until(settled, within=60, what="an end of the attempts", every=1.5)
        dead = await letters(made)
        found = {name: await became(*one, dead) for name, one in made.items()}
        assert {name: what for name, what in found.items() if what != expected[name]} == {}
        attempts = {"delivered": 1, "disabled": 1, "dead": ATTEMPTS}
        wrong = {name: len(there.asked[name]) for name in made if len(there.asked[name]) != attempts[found[name]]}
        for name in ("reset", "closed"):  # a connection that was kept is given a second try, on a new one
            assert ATTEMPTS <= wrong.pop(name, ATTEMPTS) <= 2 * ATTEMPTS
        assert wrong == {}
        assert set(dead.values()) == {ATTEMPTS}
        assert not there.asked["followed"], "a redirect was followed"


@pytest.mark.parametrize("code", [429, 503])
async def test_retry_after_holds_where_it_can_be_read_and_asks_for_more(code: int, tmp_path: Path) -> None:
    """Seconds or a date, a day at most; what is neither leaves the wait to the schedule, and storms nobody."""
    manners = {str(place): hinting(code, hint) for place, (hint, _, _) in enumerate(HINTS.values())}
    async with asked(tmp_path / "data", manners) as (there, made):
        came = [name for name, (_, least, _) in zip(made, HINTS.values(), strict=True) if least < DAY]
        await until(lambda: all(len(there.asked[name]) >= 2 for name in came), within=20, what="the second attempts")
        for name, (told, (_, least, most)) in zip(made, HINTS.items(), strict=True):
            times = there.asked[name]
            if least < DAY:
                assert least <= times[1] - times[0] <= most, told
                assert len(times) == 2, told
            else:
                assert len(times) == 1, told
                assert await became(*made[name], {}) == "waiting"
