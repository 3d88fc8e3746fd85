"""A cursor of the feed holds a place in each shard: the daemon reads the longest that there can be."""

from __future__ import annotations

from pathlib import Path

from tracker.store.cursors import pack_cursor

from .daemon import running

SHARDS = 4_096  # the most that a store can have
MONTH_MS = 30 * 86_400_000


async def test_the_longest_cursor_reaches_the_one_who_can_judge_it(tmp_path: Path) -> None:
    now = 1_795_400_000_000
    cursor = pack_cursor(3, [(now - MONTH_MS * shard // SHARDS, 300) for shard in range(SHARDS)])
    assert len(cursor) > 30_000
    async with running(tmp_path) as (desk, _):
        status, said = await desk.ask("GET", f"/v1/changes?after={cursor}")
    assert status == 422  # this store has fewer shards
    assert [error["field"] for error in said["errors"]] == ["after"]
