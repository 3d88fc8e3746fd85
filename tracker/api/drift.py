"""Drift: what carriers said that no table covers."""

from __future__ import annotations

from typing import Annotated, cast

from pydantic import Field

from tracker.api.checking import Query
from tracker.api.models.common import Label
from tracker.api.models.drift import DriftList, DriftView
from tracker.api.route import Call, Routes
from tracker.drift.kinds import DriftKind, drift_view

routes = Routes("drift and replay")


class DriftQuery(Query):
    """Which drift."""

    carrier: Label | None = None
    kind: DriftKind | None = None
    limit: Annotated[int, Field(ge=1, le=1_000)] = 200


@routes("GET", "/drift")
async def list_drift(call: Call, query: DriftQuery) -> DriftList:
    """Codes, texts, empty bodies and new shapes of bodies, the latest first.

    An operator's key (an admin key of `default`) sees all of it; any other sees what its own account's shipments and
    connections said. `total` counts what fits, `limit` or not; it is bounded for each carrier and kind.
    """
    drift = call.services.drift
    found = await (drift.of_all() if call.identity.operator else drift.of(call.account))
    fitting = [
        one
        for one in found
        if (query.carrier is None or one.carrier == query.carrier) and (query.kind is None or one.kind is query.kind)
    ]
    shown = cast("list[DriftView]", [drift_view(one) for one in fitting[: query.limit]])
    return DriftList(drift=shown, total=len(fitting))
