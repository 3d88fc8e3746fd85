"""A name server that says what a test wants it to say."""

from __future__ import annotations

import asyncio
import socket

from aiohttp.abc import AbstractResolver, ResolveResult


class Naming(AbstractResolver):
    """Every name has the first of these answers, at the next question the next one, and the last one from then on.

    An answer is an address, or several with blanks between them.
    """

    def __init__(self, *answers: str, takes_s: float = 0.0) -> None:
        self.asked: list[str] = []
        self._answers = [answer.split() for answer in answers]
        self._takes_s = takes_s

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        addresses = self._answers[min(len(self.asked), len(self._answers) - 1)]
        self.asked.append(host)
        await asyncio.sleep(self._takes_s)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        pass
