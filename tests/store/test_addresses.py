"""What an address of a store says is looked at before anything is connected; what a server is set to, when it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.store.topologies import asked
from tracker.errors import ConfigError
from tracker.store import EmbeddedServer, StoreSettings, open_store
from tracker.store.connect import sentinel_of, server_of


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("rediss://a?ssl_ca_certs=/no/such.pem", "store.url: ssl_ca_certs /no/such.pem: "),
        ("rediss://a?ssl_certfile=/no/c.pem&ssl_keyfile=/no/k.pem", "ssl_certfile /no/c.pem, ssl_keyfile /no/k.pem: "),
        ("rediss://a?ssl_cert_reqs=maybe", "maybe"),
        ("redis://a?ssl_ca_certs=/ca.pem", "ssl_ca_certs"),
        ("rediss://a?colour=red", "colour"),
        ("http://a", "schemes"),
    ],
)
def test_a_wrong_parameter_is_named(url: str, says: str) -> None:
    """An unknown one, a file that is not there, a word that is none of those allowed."""
    with pytest.raises(ConfigError, match=r"^store\.url: ") as refusal:
        server_of(url)
    assert says in str(refusal.value)


@pytest.mark.parametrize(
    ("url", "says"), [("redis+sentinel://a:1", "lacks the name"), ("rediss+sentinel://a/m?sentinel_tls=1", "yes or no")]
)
def test_an_address_of_sentinels_that_lacks_something_says_what(url: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        sentinel_of(url)


def test_sentinels_have_a_password_and_no_tls_where_that_is_said() -> None:
    """User and password before the @ are the server's, and never reach a sentinel."""
    url = (
        "rediss+sentinel://app:s%40cret@a:1,b:2/main?ssl_check_hostname=no&sentinel_username=w&sentinel_password=p%26w"
    )
    sentinels, server, name = sentinel_of(url)
    assert name == "main"
    assert (server["username"], server["password"], server["ssl_check_hostname"]) == ("app", "s@cret", False)
    for one, place in zip(sentinels, (("a", 1), ("b", 2)), strict=True):
        assert (one["host"], one["port"], one["username"], one["password"]) == (*place, "w", "p&w")
        assert one["connection_class"] is server["connection_class"]
    sentinels, server, _ = sentinel_of(url + "&sentinel_tls=no")
    assert "connection_class" in server
    assert not any("connection_class" in one or "ssl_check_hostname" in one for one in sentinels)
    assert "password" not in sentinel_of("redis+sentinel://:secret@a:1/main")[0][0]


async def test_a_server_that_evicts_is_refused(store_server: EmbeddedServer, tmp_path: Path) -> None:
    """What was acknowledged would go when memory is short; with `relaxed` it is taken, and said not to be durable."""
    await store_server.ready()
    server, url = server_of(store_server.url), store_server.url
    await asked(server, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(ConfigError, match="maxmemory-policy is allkeys-lru"):
            async with open_store(StoreSettings(directory=tmp_path, url=url)):
                pass
        async with open_store(StoreSettings(directory=tmp_path, url=url, durability="relaxed")) as store:
            assert not store.durable
    finally:
        await asked(server, "CONFIG", "SET", "maxmemory-policy", "noeviction")
