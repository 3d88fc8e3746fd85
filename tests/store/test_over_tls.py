"""The store over `rediss://`: the same stories, and who is not let in.

It needs a server that speaks TLS: Debian's redis-server does, the wheel's does not; `MILEPOST_TLS_SERVER` names others.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import RedisError

from tests.faults.answering import reset
from tests.ports import free_ports
from tests.store.goods import register
from tests.store.stories import STORIES, Story, named
from tests.store.topologies import DURABLE, Authority, Process, asked, over_tls
from tracker.errors import ConfigError
from tracker.store import Store, StoreSettings, open_store
from tracker.store.connect import server_of
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
        async with asyncio.timeout(60):
            await store.find("acme", ["W1"])
    server[0].start()
    async with asyncio.timeout(60):
        while True:
            try:
                assert await store.find("acme", ["W1"]) == [id]
                break
            except StoreDown:
                await asyncio.sleep(0.1)


async def refused(url: str, directory: Path) -> str:
    with pytest.raises((ConfigError, StoreDown)) as failed:
        async with open_store(StoreSettings(directory=directory, url=url), patience=0.5):
            pass
    return f"{failed.value}"


async def test_a_server_of_another_authority_is_not_trusted(server: tuple[Process, int], tmp_path: Path) -> None:
    other = Authority(tmp_path / "other")
    said = await refused(f"rediss://127.0.0.1:{server[1]}?ssl_ca_certs={other.file}", tmp_path)
    assert said.startswith(f"store.url: rediss://127.0.0.1:{server[1]} can't be used")
    assert "CERTIFICATE_VERIFY_FAILED" in said
    assert "ssl_ca_certs names" in said
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
        await once_up(f"{url}&ssl_certfile={certificate}&ssl_keyfile={key}", "PING")
        said = await refused(url, tmp_path)
        assert "can't be used" in said
        assert "refuses our certificate" in said  # in its own word, or in ours where that was lost
        assert "ssl_certfile" in said
        known = f"{url}&ssl_certfile={certificate}&ssl_keyfile={key}"
        async with open_store(StoreSettings(directory=tmp_path, url=known)) as store:
            assert await register(store, "acme", "W1")
    finally:
        process.kill()


async def test_whoever_is_not_trusted_is_told_so_by_sentinels_and_clusters_too(
    server: tuple[Process, int], tmp_path: Path
) -> None:
    """It is a setting that is wrong, not a server that is away."""
    other = Authority(tmp_path / "other")
    for place in (f"rediss+cluster://127.0.0.1:{server[1]}?", f"rediss+sentinel://127.0.0.1:{server[1]}/main?"):
        with pytest.raises(ConfigError, match="its certificate is refused"):
            async with open_store(
                StoreSettings(directory=tmp_path, url=f"{place}ssl_ca_certs={other.file}"), patience=2.0
            ):
                pass


async def test_a_server_whose_refusal_is_lost_with_the_connection_is_told_of_too(
    authority: Authority, tmp_path: Path
) -> None:
    """It takes the handshake, and resets the connection instead of an answer."""
    certificate, key = authority.certificate("abrupt", "127.0.0.1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        reset(writer)

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=context) as abrupt:
        port = abrupt.sockets[0].getsockname()[1]
        said = await refused(f"rediss://127.0.0.1:{port}?ssl_ca_certs={authority.file}", tmp_path)
    assert "as a server does that refuses our certificate" in said
    assert "ssl_certfile and ssl_keyfile name ours" in said


async def test_a_cluster_over_tls_is_followed_to_its_ports_of_tls(authority: Authority, tmp_path: Path) -> None:
    assert BINARY
    [port] = free_ports(1)
    words = ("--cluster-enabled", "yes", "--cluster-port", str(port + 10_000), "--tls-cluster", "yes")
    node = Process(tmp_path / "node", Path(BINARY), *DURABLE, *over_tls(authority, port), *words)
    own = f"127.0.0.1:{port}?ssl_ca_certs={authority.file}"
    try:
        await once_up(f"rediss://{own}", "CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
        async with asyncio.timeout(60):
            while b"cluster_state:ok" not in await once_up(f"rediss://{own}", "CLUSTER", "INFO"):
                await asyncio.sleep(0.05)
        async with open_store(StoreSettings(directory=tmp_path, url=f"rediss+cluster://{own}")) as store:
            id = await register(store, "acme", "W1")
            assert await store.find("acme", ["W1"]) == [id]
    finally:
        node.kill()


async def test_sentinels_over_tls_with_a_password_of_their_own(authority: Authority, tmp_path: Path) -> None:
    """One password for the server, another one for its sentinel; each by TLS."""
    assert BINARY
    port, watching = free_ports(2)
    words = ("--requirepass", "the server's", "--masterauth", "the server's")
    server = Process(tmp_path / "server", Path(BINARY), *DURABLE, *over_tls(authority, port), *words)
    told = over_tls(authority, watching)
    settings = [f"{name.removeprefix('--')} {value}" for name, value in zip(told[::2], told[1::2], strict=True)]
    config = tmp_path / "sentinel.conf"
    lines = [
        f"sentinel monitor main 127.0.0.1 {port} 1",
        'sentinel auth-pass main "the server\'s"',
        "requirepass watch",
    ]
    config.write_text("\n".join([*settings, *lines]) + "\n")
    sentinel = Process(tmp_path / "sentinel", Path(BINARY), str(config), "--sentinel")
    places = f"127.0.0.1:{watching}/main?ssl_ca_certs={authority.file}"
    try:
        await once_up(f"rediss://:watch@127.0.0.1:{watching}?ssl_ca_certs={authority.file}", "PING")
        url = f"rediss+sentinel://:the%20server%27s@{places}&sentinel_password=watch"
        async with open_store(StoreSettings(directory=tmp_path, url=url)) as store:
            assert await register(store, "acme", "W1")
        assert "can't be used" in await refused(f"rediss+sentinel://:the%20server%27s@{places}", tmp_path)
    finally:
        sentinel.kill()
        server.kill()


async def once_up(url: str, *words: object) -> Any:
    """What the server answers as soon as it listens."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await asked(server_of(url), *words)
            except (RedisError, OSError):
                await asyncio.sleep(0.05)
