"""`milepost`, killed or frozen from inside at a named point: `python -m tests.faults.pierced KILL POINT PASS serve …`.

The product knows nothing of this. The method at the point is wrapped before the daemon is built, and at its pass-th
call the process ends itself with SIGKILL, or stops with SIGSTOP until somebody lets it go on: before the call, amid it
(some milliseconds after it began), or after it has answered.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from tracker.agenda import Agenda
from tracker.carrier_http.exits import CarrierHttp
from tracker.cli import main
from tracker.ingest.door import Ingest
from tracker.order_stores import OrderStoreDestination
from tracker.orders import OrderDestination
from tracker.store import Store
from tracker.store.flush import FlushLoop
from webhooks.outbound import Outbound
from webhooks.post import Poster

_AMID_S = 0.004


class Point(Struct, frozen=True):
    """A call that is passed; `when`: before, amid or after it. A claim that brought nothing does not count."""

    owner: type[Any]
    method: str
    when: str
    needs_result: bool = False


POINTS = {
    "push read, before the commit": Point(Ingest, "receive", "before"),
    "amid a commit": Point(Store, "commit", "amid"),
    "after the commit, before the answer": Point(Ingest, "receive", "after"),
    "before the fan-out": Point(Store, "fan_out", "before"),
    "amid the fan-out": Point(Store, "fan_out", "amid"),
    "after the fan-out, before what it claimed is taken": Point(Store, "fan_out", "after"),
    "after a claim of lanes": Point(Store, "claim_lanes", "after", needs_result=True),
    "after a claim, before its deliveries begin": Point(Outbound, "take_claimed", "before"),
    "amid a POST": Point(Poster, "post", "amid"),
    "after a POST, before its settlement": Point(Poster, "post", "after"),
    "before settling": Point(Store, "settle_lanes", "before"),
    "amid settling": Point(Store, "settle_lanes", "amid"),
    "after settling": Point(Store, "settle_lanes", "after"),
    "before the order book": Point(OrderDestination, "handle", "before"),
    "amid the order book": Point(OrderDestination, "handle", "amid"),
    "after the order book": Point(OrderDestination, "handle", "after"),
    "amid a push to the order store": Point(OrderStoreDestination, "handle", "amid"),
    "after a push to the order store": Point(OrderStoreDestination, "handle", "after"),
    "amid a flush to the server": Point(FlushLoop, "_flush", "amid"),
    "after a claim of the agenda": Point(Store, "claim_due", "after", needs_result=True),
    "amid a poll": Point(CarrierHttp, "ask", "amid"),
    "after a poll, before it is taken in": Point(CarrierHttp, "ask", "after"),
    "after a poll, before it is settled": Point(Store, "settle_due", "before"),
    "in the agenda's step": Point(Agenda, "step", "amid"),
}
STARTING = {  # those that are passed while it starts
    "before a record is sealed anew": Point(Store, "replace_record", "before"),
    "after a record was sealed anew": Point(Store, "replace_record", "after"),
}
LEASED = frozenset(list(POINTS)[-5:])  # those that leave polls under a lease of two minutes


def pierce(point: Point, passes: int, number: signal.Signals) -> None:
    """Wrap the point's method: at its `passes`-th call this process gets that signal."""

    def strike() -> None:
        os.kill(os.getpid(), number)

    whole: Callable[..., Awaitable[Any]] = getattr(point.owner, point.method)
    passed = 0

    async def pierced(*args: Any, **options: Any) -> Any:
        nonlocal passed
        if not point.needs_result:
            passed += 1
        last = passed == passes
        if last and point.when == "before":
            strike()
        if last and point.when == "amid":
            asyncio.get_running_loop().call_later(_AMID_S, strike)
        result = await whole(*args, **options)
        if point.needs_result and result:
            passed += 1
            last = passed == passes
        if last and point.when == "after":
            strike()
        return result

    setattr(point.owner, point.method, pierced)


if __name__ == "__main__":
    what, name, count, *words = sys.argv[1:]
    pierce((POINTS | STARTING)[name], int(count), signal.Signals[f"SIG{what}"])
    sys.exit(main(words))
