"""Every way that is known to us to write a forbidden address, and whether a `connect()` comes of it.

`egress.tsv` is the list; the table in docs/security.md is made of it (`MILEPOST_GOLDEN=1`).
"""

from __future__ import annotations

import asyncio
import csv
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver
from msgspec import Struct
from yarl import URL

from tests.webhooks.naming import Naming
from tests.webhooks.receiving import ANY_PORT, LOOPBACK, Receiver
from tracker.errors import BadInput
from webhooks.guard import PORTS, Guard, Resolver, check_url, guarded_session, unfit
from webhooks.wire import Target, Wire

Client = Callable[[str, AbstractResolver], Awaitable[None]]

DOCUMENT = Path(__file__).parents[2] / "docs" / "security.md"
BEGIN, END = "<!-- egress.tsv -->\n", "<!-- /egress.tsv -->\n"


class Row(Struct, frozen=True):
    """A spelling. `verdict`: where it is refused (`registration`, `connection`), `the public one`, or `open`."""

    url: str
    answers: str  # of the name server; "" leaves it to the system
    verdict: str
    why: str


def rows() -> list[Row]:
    text = Path(__file__).with_name("egress.tsv").read_text(encoding="utf-8")
    return [Row(**row) for row in csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)]


ROWS = rows()


# ---------------------------------------------------------------- the canary


class Canary:
    """Sees every `connect()` of this process to an internet address, and lets none of them reach a network."""

    def __init__(self) -> None:
        self.watching = False
        self.connects: list[tuple[str, int]] = []
        sys.addaudithook(self._hook)  # for good; it sleeps between tests

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.watching or event != "socket.connect" or args[0].family == socket.AF_UNIX:
            return
        self.connects.append(args[1][:2])
        if not ip_address(args[1][0].partition("%")[0]).is_loopback:
            raise OSError("tests reach no network")

    @contextmanager
    def awake(self) -> Iterator[list[tuple[str, int]]]:
        self.watching, self.connects = True, []
        try:
            yield self.connects
        finally:
            self.watching = False


CANARY = Canary()


async def by_session(url: str, resolver: AbstractResolver) -> None:
    """As carriers and order stores are called."""
    async with guarded_session(timeout=30.0, resolver=resolver) as session:
        await session.post(url, data=b"{}", allow_redirects=False)


async def by_wire(url: str, resolver: AbstractResolver) -> None:
    """As subscriptions are."""
    async with aclosing(Wire(resolver=resolver)) as wire, asyncio.timeout(60):
        await wire.post(Target(URL(url), {}), b"", b"{}")


CLIENTS = (by_session, by_wire)


async def called(row: Row, client: Client) -> tuple[list[tuple[str, int]], BaseException]:
    """What was connected to when the address of a row was called, whatever registration said of it; and the error."""
    resolver = Naming(row.answers) if row.answers else Resolver()
    with CANARY.awake() as connects, pytest.raises((aiohttp.ClientError, OSError, ValueError)) as failed:
        await client(row.url, resolver)
    return connects, failed.value


def named(row: Row) -> str:
    return f"{row.url.encode('ascii', 'backslashreplace').decode()} {row.answers}".strip()


# ---------------------------------------------------------------- the tests


def test_the_list_is_long_and_holds_nothing_twice() -> None:
    assert len({(row.url, row.answers) for row in ROWS}) == len(ROWS) >= 60
    assert {row.verdict for row in ROWS} == {"registration", "connection", "the public one", "open"}


@pytest.mark.parametrize("row", ROWS, ids=named)
def test_it_is_refused_at_registration_where_the_address_itself_tells(row: Row) -> None:
    if row.verdict != "registration":
        check_url(row.url)
        return
    with pytest.raises(BadInput) as refused:
        check_url(row.url)
    assert row.why in str(refused.value)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("row", ROWS, ids=named)
async def test_no_connect_to_a_denied_address_comes_of_it(row: Row, client: Client) -> None:
    connects, error = await called(row, client)
    assert [where for where in connects if unfit(ip_address(where[0])) or where[1] not in PORTS] == []
    if row.verdict == "connection":
        assert connects == []
        assert row.why in str(getattr(error, "os_error", error))
    if row.verdict in ("the public one", "open"):
        assert len({address for address, _ in connects}) == 1


async def test_the_canary_would_have_seen_one(receiver: Receiver) -> None:
    port = int(receiver.root.rpartition(":")[2])
    with CANARY.awake() as connects:
        async with guarded_session(guard=Guard(LOOPBACK, ANY_PORT)) as session:
            await session.post(receiver.url("/hook"), data=b"{}", allow_redirects=False)
        async with aclosing(Wire(guard=Guard(LOOPBACK, ANY_PORT))) as wire:
            await wire.post(Target(URL(receiver.url("/hook")), {}), b"", b"{}")
    assert connects == [("127.0.0.1", port)] * 2
    assert len(receiver.heard) == 2


def test_the_table_in_the_document_is_this_list() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    made = f"{head}{BEGIN}\n{table()}\n{END}{tail}"
    if os.environ.get("MILEPOST_GOLDEN"):
        DOCUMENT.write_text(made, encoding="utf-8")
    assert text == made or os.environ.get("MILEPOST_GOLDEN"), "run this test once with MILEPOST_GOLDEN=1"


def table() -> str:
    lines = ["| address | its name server says | refused at | because |", "|---|---|---|---|"]
    for row in ROWS:
        where = {"the public one": "the connection, but for the public address", "open": "–"}.get(
            row.verdict, row.verdict
        )
        lines.append(f"| `{row.url}` | {row.answers} | {where} | {row.why} |")
    return "\n".join(lines) + "\n"
