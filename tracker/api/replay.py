"""Replay: what is stored, read again by today's adapters and tables."""

from __future__ import annotations

from typing import Annotated, cast

from pydantic import Field, StringConstraints

from tracker.accounts import Scope
from tracker.api.checking import Body, cursors
from tracker.api.models.common import BATCH_MAX, Cursor
from tracker.api.models.replay import CorrectionView, ReplayPage
from tracker.api.problems import NOT_FOUND, not_found
from tracker.api.route import Call, Routes
from tracker.replay import Wanted, correction_view

routes = Routes("drift and replay")


class ReplayBody(Body):
    """Which page of a replay. Begin without a cursor, and go on with the one that is answered, until it is null."""

    dry_run: Annotated[bool, Field(description="say what would change, and change nothing")] = False
    carrier: Annotated[str, StringConstraints(max_length=64)] = Field(
        "", description="an adapter's slug; left out: all"
    )
    account: Annotated[str, StringConstraints(max_length=32)] = Field(
        "", description="for operators; left out: one's own"
    )
    cursor: Cursor | None = None
    limit: Annotated[int, Field(ge=1, le=500, description="shipments to look at in this call")] = 200
    most: Annotated[int, Field(ge=1, le=BATCH_MAX, description="corrections after which to stop")] | None = None


@routes("POST", "/replay", scope=Scope.WRITE, problems=[NOT_FOUND])
async def replay(call: Call, body: ReplayBody) -> ReplayPage:
    """Read the quarantine and then all shipments again, a page a call; what reads otherwise is announced as corrected.

    A correction is one change, `shipment.corrected`. What reads the same is not written, so a replay may be cut off and
    run again.
    """
    account = await _account(call, body.account)
    wanted = Wanted(dry_run=body.dry_run, carrier=body.carrier, cursor=body.cursor, limit=body.limit, most=body.most)
    with cursors(body.cursor):
        page = await call.services.replay.page(account, wanted, now=call.now)
    return ReplayPage(
        account=account,
        dry_run=body.dry_run,
        looked_at=page.looked_at,
        corrections=cast("list[CorrectionView]", [correction_view(pair) for pair in page.corrections]),
        quarantine={"read": list(page.read), "unreadable": page.unreadable},
        cursor=page.cursor,
    )


async def _account(call: Call, name: str) -> str:
    """The account that is meant, where the caller may see it."""
    if name in ("", call.account):
        return call.account
    if not call.identity.operator:
        raise not_found()
    return (await call.services.accounts.get(name)).name
