"""Why an endpoint took nothing, in the reader's language. It is kept as the API tells it, in English."""

from __future__ import annotations

import re

_SINCE = re.compile(r"nothing but failures since (\S+): (.*)", re.DOTALL)
# what we say → the same in 中文; \1 and \2 are what stands in the brackets
_ZH: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(english, re.DOTALL), chinese)
    for english, chinese in (
        (r"answered (3\d\d), and no redirect is followed: .*", r"返回 \1：不会跟随重定向，请直接填写最终地址"),
        (r"answered (\d+)", r"返回 \1"),
        (r"no complete answer within (\S+) s", r"\1 秒内没有完整应答"),
        (r"hung up without an answer", "没有应答就断开了连接"),
        (r"hung up in the midst of its answer ?(\d*)", r"应答 \1 未完就断开了连接"),
        (r"no HTTP/1\.1: (.*)", r"应答不是 HTTP/1.1：\1"),
        (r"no answer in the first (\d+) KiB", r"前 \1 KiB 里没有应答"),
        (r"the name (\S+) has no address", r"域名 \1 没有地址"),
        (r"the certificate of (\S+) is not trusted: (.*)", r"\1 的证书不受信任：\2"),
        (r"no TLS with (\S+): (.*)", r"与 \1 不能建立 TLS：\2"),
        (r"can't connect to (\S+): Connection refused", r"连不上 \1：连接被拒绝"),
        (r"can't connect to (\S+): Connection timed out", r"连不上 \1：连接超时"),
        (r"can't connect to (\S+): (?:No route to host|Network is unreachable)", r"连不上 \1：网络不可达"),
        (r"can't connect to (\S+): (.*)", r"连不上 \1：\2"),
        (r"port (\d+) of (\S+) is refused: .*", r"不允许访问 \2 的端口 \1"),
        (r"(\S+) is refused: (?:private|loopback|link-local|carrier-grade NAT)", r"不允许访问内部地址 \1"),
        (r"(\S+) is refused: (.*)", r"不允许访问 \1（\2）"),
        (r"the signing secret can't be opened: check secrets\.key", "签名密钥解不开，请检查 secrets.key"),
        (r"the receiver answered 410 Gone", "对方返回 410 Gone，不再接收"),
        (r"paused since (\S+), the longest that what happens is kept", r"自 \1 起暂停，已到变更保留的最长时间"),
    )
)


def reason(text: str, lang: str) -> str:
    """A reason of ours as that reader reads it; one that is not among them, as it is."""
    if lang != "zh":
        return text
    if lasting := _SINCE.fullmatch(text):
        return f"自 {lasting[1]} 起一直失败：{reason(lasting[2], lang)}"
    for english, chinese in _ZH:
        if found := english.fullmatch(text):
            return re.sub(" +", " ", found.expand(chinese))
    return text
