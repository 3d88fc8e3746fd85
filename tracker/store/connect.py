"""Opening a connection to one server and checking that it is fit to hold the store."""

from __future__ import annotations

import contextlib
import ssl
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from msgspec import Struct
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from tracker.errors import ConfigError
from tracker.store.functions import library
from tracker.store.types import StoreDown

SENTINEL = ("redis+sentinel://", "rediss+sentinel://")
CLUSTER = ("redis+cluster://", "rediss+cluster://")
_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_REPLICAS_UNUSED = (
    "it has replicas and min-replicas-to-write is 0: a replica that takes over may lack what was acknowledged; "
    "set min-replicas-to-write 1 there",
)


class Distrust(ConfigError):
    """A certificate was refused, the server's or ours."""


class Server(Struct, frozen=True):
    """What a server says of itself when it is connected to."""

    wait_replicas: int  # replicas that must have a write before it counts
    replid: str
    replid_before: str  # of the primary that it took over from, if it did
    durable: bool
    warnings: tuple[str, ...] = ()  # what an operator should change there


def server_of(url: str) -> dict[str, Any]:
    """Connection arguments of a `redis://`, `rediss://` or `unix://` URL; `ConfigError` where it is none.

    The query's names are redis-py's: `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile`, `ssl_check_hostname` and others.
    """
    try:
        server: dict[str, Any] = dict(parse_url(url))
        connection = new_connection(server)
        if isinstance(connection, SSLConnection):
            connection.ssl_context.get()
    except OSError as error:
        query = parse_qs(urlsplit(url).query)
        named = ", ".join(f"{name} {query[name][0]}" for name in _FILES if name in query)
        raise ConfigError(f"store.url: {named}: {error}") from None
    except (RedisError, TypeError, ValueError) as error:
        why = "a port is no number" if str(error).startswith("Port ") else error  # it may be of a password
        raise ConfigError(f"store.url: {why}") from None
    return server


def _parted(url: str, kind: str) -> tuple[str, str, list[str], str, dict[str, str]]:
    """Scheme, credentials (`user:password@`), hosts, what follows the slash, and query of `scheme+kind://…`."""
    scheme, _, rest = url.partition(f"+{kind}://")
    rest, _, query = rest.partition("?")
    places, _, name = rest.partition("/")
    credentials, at, hosts = places.rpartition("@")
    return scheme, credentials + at, hosts.split(","), name, dict(parse_qsl(query, keep_blank_values=True))


def cluster_seeds(url: str) -> list[dict[str, Any]]:
    """Connection arguments of the nodes of `redis+cluster://[user:password@]host:port,host:port[?…]`; `rediss`: TLS."""
    scheme, credentials, hosts, _, query = _parted(url, "cluster")
    return [server_of(f"{scheme}://{credentials}{host}?{urlencode(query)}") for host in hosts]


def sentinel_of(url: str) -> tuple[list[dict[str, Any]], dict[str, Any], str]:
    """Sentinels, the server's own arguments and its name, of `redis+sentinel://[user:password@]host:port,host:port/name[?…]`.

    User and password are the server's; those of the sentinels stand in the query, as `sentinel_username` and
    `sentinel_password`. With `rediss…` both speak TLS, by the same authority and certificate; with `sentinel_tls=no`
    the servers alone.
    """
    scheme, credentials, hosts, name, query = _parted(url, "sentinel")
    if not name:
        raise ConfigError("store.url: redis+sentinel://host:port,host:port/name lacks the name of the primary")
    own = {part: query.pop(f"sentinel_{part}", None) for part in ("username", "password")}
    tls = query.pop("sentinel_tls", "yes")
    if tls not in ("yes", "no"):
        raise ConfigError(f"store.url: sentinel_tls must be yes or no, not {tls!r}")
    theirs = query if tls == "yes" else {part: value for part, value in query.items() if not part.startswith("ssl_")}
    sentinels = [
        server_of(f"{scheme if tls == 'yes' else 'redis'}://{host}?{urlencode(theirs)}")
        | {part: value for part, value in own.items() if value}
        for host in hosts
    ]
    return sentinels, server_of(f"{scheme}://{credentials}{hosts[0]}?{urlencode(query)}"), name


async def primary_of(sentinels: list[dict[str, Any]], server: dict[str, Any], name: str) -> dict[str, Any]:
    """Arguments of the primary that the first sentinel to answer names; `StoreDown` where none does."""
    for sentinel in sentinels:
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            connection = await open_connection(sentinel)
            try:
                answer = await ask(connection, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)
            finally:
                await hang_up(connection)
            if answer:
                return {**server, "host": answer[0].decode(), "port": int(answer[1])}
    raise StoreDown(f"no sentinel names a primary for {name}")


def new_connection(server: dict[str, Any]) -> AbstractConnection:
    """A connection that sends nothing twice and leaves deadlines to its user."""
    arguments = dict(server)
    make: type[AbstractConnection] = arguments.pop("connection_class", Connection)
    return make(
        **arguments,
        protocol=2,
        socket_timeout=None,
        socket_connect_timeout=5.0,
        retry=Retry(NoBackoff(), 0),
        driver_info=None,
    )


async def ask(connection: AbstractConnection, *args: Any) -> Any:
    """One command on a connection of one's own."""
    await connection.send_command(*args, check_health=False)
    return await connection.read_response()


async def open_connection(server: dict[str, Any]) -> AbstractConnection:
    """A connection that is open; the caller disconnects it. `Distrust` where a certificate is refused."""
    connection = new_connection(server)
    try:
        await connection.connect()  # type: ignore[no-untyped-call]
        if isinstance(connection, SSLConnection):
            await _greet(connection)
    except (RedisError, OSError) as error:
        await hang_up(connection)
        if reason := _distrust(error):
            raise Distrust(f"{server.get('host', 'localhost')}:{server.get('port', 6379)}: {reason}") from None
        raise
    except BaseException:
        await hang_up(connection)
        raise
    return connection


async def _greet(connection: AbstractConnection) -> None:
    """Its first answer: in TLS 1.3 a server refuses our certificate after we have taken its own.

    It says so and hangs up; where it hung up upon what we had sent meanwhile, its word is lost with the connection.
    """
    try:
        await ask(connection, "PING")
    except RedisConnectionError as error:
        if not isinstance(error.__cause__ or error.__context__, ConnectionResetError | BrokenPipeError):
            raise
        hint = "it hung up right after the handshake, as a server does that refuses our certificate"
        raise RedisConnectionError(f"{error}; {hint}: ssl_certfile and ssl_keyfile name ours") from error


def _distrust(error: BaseException | None) -> str:
    """What is wrong with whose certificate, if it is that."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            said = f"{error.reason}: {error.verify_message}"
            return f"its certificate is refused ({said}); ssl_ca_certs names the file of the authorities to trust"
        if isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or ""):
            return f"it refuses our certificate ({error.reason}); ssl_certfile and ssl_keyfile name ours"
        error = error.__cause__ or error.__context__
    return ""


async def hang_up(connection: AbstractConnection) -> None:
    """Close a connection at once: what TLS would still say at parting is not waited for, nor is a peer that is gone."""
    writer = getattr(connection, "_writer", None)
    with contextlib.suppress(RedisError, OSError, TimeoutError):
        await connection.disconnect(nowait=True)
    if writer is not None:
        writer.transport.abort()


async def load_library(connection: AbstractConnection) -> None:
    """Load the functions where they are absent or of another version."""
    source, version = library()
    try:
        loaded = await ask(connection, "FCALL_RO", "milepost_version", 0)
    except ResponseError:
        loaded = [b"absent", b""]
    if loaded[1] != version.encode():
        await ask(connection, "FUNCTION", "LOAD", "REPLACE", source)


async def _setting(connection: AbstractConnection, name: str) -> str:
    try:
        answer = await ask(connection, "CONFIG", "GET", name)
    except ResponseError:
        return "unknown"
    return answer[1].decode() if answer else "unknown"


async def info(connection: AbstractConnection, section: str) -> dict[str, str]:
    """One section of `INFO`."""
    text: bytes = await ask(connection, "INFO", section)
    lines = (line.partition(":") for line in text.decode().splitlines())
    return {name: value for name, colon, value in lines if colon}


async def examine(connection: AbstractConnection, durability: str) -> Server:
    """Check persistence and role, and load the functions.

    Raises `ConfigError` where an acknowledged write could be lost and `durability` is not `relaxed`, and
    `StoreDown` where the server is a replica just now.
    """
    replication = await info(connection, "replication")
    if replication.get("role") != "master":
        raise StoreDown("the server is a replica just now")
    appendonly, fsync = await _setting(connection, "appendonly"), await _setting(connection, "appendfsync")
    durable = appendonly == "yes" and fsync == "always"
    if not durable and durability != "relaxed":
        raise ConfigError(
            f"the store may lose acknowledged writes: appendonly is {appendonly}, appendfsync is {fsync}; "
            "set appendonly yes and appendfsync always there, or durability = relaxed here"
        )
    policy = (await info(connection, "memory")).get("maxmemory_policy", "noeviction")
    if policy != "noeviction" and durability != "relaxed":
        raise ConfigError(
            f"the store may lose acknowledged writes: maxmemory-policy is {policy}; "
            "set maxmemory-policy noeviction there, or durability = relaxed here"
        )
    minimum = await _setting(connection, "min-replicas-to-write")
    lone = replication.get("connected_slaves", "0") == "0"
    await load_library(connection)
    return Server(
        wait_replicas=int(minimum) if minimum.isdigit() else 0,
        replid=replication.get("master_replid", ""),
        replid_before=replication.get("master_replid2", ""),
        durable=durable and policy == "noeviction",
        warnings=_REPLICAS_UNUSED if not lone and minimum in ("0", "unknown") else (),
    )
