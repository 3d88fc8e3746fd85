"""A daemon that cannot run says why, in one sentence that names the setting, and leaves nothing behind."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.faults.daemon import Daemon, run
from tests.ports import free_port
from tracker.store import SHARDS

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]

WRONG = {
    "a port that is no number": (["--set", "http.port=eighty"], ["http.port", "eighty"]),
    "a port that cannot be": (["--set", "http.port=70000"], ["http.port", "70000", "65535"]),
    "a name that is no setting": (["--set", "delivery.retries=3"], ["delivery.retries", "milepost config"]),
    "a setting without its value": (["--set", "http.port"], ["--set http.port", "NAME=VALUE"]),
    "a network that is none": (["--set", "egress.allow=10.0.0.0/40"], ["egress.allow", "10.0.0.0/40"]),
    "a choice that there is not": (["--set", "store.durability=never"], ["store.durability", "never", "always"]),
    "a role that there is not": (["--set", "roles=intake,drummer"], ["roles", "drummer"]),
    "a store of no kind that we know": (["--store", "mysql://127.0.0.1/x"], ["store.url", "mysql"]),
    "a key that seals nothing": (["--set", "secrets.key=short"], ["secrets.key"]),
    "an order book of no kind": (["--set", "orders.url=nosuch://book"], ["orders.url"]),
    "an order book that cannot be opened": (
        ["--set", "orders.url=sqlite+aiosqlite:////nowhere/book.db"],
        ["orders.url", "/nowhere/book.db"],
    ),
    "fewer shards than none": (["--set", "store.shards=-1"], ["store.shards", "-1"]),
    "a stall stage that there is not": (["--set", "stall.hours={ flying = 3 }"], ["stall", "flying"]),
    "a file that is not there": (["--config", "nowhere.toml"], ["nowhere.toml"]),
    "a store where nobody listens": (["--store", "redis://127.0.0.1:1"], ["127.0.0.1:1"]),
}


@pytest.mark.parametrize("name", WRONG)
async def test_it_names_what_is_wrong_and_ends(name: str, tmp_path: Path) -> None:
    words, named = WRONG[name]
    data = tmp_path / "data"
    code, said = await run("serve", "--data", str(data), "--port", str(free_port()), *words, within=30)
    assert code not in (0, -9, -15), said
    for part in named:
        assert part in said, said
    assert "Traceback" not in said
    assert len(said.strip().splitlines()) <= 3, said
    assert not server_left(data)


async def test_a_data_directory_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a directory")
    code, said = await run("serve", "--data", str(tmp_path / "data"), "--port", str(free_port()))
    assert (code, said.strip()) == (64, f"milepost: data: {tmp_path / 'data'} is a file, and must be a directory")
    assert (tmp_path / "data").read_text() == "not a directory"


async def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, said = await run("serve", "--data", str(tmp_path / "data"), "--port", str(port))
    assert code == 64
    assert f"http.port: can't listen on 127.0.0.1:{port}" in said
    assert "Traceback" not in said
    assert not server_left(tmp_path / "data")


async def test_a_store_that_takes_the_call_and_never_answers_is_named(tmp_path: Path) -> None:
    """A frozen server, or a port that something else listens on."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        store = f"127.0.0.1:{silent.getsockname()[1]}"
        code, said = await run(
            "serve", "--data", str(tmp_path / "data"), "--port", str(free_port()), "--store", f"redis://{store}"
        )
    assert code == 1
    assert "Traceback" not in said
    assert store in said, said


async def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    code, said = await run("serve", "--data", str(tmp_path / "file" / "data"), "--port", str(free_port()))
    assert code == 64
    assert str(tmp_path / "file" / "data") in said
    assert "Traceback" not in said


async def test_another_number_of_shards_is_refused_and_the_store_stays_as_it_was(daemon: Daemon) -> None:
    """The number is fixed when a store is created; refused, the daemon ends and so does its server."""
    await daemon.start()
    assert await daemon.end() == 0
    code, said = await run(
        "serve", "--data", str(daemon.directory), "--port", str(daemon.port), "--set", "store.shards=8"
    )
    assert code == 64
    assert "shards" in said
    assert str(SHARDS) in said
    assert "Traceback" not in said
    assert not daemon.server_pid
    await daemon.start()
    assert (await daemon.call("GET", "/v1/whoami"))["account"] == "default"


def server_left(data: Path) -> bool:
    """Whether a server still lives in the directory."""
    try:
        pid = int((data / "store" / "server.pid").read_text())
        return Path(f"/proc/{pid}/cwd").readlink() == (data / "store").resolve()
    except (OSError, ValueError):
        return False
