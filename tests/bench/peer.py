"""A carrier at the other end of the polls: gives out a token, and the same four events for every number asked for."""

from __future__ import annotations

import sys

import msgspec
import uvloop

from tests.bench.http1 import listen
from tests.bench.journeys import SIMULATED, simulated_events
from tests.bench.processes import Answer, obey

_TOKEN = b'{"access_token":"t0","token_type":"bearer","expires_in":86400}'


class Asked(msgspec.Struct):
    """A question."""

    numbers: list[str]


class Carrier:
    """Answers and counts."""

    def __init__(self, began_at: int) -> None:
        events = msgspec.json.encode(simulated_events(began_at, SIMULATED[:4]))
        self._tail = b'","service":"standard","origin":"\xe4\xb8\x8a\xe6\xb5\xb7\xe5\xb8\x82","events":' + events + b"}"
        self._read = msgspec.json.Decoder(Asked).decode
        self.waybills = 0

    def answer(self, head: bytes, body: bytes) -> bytes:
        if b"/v1/track" not in head[:40]:
            return _response(_TOKEN)
        numbers = self._read(body).numbers
        self.waybills += len(numbers)
        rows = [b'{"number":"' + number.encode() + self._tail for number in numbers]
        return _response(b'{"shipments":[' + b",".join(rows) + b'],"errors":[]}')

    async def told(self, command: Answer) -> Answer:
        return {"waybills": self.waybills}


def _response(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


async def main(began_at: int) -> None:
    """Answer until the pipe closes; `began_at`: when every parcel's journey began (s)."""
    carrier = Carrier(began_at)
    server, port = await listen(carrier.answer)
    await obey({"base": f"http://127.0.0.1:{port}", "port": port}, carrier.told)
    server.close()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
