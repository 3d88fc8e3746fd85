"""A push, whoever it is from: how it is read, what it weighs, and how one that is not taken is answered."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Protocol

import msgspec
from aiohttp import web

from carriers.sdk import Push
from tracker.ingress.bodies import BodyRefused, read_body

MAX_BODY = 2 * 1024 * 1024  # bytes
ANSWERED_WITHIN_S = 12.0  # a store that is away: carriers wait some fifteen seconds, and what was taken may come again
_ONE_PUSH = 8 * 1024  # bytes that count as one push


class Quarantine(Protocol):
    """Where bodies go that can't be read."""

    async def quarantine(self, account: str, entry: bytes) -> str: ...


class RefusedPush(Exception):
    """The push is not taken: an HTTP status, a stable code, a sentence, and headers of the answer."""

    def __init__(self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.headers = headers

    def answer(self) -> web.Response:
        """Problem details."""
        return problem(self.status, self.code, str(self), self.headers)


async def read_push(request: web.Request) -> Push:
    """The request as an adapter sees it; raises RefusedPush."""
    try:
        body = await read_body(request, MAX_BODY)
    except BodyRefused as error:
        raise RefusedPush(error.status, error.code, str(error), error.headers) from None
    return push_of(request, body)


def push_of(request: web.Request, body: bytes) -> Push:
    """A request whose body was read, as an adapter sees it."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Push(headers=headers, query=request.query, body=body)


def too_many_guesses(wait_s: int) -> RefusedPush:
    """429: the secrets that come from there are wrong too often to look at another."""
    detail = f"too many wrong secrets from your address: wait {wait_s} s"
    return RefusedPush(429, "too_many_guesses", detail, {"Retry-After": str(wait_s)})


def weight_of(push: Push) -> int:
    """What a push counts for in its connection's rate: one that is large takes as long as many that are not."""
    return 1 + len(push.body) // _ONE_PUSH


def too_many_pushes(wait_s: int) -> RefusedPush:
    """429: genuine, but more of them than the rate."""
    detail = f"more pushes than the rate allows, and nothing was taken in: send it again in {wait_s} s"
    return RefusedPush(429, "too_many_pushes", detail, {"Retry-After": str(wait_s)})


def problem(status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """RFC 9457 problem details."""
    told = {
        "type": f"urn:milepost:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }
    return web.Response(
        status=status,
        body=msgspec.json.encode(told),
        headers={"Content-Type": "application/problem+json", **(headers or {})},
    )
