"""`milepost tail`: the feed as it comes, a line for each change; with `--verify`, whether there is any gap.

The stream is followed over restarts from the last cursor; what was printed already is not printed again.
"""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

from msgspec import Struct, field

from tracker.cli.client import refusal
from tracker.errors import MilepostError

_SILENT_S = 45.0  # three heartbeats: the daemon is gone, whatever the network says
_PAUSE_S = (0.5, 15.0)  # before it is asked again, doubled each time, and the longest


class Message(Struct, frozen=True):
    """One server-sent event."""

    event: str
    data: dict[str, Any]


class Gap(MilepostError):
    """The feed lacks something, or says it twice; the message names it."""


class Proof(Struct):
    """That nothing lacks: revisions without a hole, and as many changes as the daemon counts from cursor to cursor."""

    tally: int | None = None
    since: int = 0
    revisions: dict[str, int] = field(default_factory=dict)

    def take(self, change: dict[str, Any]) -> None:
        """Take one change in. Raises Gap where its revision does not follow the last one of its shipment."""
        id, revision = change["shipment_id"], change["revision"]
        before = self.revisions.get(id)
        if before is not None and revision != before + 1:
            raise Gap(f"{id}: revision {revision} came after {before}")
        self.revisions[id] = revision
        self.since += 1

    def reach(self, tally: int, before: int) -> None:
        """Take the daemon's count at a cursor and at the one before in. Raises Gap where not as many came."""
        counted = tally - (before if self.tally is None else self.tally)
        if counted != self.since:
            raise Gap(f"the daemon counts {counted} changes since the last cursor, {self.since} came")
        self.tally, self.since = tally, 0


class Tail:
    """The changes of an account after a cursor ("" from the oldest kept), each once, for as long as it is asked."""

    def __init__(self, url: str, key: str, *, after: str = "now") -> None:
        self._url = f"{url.rstrip('/')}/v1/changes"
        self._key = key
        self.cursor = after
        self._printed: set[tuple[str, int]] = set()  # since that cursor

    def messages(self) -> Iterator[Message]:
        """Changes and cursors. Waits for a daemon that is away.

        Raises:
            MilepostError: the daemon refuses, or the cursor is no longer kept.
        """
        pause, longest = _PAUSE_S
        while True:
            try:
                for message in self._stream():
                    pause = _PAUSE_S[0]
                    if self._is_new(message):
                        yield message
            except urllib.error.HTTPError as error:
                if error.code not in (429, 502, 503, 504):
                    raise MilepostError(refusal(error)) from None
                error.close()
            except (OSError, http.client.HTTPException):  # TimeoutError and URLError; an answer cut off within a chunk
                pass
            time.sleep(pause)
            pause = min(2 * pause, longest)

    def _is_new(self, message: Message) -> bool:
        if message.event == "resync":
            raise MilepostError("changes from there are no longer kept: list the shipments, then tail --after now")
        if message.event == "cursor":
            self.cursor = message.data["cursor"]
            self._printed.clear()
            return True
        name = message.data["shipment_id"], message.data["revision"]
        new = name not in self._printed
        self._printed.add(name)
        return new

    def _stream(self) -> Iterator[Message]:
        query = {"shipments": "true", "limit": "100"} | ({"after": self.cursor} if self.cursor else {})
        request = urllib.request.Request(f"{self._url}?{urllib.parse.urlencode(query)}")
        request.add_header("authorization", f"Bearer {self._key}")
        request.add_header("accept", "text/event-stream")
        with urllib.request.urlopen(request, timeout=_SILENT_S) as answer:
            yield from read(answer)


def read(lines: Iterator[bytes]) -> Iterator[Message]:
    """The events of a stream, whole ones only; comments and what has no data are left out."""
    event, data = "message", b""
    for line in lines:
        name, _, value = line.rstrip(b"\r\n").partition(b": ")
        if name == b"event":
            event = value.decode()
        elif name == b"data":
            data += value
        elif not name:
            if data:
                yield Message(event, json.loads(data))
            event, data = "message", b""


def shown(change: dict[str, Any], lang: str) -> str:
    """One change as a line."""
    shipment = change.get("shipment") or {}
    label = shipment.get("status_label", {}).get(lang, "")
    waybill = shipment.get("waybill", change["shipment_id"])
    return (
        f"{change['at']}  {waybill:<20}  {change['type'].removeprefix('shipment.'):<16}  r{change['revision']}  {label}"
    )


def run(tail: Tail, *, as_json: bool, lang: str, verify: bool) -> int:
    """Print until interrupted; 3 where a gap was found."""
    proof = Proof()
    for message in tail.messages():
        try:
            if message.event == "cursor":
                proof.reach(message.data["tally"], message.data["tally_before"])
                continue
            print(json.dumps(message.data, ensure_ascii=False) if as_json else shown(message.data, lang), flush=True)
            proof.take(message.data)
        except Gap as gap:
            if verify:
                print(f"GAP  {gap}", flush=True)
                return 3
    return 0
