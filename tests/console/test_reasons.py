"""Why an endpoint took nothing is told in the reader's language, whatever it was."""

from __future__ import annotations

import os
from errno import ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT

import pytest

from tracker.console.reasons import reason


@pytest.mark.parametrize(
    ("said", "chinese"),
    [
        ("answered 500", "返回 500"),
        (
            "answered 308, and no redirect is followed: give the address that it leads to",
            "返回 308：不会跟随重定向，请直接填写最终地址",
        ),
        ("no complete answer within 15 s", "15 秒内没有完整应答"),
        ("hung up without an answer", "没有应答就断开了连接"),
        ("hung up in the midst of its answer", "应答 未完就断开了连接"),
        ("hung up in the midst of its answer 200", "应答 200 未完就断开了连接"),
        ("no HTTP/1.1: Expected HTTP/", "应答不是 HTTP/1.1：Expected HTTP/"),
        ("no answer in the first 64 KiB", "前 64 KiB 里没有应答"),
        ("the name shop.example has no address", "域名 shop.example 没有地址"),
        ("the certificate of a:443 is not trusted: it is old", "a:443 的证书不受信任：it is old"),
        ("no TLS with a:443: WRONG_VERSION_NUMBER", "与 a:443 不能建立 TLS：WRONG_VERSION_NUMBER"),
        (f"can't connect to a:80: {os.strerror(ECONNREFUSED)}", "连不上 a:80：连接被拒绝"),
        (f"can't connect to a:80: {os.strerror(ETIMEDOUT)}", "连不上 a:80：连接超时"),
        (f"can't connect to a:80: {os.strerror(EHOSTUNREACH)}", "连不上 a:80：网络不可达"),
        (f"can't connect to a:80: {os.strerror(ENETUNREACH)}", "连不上 a:80：网络不可达"),
        ("10.0.0.1 is refused: private", "不允许访问内部地址 10.0.0.1"),
        ("2.2.2.2 is refused: denied by the operator", "不允许访问 2.2.2.2（denied by the operator）"),
        ("port 99 of 8.8.8.8 is refused: not among the allowed ports", "不允许访问 8.8.8.8 的端口 99"),
        ("the receiver answered 410 Gone", "对方返回 410 Gone，不再接收"),
        (
            "paused since 2026-09-22T08:00:00Z, the longest that what happens is kept",
            "自 2026-09-22T08:00:00Z 起暂停，",
        ),
        (
            "nothing but failures since 2026-09-22T08:00:00Z: answered 500",
            "自 2026-09-22T08:00:00Z 起一直失败：返回 500",
        ),
    ],
)
def test_a_reason_is_told_in_the_readers_language(said: str, chinese: str) -> None:
    assert reason(said, "zh").startswith(chinese)
    assert reason(said, "en") == said


def test_one_that_nobody_foresaw_is_told_as_it_is() -> None:
    assert reason("something else", "zh") == "something else"
