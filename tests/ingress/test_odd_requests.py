"""Headers, paths and queries that nobody means: never our failure, and nothing of it in the log."""

from __future__ import annotations

import itertools
import re

import pytest

from tests.ingress.conftest import Opened
from tests.ingress.site import Site

ODD = [b"", b"\xff\xfe", b"\xed\xa0\x80", "密钥".encode(), b"a" * 4_000, b"%00", b"\t", b"';--", b"{}", b"=;=,==;,"]
ODD += [b"\xc3\x28" * 50, b"a.\xff", b"\xff.\xff", b"*/*;q=\xff", b"bytes=9-1", b'W/"\xff"', b"-1", b"9" * 400]
NAMES = [
    b"Authorization: Bearer ",
    b"Authorization: ",
    b"X-Request-Id: ",
    b"Accept-Language: ",
    b"Cookie: milepost_session=",
    b"Cookie: milepost_form=",
    b"Cookie: ",
    b"If-None-Match: ",
    b"If-Modified-Since: ",
    b"Range: ",
    b"Content-Type: ",
    b"Content-Encoding: ",
    b"Accept: ",
    b"Accept-Encoding: ",
    b"Host: ",
    b"Origin: ",
    b"Sec-Fetch-Site: ",
    b"X-Forwarded-For: ",
    b"Forwarded: ",
    b"Idempotency-Key: ",
    b"Last-Event-ID: ",
    b"X-HTTP-Method-Override: ",
]
ASKED = [
    b"GET /v1/counts",
    b"GET /login?next=/",
    b"GET /parcels",
    b"POST /login",
    b"POST /hooks/con_0/x",
    b"POST /order-stores/x/y",
    b"GET /readyz",
]
PATHS = [
    "/hooks/{}",
    "/hooks/{}/{}",
    "/order-stores/{}/{}",
    "/parcels/{}",
    "/orders?number={}",
    "/orders?cursor={}",
    "/parcels?status={}&cursor={}",
    "/find?q={}",
    "/static/{}",
    "/login?next={}&lang={}",
    "/subscriptions/{}",
    "/v1/shipments/{}",
    "/v1/shipments?cursor={}",
    "/v1/changes?after={}",
    "/v1/orders/{}",
    "/v1/subscriptions/{}",
    "/v1/connections/{}",
    "/v1/quarantine/{}",
    "/v1/dead-letters?cursor={}",
    "/{}",
]
SPELT = ["%ff", "%00", "%ed%a0%80", "..%2f..%2fetc%2fpasswd", "%2e%2e", "%E5%AF%86", "a" * 3_000, "%0d%0aX:%20y", "%"]
SPELT += ["%zz", "*", "{{7*7}}", "9" * 400, "-1", "con_0", "shp_s00_0", "%c3%28"]


async def statuses(site: Site, heads: list[bytes]) -> list[int]:
    """What each of the requests is answered, on one connection as long as it lasts."""
    found, wire = [], await site.wire()
    for head in heads:
        await wire.send(head + b"Content-Length: 0\r\n\r\n")
        answer = await wire.answer()
        found.append(answer.status)
        if answer.headers.get("connection") == "close":
            await wire.__aexit__()
            wire = await site.wire()
    await wire.__aexit__()
    return found


async def test_no_header_breaks_anything(opened: Opened, capfd: pytest.CaptureFixture[str]) -> None:
    site = await opened(limits__stranger_rate="0")
    asked = [(start, name, odd) for start in ASKED for name, odd in itertools.product(NAMES, ODD)]
    key = f"Authorization: Bearer {site.key}\r\n".encode()
    heads = [
        start
        + b" HTTP/1.1\r\n"
        + (b"" if name == b"Host: " else b"Host: m\r\n")
        + (b"" if name.startswith(b"Authorization") else key)
        + name
        + odd
        + b"\r\n"
        for start, name, odd in asked
    ]
    found = await statuses(site, heads)
    failed = [
        (one, status)
        for one, status in zip(asked, found, strict=True)
        if status >= 500 and (one[0], status) != (b"GET /readyz", 503)  # a store that is late, where all is busy
    ]
    assert failed == []
    assert "Traceback" not in capfd.readouterr().err


async def test_no_path_breaks_anything(opened: Opened, capfd: pytest.CaptureFixture[str]) -> None:
    site = await opened(limits__stranger_rate="0", http__open_console="true")
    asked = [
        (method, path.replace("{}", spelt)) for method in ("GET", "POST", "DELETE") for path in PATHS for spelt in SPELT
    ]
    heads = [site.head(method, path)[:-2] for method, path in asked]
    found = await statuses(site, heads)
    assert 429 not in found
    assert [one for one, status in zip(asked, found, strict=True) if status >= 500] == []
    assert "Traceback" not in capfd.readouterr().err


async def test_no_link_of_a_page_leads_elsewhere_whatever_path_was_asked_for(site: Site) -> None:
    """A path that begins with two slashes, taken as a link, is another site."""
    for path in ("//elsewhere.example/x?lang=en&a=b", "////elsewhere.example/", "/%2f%2felsewhere.example/", "/x"):
        answer = await site.once(b"GET %b HTTP/1.1\r\nHost: m\r\nAccept: text/html\r\n\r\n" % path.encode())
        assert answer.status == 404
        links = re.findall(rb'(?:href|action)="([^"]*)"', answer.body)
        assert links
        assert not [link for link in links if re.match(rb"[/\\\\]{2}|[a-z]+:", link)], path
