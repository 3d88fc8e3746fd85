"""Known secrets and an invented person go through a whole daemon and all kinds of trouble.

No line of its log, no answer, and nothing in its store or its order book shows one of them again.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import structlog
from aiohttp import web

from tests.api.test_departures import everything_in, files_with
from tests.pipeline.daemon import Desk, running
from tests.pipeline.pushes import PUSH
from tracker.ingest.door import Ingest
from tracker.secrets import new_key
from tracker.store import Store

CREDENTIAL, HEADER = "canary-credential-0123456789", "canary-header-0123456789"
PHONE, NAME, MAIL = "13800000000", "张小三", "person@mail.example"
WORDS = f"派件员：{NAME}，电话：{PHONE}，{MAIL}"


class Answers(Desk):
    """A desk that keeps what it was answered, but for what shows a secret once."""

    said: list[str]

    async def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        status, answer = await super().ask(method, path, body)
        self.said.append(json.dumps(answer, ensure_ascii=False))
        return status, answer

    async def once(self, path: str, body: object) -> Any:
        """Make something whose secret is shown this once."""
        made = await self("POST", path, body)
        self.said.pop()
        return made


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Logging goes where it went, once the captured stream is closed."""
    root = logging.getLogger()
    handlers, level, hook = root.handlers[:], root.level, sys.excepthook
    yield
    root.handlers[:], sys.excepthook = handlers, hook
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Once it holds words, every registration fails with them."""
    words: list[str] = []
    register = Ingest.register

    async def failing(self: Ingest, *args: Any, **how: Any) -> Any:
        if words:
            raise RuntimeError(" ".join(words))
        return await register(self, *args, **how)

    monkeypatch.setattr(Ingest, "register", failing)
    return words


async def test_no_secret_and_no_person_is_shown_again(
    store: Store, store_server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], broken: list[str]
) -> None:
    key, token = new_key(), "canary-metrics-token-0123"
    async with failing_receiver() as port:
        flags = {"log.level": "debug", "secrets.key": key, "http.metrics_token": token, "privacy.mask": "all"}
        async with running(tmp_path, store=store_server.url, ports=[str(port)], **flags) as (plain, subscriber):
            desk = Answers(plain.http, plain.url, plain.key)
            desk.said = []
            secrets = [key, token, plain.key, subscriber.secret, CREDENTIAL, HEADER]
            made_up, hook = await made(desk, port)
            secrets += made_up
            await trouble(desk, hook, secrets, broken)
            await told_of(desk)
            written = [(key, value) async for key, value in everything_in(store)]
        log = capsys.readouterr()
    said = {"log": log.err + log.out, "answers": "\n".join(desk.said)}
    for where, text in said.items():
        shown = [one for one in (*secrets, PHONE, NAME, MAIL) if one in text]
        assert shown == [], f"{where}: {shown}"
    for place, value in written:
        shown = [one for one in secrets if one.encode() in place + value]
        assert shown == [], f"{place!r} of the store: {shown}"
        if not any(kept in place for kept in (b"}u:", b"}L:")):  # quarantine, and what receivers answered: as they came
            assert [one for one in (PHONE, NAME, MAIL) if one.encode() in place + value] == [], place
    assert files_with(tmp_path, [one.encode() for one in (*secrets, PHONE, NAME)]) == {}
    for wanted in ("push.quarantined", "request failed", "never retrieved"):
        assert wanted in said["log"], "the test sees what it looks for"


class failing_receiver:  # noqa: N801
    """A receiver that answers 500 with personal words."""

    async def __aenter__(self) -> int:
        app = web.Application()

        async def fail(_: web.Request) -> web.Response:
            return web.Response(status=500, text=f"no such person: {WORDS}")

        app.router.add_post("/hook", fail)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        port: int = self._runner.addresses[0][1]
        return port

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


async def made(desk: Answers, port: int) -> tuple[list[str], str]:
    """One of everything that holds a secret; the secrets, and where the carrier pushes to."""
    key = await desk.once("/v1/keys", {"scopes": ["admin"]})
    said = {"url": f"http://127.0.0.1:{port}/hook", "headers": {"X-Token": HEADER}}
    hook = await desk.once("/v1/subscriptions", said)
    said = {"carrier": "kuaidi100", "credentials": {"customer": "C", "key": CREDENTIAL, "salt": "S"}}
    connection = await desk.once("/v1/connections", said)
    pushed_to = "/hooks/" + connection["webhook_url"].partition("/hooks/")[2]
    return [key["key"], hook["secret"], pushed_to.rpartition("/")[2]], pushed_to


async def trouble(desk: Answers, hook: str, secrets: list[str], broken: list[str]) -> None:
    """Everything that may go wrong with a secret or a person in it."""
    await desk("POST", "/v1/shipments", {"waybill": "YT8000000000011", "carrier": "yto"})
    scans = [{"time": "2026-11-20 10:00:00", "ftime": "2026-11-20 10:00:00", "context": WORDS, "status": "派件"}]
    body = {"message": "ok", "nu": "YT8000000000011", "com": "yuantong", "state": "5", "status": "200", "data": scans}
    known, unknown = json.dumps(body).encode(), json.dumps(body | {"nu": "YT8000000000022"}).encode()
    unread = {"param": WORDS, "sign": hashlib.md5(f"{WORDS}S".encode(), usedforsecurity=False).hexdigest().upper()}
    for pushed in (PUSH["kuaidi100"](known), PUSH["kuaidi100"](unknown)):
        await push(desk, hook, pushed.body, dict(pushed.headers))
        await push(desk, hook + "x", pushed.body, dict(pushed.headers))
    await push(desk, hook, urlencode(unread).encode(), {"Content-Type": "application/x-www-form-urlencoded"})
    async with desk.http.get(desk.url + "/v1/whoami", headers={"Authorization": f"Bearer {secrets[2]}x"}) as reply:
        desk.said.append(await reply.text())
    await desk.ask("POST", "/v1/connections", {"carrier": "sf", "credentials": {"nonsense": CREDENTIAL}})
    await desk.ask("POST", "/v1/subscriptions", {"url": "http://127.0.0.1:1/hook", "headers": {"bad name": HEADER}})
    words = f"{secrets[:4]} key={CREDENTIAL}&api_key={CREDENTIAL} {hook} {{'X-Token': '{HEADER}'}} {WORDS}"
    broken.append(f"{words} postgresql://me:{CREDENTIAL}@db/x")
    assert (await desk.ask("POST", "/v1/shipments", {"waybill": "YT8000000000033", "carrier": "yto"}))[0] == 500
    await _left_alone(words)
    async with desk.http.get(desk.url + "/metrics", headers={"Authorization": f"Bearer {secrets[1]}"}) as reply:
        desk.said.append(await reply.text())


async def push(desk: Answers, path: str, body: bytes, headers: dict[str, str]) -> None:
    async with desk.http.post(desk.url + path, data=body, headers=headers) as reply:
        desk.said.append(await reply.text())


async def _left_alone(words: str) -> None:
    """A task that fails and is never asked why."""

    async def fail() -> None:
        raise RuntimeError(words)

    task = asyncio.create_task(fail())
    await asyncio.wait([task])
    del task
    gc.collect()


async def told_of(desk: Answers) -> None:
    """Every list and page, once the failing receiver's answers are in the delivery log."""
    [hook] = [one for one in (await desk("GET", "/v1/subscriptions"))["subscriptions"] if "X-Token" in one["headers"]]
    before, attempts = len(desk.said), list[Any]()
    async with asyncio.timeout(60):
        while not attempts:
            attempts = (await desk("GET", f"/v1/subscriptions/{hook['id']}/deliveries"))["deliveries"]
            await asyncio.sleep(0.02)
    del desk.said[before:]  # what a receiver answered is shown to the account that owns it, as it came
    for path in ("keys", "connections", "subscriptions", "order-stores", "shipments", "changes", "audit", "drift"):
        await desk("GET", f"/v1/{path}")
    found = (await desk("GET", "/v1/shipments"))["shipments"]
    for one in found:
        await desk("GET", f"/v1/shipments/{one['id']}")
    await desk("GET", "/v1/whoami")
