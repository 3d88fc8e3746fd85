"""A caller that hangs up before its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from random import Random
from urllib.parse import urlsplit

from tests.faults.answering import reset

MOMENTS = ("amid the head", "amid the body", "at once", "later")


async def hang_up(url: str, headers: Mapping[str, str], body: bytes, dice: Random, *, latest_s: float = 0.02) -> str:
    """POST so much as the moment says, and leave with a FIN or a RST; which moment it was. Raises OSError.

    `latest_s`: about as long as the request takes, so that some leave before its commit and some after it.
    """
    there = urlsplit(url)
    said = {"Host": there.netloc, "Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in said.items())
    head = f"POST {there.path} HTTP/1.1\r\n{lines}\r\n".encode()
    moment = dice.choice(MOMENTS)
    end = {
        "amid the head": dice.randrange(1, len(head)),
        "amid the body": len(head) + dice.randrange(len(body)),
    }.get(moment)
    _, writer = await asyncio.open_connection(there.hostname, there.port)
    writer.write((head + body)[:end])
    await writer.drain()
    if moment == "later":
        await asyncio.sleep(latest_s * dice.random())
    if dice.random() < 0.5:
        reset(writer)
    writer.close()
    return moment
