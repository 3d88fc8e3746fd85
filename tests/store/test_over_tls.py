"""The store over `rediss://`: the same stories, and who is not let in.

It needs a server that speaks TLS: Debian's redis-server does, the wheel's does not; `MILEPOST_TLS_SERVER` names others.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.store.goods import register
from tests.store.stories import STORIES, Story, named
from tests.store.topologies import DURABLE, Authority, Process, free_ports, over_tls
from tracker.store import Store, StoreSettings, open_store
from tracker.store.types import StoreDown

BINARY = shutil.which(os.environ.get("MILEPOST_TLS_SERVER", "redis-server"))
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(BINARY is None, reason="no server that speaks TLS: install redis-server"),
]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Process, int]]:
    """A server that speaks nothing but TLS, and its port."""
    assert BINARY
    [port] = free_ports(1)
    process = Process(tmp_path_factory.mktemp("tls"), Path(BINARY), *DURABLE, *over_tls(authority, port))
    yield process, port
    process.kill()


@pytest.fixture
def url(server: tuple[Process, int], authority: Authority) -> str:
    return f"rediss://127.0.0.1:{server[1]}?ssl_ca_certs={authority.file}"


@pytest.fixture
async def store(url: str, tmp_path: Path) -> AsyncIterator[Store]:
    """The empty store of these tests."""
    async with open_store(StoreSettings(directory=tmp_path, url=url)) as opened:
        await opened.clear()
        yield opened


@pytest.mark.parametrize("story", STORIES, ids=named)
async def test_over_tls_too(story: Story, store: Store) -> None:
    await story(store)


async def test_a_server_that_was_killed_is_found_again(store: Store, server: tuple[Process, int]) -> None:
    id = await register(store, "acme", "W1")
    server[0].kill()
    with pytest.raises(StoreDown):
        async with asyncio.timeout(20):
            await store.find("acme", ["W1"])
    server[0].start()
    async with asyncio.timeout(20):
        while True:
            try:
                assert await store.find("acme", ["W1"]) == [id]
                break
            except StoreDown:
                await asyncio.sleep(0.1)


async def refused(url: str, directory: Path) -> str:
    with pytest.raises(StoreDown) as failed:
        async with open_store(StoreSettings(directory=directory, url=url), patience=0.5):
            pass
    return str(failed.value)


async def test_a_server_of_another_authority_is_not_trusted(server: tuple[Process, int], tmp_path: Path) -> None:
    other = Authority(tmp_path / "other")
    said = await refused(f"rediss://127.0.0.1:{server[1]}?ssl_ca_certs={other.file}", tmp_path)
    assert said.startswith(f"store.url: rediss://127.0.0.1:{server[1]} can't be used")
    assert "CERTIFICATE_VERIFY_FAILED" in said
    assert "CERTIFICATE_VERIFY_FAILED" in await refused(f"rediss://127.0.0.1:{server[1]}", tmp_path)


async def test_a_certificate_of_another_host_is_not_trusted(authority: Authority, tmp_path: Path) -> None:
    assert BINARY
    [port] = free_ports(1)
    certificate, key = authority.certificate("elsewhere", "127.0.0.9")
    words = [*DURABLE, *over_tls(authority, port), "--tls-cert-file", str(certificate), "--tls-key-file", str(key)]
    process = Process(tmp_path / "elsewhere", Path(BINARY), *words)
    try:
        said = await refused(f"rediss://127.0.0.1:{port}?ssl_ca_certs={authority.file}", tmp_path)
    finally:
        process.kill()
    assert "IP address mismatch" in said


async def test_plain_words_to_a_server_of_tls_are_refused(server: tuple[Process, int], tmp_path: Path) -> None:
    assert "can't be used" in await refused(f"redis://127.0.0.1:{server[1]}", tmp_path)


async def test_a_server_that_wants_a_certificate_gets_ours(authority: Authority, tmp_path: Path) -> None:
    assert BINARY
    [port] = free_ports(1)
    process = Process(tmp_path / "mutual", Path(BINARY), *DURABLE, *over_tls(authority, port, clients="yes"))
    certificate, key = authority.certificate("milepost")
    url = f"rediss://127.0.0.1:{port}?ssl_ca_certs={authority.file}"
    try:
        assert "can't be used" in await refused(url, tmp_path)
        known = f"{url}&ssl_certfile={certificate}&ssl_keyfile={key}"
        async with open_store(StoreSettings(directory=tmp_path, url=known)) as store:
            assert await register(store, "acme", "W1")
    finally:
        process.kill()
