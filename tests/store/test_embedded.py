"""The embedded server outlives its daemon, heals, and never runs twice on one directory."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import tracker
from tracker.errors import ConfigError
from tracker.store import EmbeddedServer, Store, StoreSettings, open_store
from tracker.store.embedded import socket_path
from tracker.store.types import Committed, Conflict, StoreDown

from .goods import creation, next_write, register

DAEMON = """
import asyncio, sys
from pathlib import Path
from tracker.store import StoreSettings, open_store

async def main():
    async with open_store(StoreSettings(directory=Path(sys.argv[1]))) as store:
        await store.put_record("key", "acme", "k1", b"value")
        print("written", flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


def settings(directory: Path, **changes: Any) -> StoreSettings:
    return StoreSettings(**{"directory": directory, **changes})


async def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    """The server ends with the daemon and starts again with it."""
    async with open_store(settings(tmp_path)) as store:
        id = await register(store, "acme", "W1")
        pid = int((tmp_path / "server.pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    async with open_store(settings(tmp_path)) as store:
        assert await store.find("acme", ["W1"]) == [id]


async def test_a_store_keeps_the_number_of_shards_that_it_was_created_with(tmp_path: Path) -> None:
    """Nobody has to remember it."""
    async with open_store(settings(tmp_path, shards=5)) as store:
        id = await register(store, "acme", "W1")
    async with open_store(settings(tmp_path)) as store:
        assert store.shards == 5
        assert await store.find("acme", ["W1"]) == [id]


async def test_a_second_daemon_is_refused(tmp_path: Path) -> None:
    """With a message that names the directory and who has it."""
    async with open_store(settings(tmp_path)):
        with pytest.raises(ConfigError, match=f"in use by another daemon .process {os.getpid()}"):
            async with open_store(settings(tmp_path)):
                pass
    async with open_store(settings(tmp_path)):
        pass


async def test_a_killed_server_comes_back_with_everything_acknowledged(tmp_path: Path) -> None:
    """Writers go on through it; nothing acknowledged is lost, nothing is written twice."""
    async with open_store(settings(tmp_path)) as store:
        write = creation(store, "acme", "W1")
        committed = await store.commit(write)

        async def go_on() -> Committed:
            latest = committed
            while latest.version < 300:
                try:
                    latest = await store.commit(next_write(write, latest))
                except (StoreDown, Conflict):
                    (now,) = await store.read([write.id])
                    assert now and now.version in (latest.version, latest.version + 1)
                    latest = Committed(now.version, now.revision)
            return latest

        writer = asyncio.create_task(go_on())
        await asyncio.sleep(0.03)  # in the midst of it
        os.kill(int((tmp_path / "server.pid").read_text()), signal.SIGKILL)
        assert await writer == Committed(300, 300)
        entries: list[int] = []
        cursor = None
        while len(entries) < 300:
            page = await store.changes("acme", cursor)
            entries += [entry.revision for entry in page.entries]
            cursor = page.cursor
        assert entries == list(range(1, 301))
        for _ in range(300):  # the wake-up connection heals too
            await store.wake(0)
            await register(store, "acme", f"N{time.monotonic_ns()}")
            if await store.wake(0.02):
                break
        else:
            pytest.fail("no commit wakes anybody any more")


async def test_a_server_whose_daemon_was_killed_is_adopted(tmp_path: Path) -> None:
    """The next daemon finds it running, with its data, and ends it when it ends itself."""
    root = Path(tracker.__file__).parents[1]
    daemon = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DAEMON, str(tmp_path), stdout=asyncio.subprocess.PIPE, cwd=root
    )
    assert daemon.stdout
    assert await daemon.stdout.readline() == b"written\n"
    daemon.kill()
    await daemon.wait()
    pid = int((tmp_path / "server.pid").read_text())
    os.kill(pid, 0)
    with EmbeddedServer(tmp_path) as server:
        assert server.adopted
        assert server.pid == pid
        await server.ready()
        async with open_store(settings(tmp_path, url=server.url)) as store:
            assert await store.get_record("key", "acme", "k1") == b"value"
    assert not server.alive()


@pytest.mark.parametrize("until", ["it answers", "it is asked to end at once"])
async def test_a_server_whose_daemon_died_right_after_the_spawn_is_adopted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until: str
) -> None:
    """Whatever the daemon had yet to write down; and the adopter ends it."""
    children: list[subprocess.Popen[bytes]] = []
    spawn = subprocess.Popen

    def die(*words: Any, **settings: Any) -> None:
        children.append(spawn(*words, **settings))
        raise KeyboardInterrupt

    with monkeypatch.context() as dying, pytest.raises(KeyboardInterrupt):
        dying.setattr(subprocess, "Popen", die)
        EmbeddedServer(tmp_path).start()
    adopter = EmbeddedServer(tmp_path)
    with adopter:
        assert adopter.adopted
        if until == "it answers":
            await adopter.ready()
            assert adopter.pid == children[0].pid
        waiting = asyncio.create_task(
            asyncio.to_thread(children[0].wait)
        )  # its parent lives on here, as no dead one does
    assert await waiting == 0
    assert not adopter.alive()


async def test_a_server_that_could_not_write_its_process_id_is_adopted_and_ended_all_the_same(tmp_path: Path) -> None:
    """The disk was full when it started, say."""
    first = EmbeddedServer(tmp_path, extra=("--pidfile", str(tmp_path / "nowhere" / "server.pid")))
    first.start()
    await first.ready()
    first.abandon()
    with EmbeddedServer(tmp_path) as adopter:
        await adopter.ready()
        assert adopter.adopted
        assert adopter.pid == first.pid
        waiting = asyncio.create_task(asyncio.to_thread(first.reap))  # its parent lives on here, as no dead one does
    await waiting
    assert not adopter.alive()
    with EmbeddedServer(tmp_path, extra=("--pidfile", str(tmp_path / "nowhere" / "server.pid"))) as own:
        await own.ready()
    assert not own.alive()


async def test_an_adopted_server_that_dies_is_replaced(tmp_path: Path) -> None:
    """It is nobody's child; its lock says that it is gone."""
    first = EmbeddedServer(tmp_path)
    first.start()
    await first.ready()
    first.abandon()
    async with open_store(settings(tmp_path)) as store:
        id = await register(store, "acme", "W1")
        os.kill(first.pid, signal.SIGKILL)
        first.reap()
        assert await store.find("acme", ["W1"]) == [id]


async def test_a_long_directory_gets_its_socket_elsewhere(tmp_path: Path) -> None:
    """A socket's path must be shorter than 108 bytes."""
    directory = tmp_path / ("d" * 100)
    runtime = tmp_path / "run"
    runtime.mkdir()
    assert len(os.fsencode(socket_path(directory, runtime))) < 108
    async with open_store(settings(directory, runtime_directory=runtime)) as store:
        await store.ping()
        assert str(runtime) in store.url


async def test_a_server_that_may_forget_is_refused_unless_it_is_meant(tmp_path: Path) -> None:
    """The message names both settings; relaxed durability is said aloud."""
    with EmbeddedServer(tmp_path, extra=("--appendfsync", "everysec")) as server:
        with pytest.raises(ConfigError, match="appendfsync is everysec"):
            async with open_store(settings(tmp_path, url=server.url)):
                pass
        async with open_store(settings(tmp_path, url=server.url, durability="relaxed")) as store:
            assert not store.durable
            assert not (await store.stats()).durable


async def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    """The last words of its log are in the message."""
    wrong = EmbeddedServer(tmp_path, extra=("--nonsense", "1"))
    with pytest.raises(ConfigError, match="ended at its start"), wrong as server:
        await server.ready()


async def test_the_number_of_shards_is_fixed(store: Store) -> None:
    """Opening with another number is refused; the message names both."""
    with pytest.raises(ConfigError, match="created with 64, not 16"):
        async with open_store(settings(Path(), url=store.url, shards=16)):
            pass


async def test_a_store_that_nobody_serves_is_down(tmp_path: Path) -> None:
    """After a few seconds of patience, not for ever."""
    with pytest.raises(StoreDown):
        async with open_store(settings(tmp_path, url=f"unix://{tmp_path}/nobody.sock"), patience=0.2):
            pass


async def test_stats_say_how_the_store_stands(store: Store) -> None:
    """Overdue work and changes that nobody fanned out show their age."""
    await register(store, "acme", "W1", due=1_000)
    stats = await store.stats()
    assert stats.used_memory > 0
    assert stats.aof_bytes > 0
    assert (stats.feed_length, stats.lanes) == (1, 0)
    assert stats.agenda_lag_ms > 1_000_000
    assert 0 <= stats.unfanned_age_ms < 60_000
    assert stats.durable
