"""Bodies that are too large, that grow when unpacked, that never end: refused at the cap, wherever a body is taken."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import re
import resource
import zlib

import pytest

from tests.ingress.site import Site, Wire, chunked

LIMIT = 2 * 1024 * 1024


async def paths(site: Site) -> dict[str, bytes]:
    """The head of a request to everything that takes a body, up to the headers that speak of it."""
    made = await site.call("POST", "/v1/order-stores", SHOP)
    assert made.status == 201, made.body
    fulfilments = "/" + made.json()["webhook_url"].split("/", 3)[3]
    return {
        "api": site.head("POST", "/v1/shipments", "Content-Type: application/json")[:-2],
        "orders": site.head("PUT", "/v1/orders/A-1", "Content-Type: application/json")[:-2],
        "hook": site.head("POST", await site.hook("sf", partner_id="p", checkword="c"))[:-2],
        "fulfilments": site.head("POST", fulfilments)[:-2],
        "console": site.head("POST", "/login", "Content-Type: application/x-www-form-urlencoded")[:-2],
    }


SHOP = {
    "platform": "woocommerce",
    "base": "https://shop.example",
    "credentials": {"consumer_key": "ck_" + "a" * 40, "consumer_secret": "cs_" + "b" * 40, "webhook_secret": "w"},
}


async def takers(site: Site) -> dict[str, bytes]:
    """Those that take 2 MiB."""
    return {taker: head for taker, head in (await paths(site)).items() if taker != "console"}


async def test_a_length_beyond_the_cap_is_refused_before_a_byte_of_the_body_has_come(site: Site) -> None:
    for taker, head in (await takers(site)).items():
        answer = await site.once(head, b"Content-Length: %d\r\n\r\n" % (LIMIT + 1))
        assert answer.status == 413, taker
        assert answer.headers["content-type"] == "application/problem+json"


async def test_chunks_without_an_end_are_cut_at_the_cap(site: Site) -> None:
    for taker, head in (await takers(site)).items():
        async with await site.wire() as wire:
            await wire.send(head + b"Transfer-Encoding: chunked\r\n\r\n")
            sending = asyncio.create_task(_endlessly(wire))
            assert (await wire.answer()).status == 413, taker
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


async def _endlessly(wire: Wire) -> None:
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    while True:
        await wire.send(chunk)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_bomb_is_put_out_at_the_cap(site: Site, coding: str) -> None:
    """Two hundred to one: a body of 600 kB would be 128 MiB."""
    bomb = _packed(coding, 128 * 1024 * 1024)
    assert len(bomb) < LIMIT
    for taker, head in (await takers(site)).items():
        before, started = _peak_kib(), _cpu_s()
        answer = await site.once(head, f"Content-Encoding: {coding}\r\n".encode(), _length(bomb), bomb)
        assert answer.status == 413, taker
        assert _cpu_s() - started < 1.0
        assert _peak_kib() - before < 64 * 1024


def _packed(coding: str, size: int) -> bytes:
    packer = zlib.compressobj(1, wbits=31 if coding == "gzip" else 15)
    block = b"\0" * (1 << 20)
    return b"".join(packer.compress(block) for _ in range(size >> 20)) + packer.flush()


def _peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _length(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n" % len(body)


GOOD = json.dumps({"waybill": "SF1000000000001", "carrier": "sf", "phone_tail": "0000"}).encode()


def _raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


CODED = [
    ("gzip", gzip.compress(GOOD), 201),
    ("x-gzip", gzip.compress(GOOD), 201),
    ("GZip", gzip.compress(GOOD), 201),
    ("deflate", zlib.compress(GOOD), 201),
    ("deflate", _raw_deflate(GOOD), 201),
    ("identity", GOOD, 201),
    ("identity, gzip", gzip.compress(GOOD), 201),
    ("br", GOOD, 415),
    ("zstd", GOOD, 415),
    ("compress", GOOD, 415),
    ("gzip, gzip", gzip.compress(gzip.compress(GOOD)), 415),
    ("deflate, gzip", gzip.compress(zlib.compress(GOOD)), 415),
    ("gzip", GOOD, 400),
    ("gzip", b"", 400),
    ("gzip", gzip.compress(GOOD)[:-3], 400),
    ("gzip", gzip.compress(GOOD) + gzip.compress(GOOD), 400),
    ("gzip", gzip.compress(b"") * 1000 + gzip.compress(GOOD), 400),
    ("deflate", b"\xff" * 20, 400),
]


async def test_the_codings_that_are_taken_and_those_that_are_not(site: Site) -> None:
    for coding, body, status in CODED:
        head = site.head("POST", "/v1/shipments", "Content-Type: application/json", f"Content-Encoding: {coding}")[:-2]
        for framed in (_length(body) + body, b"Transfer-Encoding: chunked\r\n\r\n" + chunked([body[:5], body[5:]])):
            answer = await site.once(head, framed)
            told = 201 if answer.status == 200 else answer.status  # the second time it is there
            assert told == status, (coding, body, answer.body)
            if status == 415:
                assert answer.headers["accept-encoding"] == "gzip, deflate"


async def test_a_coding_named_in_two_headers_is_a_nested_one(site: Site) -> None:
    head = site.head("POST", "/v1/shipments", "Content-Type: application/json", "Content-Encoding: gzip")[:-2]
    body = gzip.compress(gzip.compress(GOOD))
    assert (await site.once(head, b"Content-Encoding: gzip\r\n", _length(body), body)).status == 415


async def test_a_push_is_taken_packed_too(site: Site) -> None:
    body = gzip.compress(b'{"Body": {"WaybillRoute": []}}')
    head = site.head("POST", await site.hook("sf", partner_id="p", checkword="c"), "Content-Encoding: gzip")[:-2]
    assert (await site.once(head, _length(body), body)).status == 200
    assert (await site.once(head.replace(b"gzip", b"br"), _length(body), body)).status == 415


async def test_a_form_of_the_console_is_read_up_to_its_own_small_cap(site: Site) -> None:
    form = await site.call("GET", "/login")
    token = re.search(rb'name="form" value="(\w+)"', form.body)
    assert token
    cookie = form.headers["set-cookie"].partition(";")[0]
    head = (await paths(site))["console"] + f"Cookie: {cookie}\r\n".encode()
    for more, status in ((b"", 303), (b"&x=" + b"y" * 10_000, 403)):
        body = b"form=" + token[1] + b"&key=" + site.key.encode() + more
        assert (await site.once(head, _length(body), body)).status == status
    assert (await site.once(head, b"Content-Length: %d\r\n\r\n" % LIMIT)).status == 403


async def test_a_client_that_leaves_in_the_middle_of_its_body_leaves_nothing_in_the_log(
    site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    for head in (await paths(site)).values():
        async with await site.wire() as wire:
            await wire.send(head + b"Content-Length: 1000\r\n\r\n{")
    assert (await site.call("GET", "/v1/counts")).status == 200
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"9" * 5_000,
        b'{"waybill": 1e999}',
        b'{"waybill": NaN}',
        b'{"waybill": "SF\\ud800"}',
        b'{"waybill": "SF1000000000001", "carrier": "sf", "phone_tail": "0000", "shop": "a\\u0000b"}',
        b'{"waybill": "SF\0"}',
    ],
)
async def test_json_that_no_reader_bears_is_a_bad_request(site: Site, body: bytes) -> None:
    for method, path in (("POST", "/v1/shipments"), ("PUT", "/v1/orders/A-1")):
        head = site.head(method, path, "Content-Type: application/json")[:-2]
        answer = await site.once(head, _length(body), body)
        assert answer.status in (400, 422), answer.body
        assert answer.json()["detail"]


async def test_a_backslash_before_u0000_is_text_like_any_other(site: Site) -> None:
    body = GOOD[:-1] + b', "shop": "a\\\\u0000b"}'
    head = site.head("POST", "/v1/shipments", "Content-Type: application/json")[:-2]
    answer = await site.once(head, _length(body), body)
    assert answer.json()["shop"] == "a\\u0000b"


async def test_a_client_that_asks_first_is_told_to_send_only_what_is_read(site: Site) -> None:
    for taker, head in (await paths(site)).items():
        async with await site.wire() as wire:
            await wire.send(head + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
            assert (await wire.answer()).status == 100, taker
            await wire.send(b"{}")
            assert (await wire.answer()).status != 413, taker
        refused = await site.once(head, b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % (LIMIT + 1))
        assert refused.status in (413, 403), taker
        assert (await site.once(head, b"Expect: tea\r\nContent-Length: 2\r\n\r\n")).status == 417, taker
    nobody = b"POST /v1/shipments HTTP/1.1\r\nHost: m\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    assert (await site.once(nobody)).status == 401


async def test_large_bodies_of_one_address_wait_for_one_another_and_small_ones_for_none(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read of them takes memory until it is answered, however slowly it comes."""
    monkeypatch.setattr("tracker.ingress.room._LARGE_OF_ONE", 2)
    head = site.head("POST", "/v1/shipments", "Content-Type: application/json", "Content-Length: 600000")
    async with await site.wire() as one, await site.wire() as two, await site.wire() as late:
        for wire in (one, two):
            await wire.send(head + b" " * 400_000)
        await asyncio.sleep(0.3)
        late.writer.write(head + b" " * 600_000)
        with pytest.raises(TimeoutError):
            await late.answer(0.5)
        assert (await site.call("POST", "/v1/shipments", {})).status == 422
        await one.send(b" " * 200_000)
        assert (await one.answer()).status == 400
        assert (await late.answer()).status == 400
        await two.__aexit__()
        for _ in range(3):
            again = await site.once(head, b" " * 600_000)
            assert again.status == 400


async def test_a_large_body_that_comes_slowly_makes_room_for_one_that_waits(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest of them, and no other."""
    monkeypatch.setattr("tracker.ingress.room._LARGE_OF_ONE", 2)
    monkeypatch.setattr("tracker.ingress.room._SLOW_S", 0.05)
    monkeypatch.setattr("tracker.ingress.room._AGAIN_S", 60.0)
    head = site.head("POST", "/v1/shipments", "Content-Type: application/json", "Content-Length: 600000")
    async with await site.wire() as oldest, await site.wire() as younger:
        for wire in (oldest, younger):
            await wire.send(head + b" " * 400_000)
            await asyncio.sleep(0.5)
        assert (await site.once(head, b" " * 600_000)).status == 400
        assert (await oldest.answer()).status == 408
        await younger.send(b" " * 200_000)
        assert (await younger.answer()).status == 400


async def test_a_packed_body_is_small_until_all_of_it_is_there(site: Site) -> None:
    """Some kilobytes that would be megabytes wait as kilobytes, and nobody waits for them."""
    whole = gzip.compress(b"[" + b" " * (LIMIT - 2) + b"]")
    assert len(whole) < 4096
    head = site.head("POST", "/v1/shipments", "Content-Type: application/json", "Content-Encoding: gzip")[:-2]
    before = _peak_kib()
    async with contextlib.AsyncExitStack() as stack:
        wires = [await stack.enter_async_context(await site.wire()) for _ in range(60)]
        for wire in wires:
            await wire.send(head + _length(whole) + whole[:-8])
        await asyncio.sleep(0.5)
        assert _peak_kib() - before < 24 * 1024
        assert (await site.call("POST", "/v1/shipments", {})).status == 422
        for wire in wires:
            await wire.send(whole[-8:])
            assert (await wire.answer()).status == 422
