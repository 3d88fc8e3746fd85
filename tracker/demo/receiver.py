"""The bundled subscriber: takes webhooks, checks their Standard Webhooks signatures, shows and prints what it heard."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import AsyncExitStack
from html import escape
from types import TracebackType
from typing import Any, Self

import msgspec
from aiohttp import web
from msgspec import Struct

from tracker.milestones import STATUSES
from tracker.model import ChangeKind, Status
from webhooks.standard import Signer

KEPT = 200
_SEEN = 10_000

_OTHER_LABELS = {
    ChangeKind.REGISTERED: ("已登记", "Registered"),
    ChangeKind.UPDATED: ("有更新", "Updated"),
    ChangeKind.STALLED: ("停滞", "Stalled"),
    ChangeKind.MOVING_AGAIN: ("恢复移动", "Moving again"),
    ChangeKind.CORRECTED: ("更正", "Corrected"),
    ChangeKind.DELETED: ("已删除", "Deleted"),
}


class Message(Struct, frozen=True, kw_only=True):
    """One genuine webhook."""

    id: str
    at: float  # seconds since 1970, when it came
    type: str
    label: str  # 中文 English
    waybill: str = ""
    order_number: str = ""
    revision: int = 0
    text: str = ""  # the carrier's latest words

    @property
    def line(self) -> str:
        """The message on one line."""
        clock = time.strftime("%H:%M:%S", time.localtime(self.at))
        order = f"  订单 order {self.order_number}" if self.order_number else ""
        return f"  ✉ {clock}  {self.waybill}  r{self.revision:<3} {self.label}{order}  {self.text}".rstrip()


class Receiver:
    """The running subscriber: `async with Receiver(port) as receiver`. Its hook is `receiver.url`, its page `.page`."""

    def __init__(self, port: int = 0, *, say: Callable[[str], None] = print) -> None:
        self.messages: deque[Message] = deque(maxlen=KEPT)
        self.verified = 0
        self.refused = 0
        self.repeated = 0
        self.out_of_order = 0
        self._say = say
        self._port = port
        self._signer: Signer | None = None
        self._ids: deque[str] = deque(maxlen=_SEEN)
        self._revisions: dict[str, int] = {}
        self._stack = AsyncExitStack()

    @property
    def page(self) -> str:
        """The address of its page."""
        return f"http://127.0.0.1:{self._port}/"

    @property
    def url(self) -> str:
        """Where webhooks go."""
        return f"{self.page}hook"

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._port

    def trust(self, secret: str) -> None:
        """Take messages that are signed with this `whsec_…` secret."""
        self._signer = Signer([secret])

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1 << 20)
        app.router.add_post("/hook", self._hook)
        app.router.add_get("/", self._show)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", self._port).start()
        self._port = runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _hook(self, request: web.Request) -> web.Response:
        body = await request.read()
        if self._signer is None:
            return web.Response(status=503, text="no secret yet")
        try:
            self._signer.verify(request.headers, body, now=time.time())
            message = read(request.headers["webhook-id"], body, time.time())
        except (ValueError, msgspec.DecodeError, KeyError, TypeError, AttributeError) as error:
            self.refused += 1
            return web.Response(status=401, text=str(error))
        self._take(message)
        return web.Response(status=204)

    def _take(self, message: Message) -> None:
        self.verified += 1
        if message.id in self._ids:
            self.repeated += 1
            return
        self._ids.append(message.id)
        if message.revision < self._revisions.get(message.waybill, 0):
            self.out_of_order += 1
        self._revisions[message.waybill] = max(message.revision, self._revisions.get(message.waybill, 0))
        self.messages.appendleft(message)
        self._say(message.line)

    async def _show(self, _: web.Request) -> web.Response:
        counts = f"{self.verified} verified · {self.repeated} repeated · {self.refused} refused"
        rows = "".join(_row(message) for message in self.messages)
        return web.Response(text=_PAGE.format(counts=counts, rows=rows), content_type="text/html")


_NOTICES = {"milepost.test": "测试 Test", "milepost.endpoint.disabled": "推送地址已停用 Endpoint disabled"}


def read(id: str, body: bytes, at: float) -> Message:
    """A genuine webhook's body as a message; KeyError or TypeError where it is not one of ours."""
    root: dict[str, Any] = msgspec.json.decode(body, type=dict[str, Any])
    if label := _NOTICES.get(root["type"]):
        return Message(id=id, at=at, type=root["type"], label=label)
    data = root["data"]
    shipment, added = data["shipment"], data.get("events_added") or [{}]
    return Message(
        id=id,
        at=at,
        type=root["type"],
        waybill=shipment["waybill"],
        order_number=shipment.get("order_number") or "",
        revision=data["revision"],
        text=added[-1].get("description") or "",
        label=label_of(root["type"]),
    )


def label_of(type: str) -> str:
    """`shipment.delivered` → `已签收 Delivered`."""
    kind = ChangeKind(type.removeprefix("shipment."))
    if kind in _OTHER_LABELS:
        return " ".join(_OTHER_LABELS[kind])
    word = STATUSES[Status(kind.value)]
    return f"{word.zh} {word.en}"


def _row(message: Message) -> str:
    clock = time.strftime("%H:%M:%S", time.localtime(message.at))
    known = (message.label, message.waybill, f"r{message.revision}", message.order_number, message.text, message.id)
    return "<tr>" + "".join(f"<td>{escape(cell)}" for cell in (clock, *known))


_PAGE = """<!doctype html><html lang="zh-CN"><meta charset="utf-8"><meta http-equiv="refresh" content="2">
<title>Webhook receiver 订阅方</title>
<style>body{{font:15px/1.5 system-ui;margin:2rem}}td,th{{text-align:left;padding:.15rem 1rem .15rem 0}}
td:nth-child(3),td:last-child{{font-family:ui-monospace,monospace}}</style>
<h1>Webhook receiver 订阅方</h1><p>Every line carried a valid Standard Webhooks signature. {counts}</p>
<table><tr><th>时间 Time<th>变化 Change<th>运单 Waybill<th>版次 Revision<th>订单 Order<th>原文 Words<th>webhook-id{rows}
</table>"""
