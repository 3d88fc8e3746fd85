"""An order store that can't be reached: its log says why, in the words of the webhooks' log."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.webhooks.test_own_authority import certificate
from tracker.app import from_settings
from tracker.config.loading import load
from tracker.console.reasons import reason
from tracker.order_stores import Exits, OrderStore
from tracker.order_stores import load as load_platforms
from webhooks.standard import new_secret

Answer = Callable[[asyncio.StreamWriter], None]


@asynccontextmanager
async def answering(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port of a server that reads a head, gives that answer and hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        answer(writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def told_of(base: str) -> str:
    """Why a platform at that address was not reached."""
    settings = load(flags={"egress.allow": "127.0.0.0/8", "egress.ports": base.rpartition(":")[2]})
    platforms, _ = load_platforms()
    platform = platforms.get("http")
    assert platform
    store = OrderStore(
        id="ost_1", account="a", platform="http", base=base, credentials={"signing_secret": new_secret()}
    )
    async with from_settings.session(settings) as session:
        probe = await Exits(session).probe(store, platform)
    assert not probe.reached
    return probe.detail


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda writer: None, "hung up without an answer"),
        (
            lambda writer: writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"),
            "hung up in the midst of its answer",
        ),
        (lambda writer: writer.write(b"SMTP ready\r\n\r\n"), "no HTTP/1.1: Bad status line"),
    ],
)
async def test_one_that_hangs_up(answer: Answer, why: str) -> None:
    async with answering(answer) as port:
        assert await told_of(f"http://127.0.0.1:{port}") == why


async def test_one_where_nobody_listens() -> None:
    port = free_port()
    why = await told_of(f"http://127.0.0.1:{port}")
    assert why == f"can't connect to 127.0.0.1:{port}: Connection refused"
    assert reason(why, "zh") == f"连不上 127.0.0.1:{port}：连接被拒绝"


async def test_one_whose_name_leads_nowhere() -> None:
    assert await told_of("https://shop.invalid:8443") == "the name shop.invalid has no address"


async def test_one_that_speaks_no_tls_and_one_whose_certificate_nobody_trusts(tmp_path: Path) -> None:
    async with answering(lambda writer: writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        assert (await told_of(f"https://127.0.0.1:{port}")).startswith(f"no TLS with 127.0.0.1:{port}: ")
    files = certificate(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(*files)
    async with answering(lambda writer: None, tls) as port:
        why = await told_of(f"https://127.0.0.1:{port}")
    assert why.startswith(f"the certificate of 127.0.0.1:{port} is not trusted: self")
