"""A bare subscriber in a process of its own: takes every POST, counts those that it sees for the first time."""

from __future__ import annotations

import time

import uvloop

from tests.bench.http1 import listen
from tests.bench.processes import Answer, obey

_ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"
_ID = b"webhook-id: "


class Counted:
    """The distinct messages, and when the latest came (CLOCK_MONOTONIC, which all processes share)."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self.posts = 0
        self.last_at = 0.0

    def answer(self, head: bytes, body: bytes) -> bytes:
        at = head.find(_ID) + len(_ID)
        self.seen.add(head[at : head.find(b"\r\n", at)])
        self.posts += 1
        self.last_at = time.monotonic()
        return _ANSWER

    async def told(self, command: Answer) -> Answer:
        answer = {"distinct": len(self.seen), "posts": self.posts, "last_at": self.last_at}
        if command["command"] == "reset":
            self.__init__()  # type: ignore[misc]
        return answer


async def main() -> None:
    """Serve until the pipe closes."""
    counted = Counted()
    server, port = await listen(counted.answer)
    await obey({"url": f"http://127.0.0.1:{port}/hook", "port": port}, counted.told)
    server.close()


if __name__ == "__main__":
    uvloop.run(main())
