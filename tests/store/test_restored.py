"""A backup that was put back: the feed that readers followed is not the one that goes on from here."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tracker.cli.doctor import examine
from tracker.config.loading import load
from tracker.store import StoreSettings, open_store
from tracker.store.types import CursorTooOld

from .goods import register


async def test_no_cursor_from_before_reads_on_in_what_was_restored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Though the feed has passed it: what stands there now is not what its reader had read. Nor after a second time."""
    data, backup = tmp_path / "data", tmp_path / "backup"
    settings = StoreSettings(directory=data / "store", remembered=data / "store.id")
    async with open_store(settings) as store:
        await register(store, "acme", "W1")
    shutil.copytree(data, backup)
    cursors: list[str] = []
    for _ in range(2):
        async with open_store(settings) as store:
            await register(store, "acme", "W2")
            cursors.append(await store.head())
        shutil.rmtree(data)
        shutil.copytree(backup, data)
        wanted = load(env={}, flags={"data": str(data), "http.port": "0"})
        assert await examine(wanted, restored=True) == 0
        assert "cursors from before are refused" in capsys.readouterr().out
    async with open_store(settings) as store:
        await register(store, "acme", "W3")
        for cursor in cursors:
            with pytest.raises(CursorTooOld, match="restored"):
                await store.changes("acme", cursor)
        assert len((await store.changes("acme", None)).entries) == 2
