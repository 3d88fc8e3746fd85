"""The documentation page: /openapi.json, and /docs, which draws it and loads nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files

import msgspec
from aiohttp import web

from tracker.api.openapi import openapi
from tracker.api.route import Route

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
_PARTS = (
    ("/docs", "docs.html", "text/html"),
    ("/docs/docs.css", "docs.css", "text/css"),
    ("/docs/docs.js", "docs.js", "text/javascript"),
)


def docs_routes(routes: Iterable[Route]) -> list[web.RouteDef]:
    """The routes of the page and of the document that it draws; they need no key."""
    spec = msgspec.json.encode(openapi(routes))
    folder = files("tracker.api")
    parts = [_fixed(path, (folder / name).read_bytes(), kind) for path, name, kind in _PARTS]
    return [_fixed("/openapi.json", spec, "application/json"), *parts]


def _fixed(path: str, body: bytes, content_type: str) -> web.RouteDef:
    charset = None if content_type == "application/json" else "utf-8"

    async def serve(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type=content_type, charset=charset, headers=_HEADERS)

    return web.get(path, serve)
