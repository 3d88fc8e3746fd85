"""Who answers is told, and what it is made of is not."""

from __future__ import annotations

import pytest

from tests.ingress.site import Site

PATHS = [
    "/",
    "/login",
    "/nowhere",
    "/parcels",
    "/static/console.css",
    "/static/nowhere",
    "/healthz",
    "/readyz",
    "/metrics",
    "/docs",
    "/openapi.json",
    "/v1/whoami",
    "/v1/nowhere",
    "/v1/changes?after=nowhere",
    "/hooks/con_0/x",
    "/order-stores/x/y",
]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "BREW"])
async def test_every_answer_is_milepost_s(site: Site, method: str) -> None:
    """Pages, calls, hooks and probes, those that are refused too."""
    for path in PATHS:
        async with site.http.request(method, site.url + path, allow_redirects=False) as answer:
            assert answer.headers.getall("Server") == ["milepost"], (path, answer.status)


KEPT = {"/static/console.css": "no-cache", "/docs": "no-cache", "/openapi.json": "no-cache"}  # the same for everybody


async def test_nobody_keeps_an_answer_on_its_way_or_guesses_what_it_is(site: Site) -> None:
    """With the key too, and where one is shown this once."""
    made = await site.call("POST", "/v1/keys", {"scopes": ["read"]})
    answers = {path: await site.call("GET", path) for path in PATHS} | {"a key": made}
    told = {path: answer.headers.get("cache-control") for path, answer in answers.items()}
    assert told == dict.fromkeys(answers, "no-store") | KEPT
    assert {answer.headers.get("x-content-type-options") for answer in answers.values()} == {"nosniff"}


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"GARBAGE\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: m\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", 400),
        (b"POST /v1/keys HTTP/1.1\r\nHost: m\r\nExpect: a miracle\r\nContent-Length: 2\r\n\r\n{}", 417),
        (b"GET /v1/nowhere HTTP/1.1\r\n\r\n", 400),
    ],
)
async def test_what_is_hardly_http_is_answered_by_milepost(site: Site, said: bytes, status: int) -> None:
    answer = await site.once(said)
    assert (answer.status, answer.headers.get("server")) == (status, "milepost")


async def test_a_stream_is_milepost_s(site: Site) -> None:
    asked = {"Authorization": f"Bearer {site.key}", "Accept": "text/event-stream"}
    async with site.http.get(f"{site.url}/v1/changes?after=now", headers=asked) as answer:
        assert answer.content_type == "text/event-stream"
        assert answer.headers.getall("Server") == ["milepost"]
