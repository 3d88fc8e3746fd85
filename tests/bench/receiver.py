"""A bare subscriber in a process of its own: takes every POST, counts those that it sees for the first time."""

from __future__ import annotations

import time

import msgspec
import uvloop

from tests.bench.http1 import listen
from tests.bench.processes import Answer, obey

_ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"
_ID = b"webhook-id: "


class Counted:
    """The distinct messages of each path, and when the latest came (CLOCK_MONOTONIC, which all processes share)."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self.seen: set[bytes] = set()
        self.posts = 0
        self.last_at = 0.0
        self.timed = False
        self.bodies: list[tuple[float, bytes, bytes]] = []  # when and where each first came, if that is asked for

    def answer(self, head: bytes, body: bytes) -> bytes:
        at = head.find(_ID) + len(_ID)
        path = head[5 : head.find(b" ", 5)]
        id = path + head[at : head.find(b"\r\n", at)]
        self.last_at = time.monotonic()
        if self.timed and id not in self.seen:
            self.bodies.append((self.last_at, path, body))
        self.seen.add(id)
        self.posts += 1
        return _ANSWER

    async def told(self, command: Answer) -> Answer:
        answer: Answer = {"distinct": len(self.seen), "posts": self.posts, "last_at": self.last_at}
        if command["command"] == "arrivals":
            answer["arrivals"] = [_named(at, path, body) for at, path, body in self.bodies]
        if command["command"] == "reset":
            self._begin()
            self.timed = command.get("timed", False)
        return answer


def _named(at: float, path: bytes, body: bytes) -> tuple[str, str, int, float]:
    data = msgspec.json.decode(body)["data"]
    return path.decode(), data["shipment"]["waybill"], data["revision"], at


async def main() -> None:
    """Serve until the pipe closes."""
    counted = Counted()
    server, port = await listen(counted.answer)
    await obey({"url": f"http://127.0.0.1:{port}/hook", "port": port}, counted.told)
    server.close()


if __name__ == "__main__":
    uvloop.run(main())
