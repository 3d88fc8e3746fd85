"""`milepost tail`: the feed as it comes, a line for each change; with `--verify`, whether there is any gap.

The stream is followed over restarts from the last cursor; what was printed already is not printed again. Where a count
does not fit, the page is asked for once more, to name the changes that did not come.
"""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct, field

from tracker.cli.client import base_of, opened, refusal
from tracker.errors import MilepostError

_SILENT_S = 45.0  # three heartbeats: the daemon is gone, whatever the network says
_PAUSE_S = (0.5, 15.0)  # before it is asked again, doubled each time, and the longest
_PAGE = "100"  # changes; asked again, a page is the same only if it may hold as many
_NAMED = 10  # changes that a gap names


class Message(Struct, frozen=True):
    """One server-sent event."""

    event: str
    data: dict[str, Any]


Name = tuple[str, int]  # of a change: its shipment and its revision


class Gap(MilepostError):
    """The feed lacks something, or says it twice; the message names it."""


class Miscounted(Gap):
    """Not as many changes came between two cursors as the daemon counts there; `came` did."""

    def __init__(self, counted: int, came: set[Name]) -> None:
        super().__init__(f"the daemon counts {counted} changes since the last cursor, {len(came)} came")
        self.counted = counted
        self.came = came


class Proof(Struct):
    """That nothing lacks: revisions without a hole, and as many changes as the daemon counts from cursor to cursor."""

    tally: int | None = None
    came: set[Name] = field(default_factory=set)  # since the last cursor
    revisions: dict[str, int] = field(default_factory=dict)

    def take(self, change: dict[str, Any]) -> None:
        """Take one change in. Raises Gap where its revision does not follow the last one of its shipment."""
        id, revision = change["shipment_id"], change["revision"]
        before = self.revisions.get(id)
        if before is not None and revision != before + 1:
            raise Gap(f"{id}: revision {revision} came after {before}")
        self.revisions[id] = revision
        self.came.add((id, revision))

    def reach(self, tally: int, before: int) -> None:
        """Take the daemon's count at a cursor and at the one before in. Raises Gap where not as many came."""
        counted = tally - (before if self.tally is None else self.tally)
        if counted != len(self.came):
            raise Miscounted(counted, self.came)
        self.tally, self.came = tally, set()


class Tail:
    """The changes of an account after a cursor ("" from the oldest kept), each once, for as long as it is asked."""

    def __init__(
        self, url: str, key: str, *, after: str = "now", complain: Callable[[str], None] = lambda _: None
    ) -> None:
        self._url = f"{base_of(url)}/v1/changes"
        self._key = key
        self._complain = complain
        self.cursor = after
        self.before = after  # the cursor where the page that ends at `cursor` began
        self._printed: set[Name] = set()  # since that cursor

    def messages(self) -> Iterator[Message]:
        """Changes and cursors. Waits for a daemon that is away, and complains of that once.

        Raises:
            MilepostError: the daemon refuses, or the cursor is no longer kept.
        """
        pause, longest = _PAUSE_S
        while True:
            why = "the stream ended"
            try:
                for message in self._stream():
                    pause = _PAUSE_S[0]
                    if self._is_new(message):
                        yield message
            except urllib.error.HTTPError as error:
                why = refusal(error)
                if error.code not in (429, 502, 503, 504):
                    raise MilepostError(why) from None
            except (OSError, http.client.HTTPException) as error:  # TimeoutError, URLError; cut off within a chunk
                why = str(getattr(error, "reason", error) or type(error).__name__)
            if pause == 2 * _PAUSE_S[0]:  # the second time: a restart is no news
                self._complain(f"no changes from {self._url}: {why}; asked again until they come")
            time.sleep(pause)
            pause = min(2 * pause, longest)

    def _is_new(self, message: Message) -> bool:
        if message.event == "resync":
            raise MilepostError("changes from there are no longer kept: list the shipments, then tail --after now")
        if message.event == "cursor":
            self.before, self.cursor = self.cursor, message.data["cursor"]
            self._printed.clear()
            return True
        name = message.data["shipment_id"], message.data["revision"]
        new = name not in self._printed
        self._printed.add(name)
        return new

    def again(self, count: int) -> set[Name]:
        """The `count` changes after the cursor before the last one, asked for once more, as plain pages."""
        found: list[Name] = []
        cursor, more = self.before, True
        while more and len(found) < count:
            with self._asked(cursor, {"limit": _PAGE}) as answer:
                page = json.load(answer)
            found += [(change["shipment_id"], change["revision"]) for change in page["changes"]]
            cursor, more = page["cursor"], page["more"]
        return set(found[:count])

    def _stream(self) -> Iterator[Message]:
        with self._asked(self.cursor, {"shipments": "true", "limit": _PAGE}, accept="text/event-stream") as answer:
            yield from read(answer)

    def _asked(self, after: str, query: dict[str, str], *, accept: str = "application/json") -> Any:
        query = query | ({"after": after} if after else {})
        request = urllib.request.Request(f"{self._url}?{urllib.parse.urlencode(query)}")
        request.add_header("authorization", f"Bearer {self._key}")
        request.add_header("accept", accept)
        return opened(request, timeout_s=_SILENT_S)


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


def named(gap: Gap, tail: Tail) -> str:
    """Which changes did not come, or came although the daemon doesn't count them; "" where the gap says it itself."""
    if not isinstance(gap, Miscounted):
        return ""
    try:
        counted = tail.again(gap.counted)
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"; which ones can't be said: {error}"
    words = [("did not come", counted - gap.came), ("not counted", gap.came - counted)]
    told = [f"; {word}: {_list(names)}" for word, names in words if names]
    return "".join(told) or "; asked again, the feed gives the same: compare the revisions of GET /v1/shipments"


def _list(names: set[Name]) -> str:
    some = ", ".join(f"{id} revision {revision}" for id, revision in sorted(names)[:_NAMED])
    return some if len(names) <= _NAMED else f"{some} and {len(names) - _NAMED} more"


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
                print(f"GAP  {gap}{named(gap, tail)}", flush=True)
                return 3
    return 0
