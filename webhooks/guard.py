"""No request to a non-public address: decided on the very address that the socket is opened to.

A name that resolved to a public address a moment ago proves nothing, so nothing is decided on names. aiohttp asks
`Guard.open` for each socket with the concrete address that it will connect it to; a refusal there is final, whatever
spelling, resolver, cache or redirect led to it. Ranges: https://www.iana.org/assignments/iana-ipv4-special-registry,
https://www.iana.org/assignments/iana-ipv6-special-registry, and the metadata services of the clouds.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Container, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from tracker.errors import BadInput, ConfigError, MilepostError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

PORTS = frozenset({80, 443, 8080, 8443})
MAX_URL = 2048

# The narrower range stands before the wider one that holds it: the first match gives the reason.
_SPECIAL: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), why)
    for network, why in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.100.100.200/32", "a cloud's metadata service"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "a cloud's metadata service"),
        ("169.254.169.254/32", "a cloud's metadata service"),
        ("169.254.170.2/32", "a cloud's metadata service"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.192/32", "a cloud's metadata service"),
        ("192.0.0.0/24", "reserved for protocols"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("255.255.255.255/32", "broadcast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::ffff:0:0/96", "IPv4-mapped"),
        ("::ffff:0:0:0/96", "IPv4-translated"),
        ("::/96", "IPv4-compatible"),
        ("64:ff9b::/96", "NAT64"),
        ("64:ff9b:1::/48", "local NAT64"),
        ("100::/64", "discarded"),
        ("2001::/32", "Teredo"),
        ("2001:db8::/32", "documentation"),
        ("2001::/23", "reserved for protocols"),
        ("2002::/16", "6to4"),
        ("3fff::/20", "documentation"),
        ("fd00:ec2::/32", "a cloud's metadata service"),
        ("fd20:ce::254/128", "a cloud's metadata service"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)
_PUBLIC = "it must be a public address, or in a network that the operator allows (egress.allow)"
_OPEN = f"{', '.join(map(str, sorted(PORTS)))} are, and those that the operator adds (egress.ports)"
_AUTHORITY = re.compile(r"^[^/]*/*([^/?#]*)")
_NAME = re.compile(r"(?!.{255})[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?", re.IGNORECASE | re.ASCII)
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)  # RFC 5214: the upper half of an interface identifier that holds an IPv4 address


class Refused(MilepostError, OSError):
    """An address or port that no request may go to; the message names it and says why, `instead` what may be asked."""

    def __init__(self, why: str, instead: str) -> None:
        super().__init__(why)
        self.instead = instead


def unfit(address: Address) -> str:
    """Why `address` is not a public one, in a word or two; empty if it is."""
    for network, why in _SPECIAL:
        if address.version == network.version and address in network:
            return why
    if isinstance(address, IPv6Address):
        return _unfit_v6(address)
    return ""


def _unfit_v6(address: IPv6Address) -> str:
    if address not in _GLOBAL_UNICAST:
        return "not global unicast"
    if (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP:
        return "ISATAP"
    return ""


class Guard:
    """What requests may go to: public addresses outside `deny`, the networks in `allow`, and on any of them `ports`.

    `allow` counts before `deny`, the narrower wish of an operator before the wider one.
    """

    def __init__(
        self, allow: Sequence[Network] = (), ports: Container[int] = PORTS, *, deny: Sequence[Network] = ()
    ) -> None:
        self._allow = tuple(allow)
        self._deny = tuple(deny)
        self._ports = ports

    def admit(self, host: str, port: int) -> None:
        """Raise `Refused` unless a connection to the address `host` (a literal) and `port` may be made."""
        address = ip_address(host.partition("%")[0])
        why = "" if _within(address, self._allow) else self._unwanted(address)
        if why:
            raise Refused(f"{address} is refused: {why}", _PUBLIC)
        if port not in self._ports:
            raise Refused(f"port {port} of {address} is refused: not among the allowed ports", _OPEN)

    def open(self, info: tuple[Any, ...]) -> socket.socket:
        """A socket for one `getaddrinfo` entry, or `Refused`; aiohttp connects it to that entry's address alone."""
        family, kind, protocol, _, address = info
        self.admit(address[0], address[1])
        return socket.socket(family, kind, protocol)

    def check_url(self, url: str, field: str = "url") -> None:
        """Raise `BadInput` (422) unless `url` is one that we might call; its name is judged only when we do."""
        parsed = _parsed(url, field)
        host = parsed.host or ""
        if _is_localhost(host):
            host = "127.0.0.1"
        try:
            if _is_literal(host, field):
                self.admit(host, parsed.port or 0)
            elif not _NAME.fullmatch(parsed.raw_host or ""):
                raise BadInput(field, f"{host[:60]!r} is no host name: letters, digits and hyphens, in up to 63 a part")
            elif parsed.port not in self._ports:
                raise Refused(f"port {parsed.port} is refused: not among the allowed ports", _OPEN)
        except Refused as refused:
            raise BadInput(field, f"{refused}; {refused.instead}", code="refused") from None

    def _unwanted(self, address: Address) -> str:
        return unfit(address) or ("denied by the operator" if _within(address, self._deny) else "")


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def check_url(url: str, field: str = "url", *, allow: Sequence[Network] = (), ports: Container[int] = PORTS) -> None:
    """Raise `BadInput` (422) unless `url` is http(s), names a host, holds no password and is not refused outright."""
    Guard(allow, ports).check_url(url, field)


def trusting(ca_file: str) -> ssl.SSLContext:
    """TLS that trusts the system's authorities and, where `ca_file` (PEM) is not "", those in it as well.

    Raises:
        ConfigError: there is no such file, or it holds no certificate.
    """
    context = ssl.create_default_context()
    try:
        if ca_file:
            context.load_verify_locations(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(f"egress.ca_file: {ca_file}: {error.strerror or error}; it must hold PEM") from None
    return context


def guarded_session(
    *,
    guard: Guard | None = None,
    timeout: float = 15.0,
    tls: ssl.SSLContext | bool = True,
    headers: dict[str, str] | None = None,
    resolver: AbstractResolver | None = None,
) -> aiohttp.ClientSession:
    """A session with keep-alive that reaches only what `guard` admits; pass `allow_redirects=False` to requests.

    `timeout` is the whole of a request in seconds, its body included. No proxy, no cookies, no decompression.
    """
    connector = _Connector(
        limit=0,
        resolver=resolver or Resolver(),
        ttl_dns_cache=10,
        keepalive_timeout=4,  # below the five seconds after which common servers hang up on an idle connection
        ssl=tls,
        socket_factory=(guard or Guard()).open,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=timeout),
        headers=headers,
        skip_auto_headers=("Accept-Encoding", "Accept"),
        auto_decompress=False,
        trust_env=False,
    )


class _Connector(aiohttp.TCPConnector):
    """Closes the resolver that it was given, too: its threads would wait for work until they are collected."""

    async def close(self, *, abort_ssl: bool = False) -> None:
        await super().close(abort_ssl=abort_ssl)
        await self._resolver.close()


class Resolver(AbstractResolver):
    """The system's resolver on threads of its own: dead name servers of some destinations hold up no other work."""

    def __init__(self, threads: int = 32) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="milepost-dns")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Every address of `host`; raises OSError where there is none."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, _look_up, host, port, family)
        return [_result(host, port, kin, protocol, str(address[0])) for kin, _, protocol, _, address in found]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int, family: socket.AddressFamily) -> list[Any]:
    return socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)


def _result(host: str, port: int, family: int, protocol: int, address: str) -> ResolveResult:
    numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=protocol, flags=numeric)


def _parsed(url: str, field: str) -> URL:
    if len(url) > MAX_URL:
        raise BadInput(field, f"has {len(url)} characters, the most is {MAX_URL}")
    if any(not char.isprintable() or char.isspace() or char == "\\" for char in url):
        raise BadInput(field, "holds white space, a backslash or a control character")
    try:
        parsed = URL(url)
        host, port = parsed.host, parsed.port  # a host is decoded when it is asked for: `xn--` is the code of nothing
    except ValueError as error:
        raise BadInput(field, f"can't be read: {error}") from None
    if parsed.scheme not in ("http", "https"):
        given = f"has the scheme {parsed.scheme!r}" if parsed.scheme else f"{url[:60]!r} has no scheme"
        raise BadInput(field, f"{given}: write http:// or https:// and the host")
    if "@" in _AUTHORITY.findall(url)[0]:
        raise BadInput(field, "holds a user name or password: leave it out, requests are signed")
    if not host or not port:
        raise BadInput(field, "names no host" if not host else "has the port 0")
    if parsed.raw_fragment:
        raise BadInput(field, "has a fragment (#…): it would never be sent")
    return parsed


def _is_localhost(host: str) -> bool:
    return host.rstrip(".").lower().rpartition(".")[2] == "localhost"


def _is_literal(host: str, field: str) -> bool:
    """Whether `host` is an IP address; one in an unusual spelling (`127.1`, `0x7f000001`) is refused."""
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        if _is_number(host):
            raise BadInput(field, f"{host} is not a plain IP address: write four decimal numbers") from None
        return False
    return True


def _is_number(host: str) -> bool:
    last = host.rstrip(".").rpartition(".")[2].lower()  # https://url.spec.whatwg.org/#ends-in-a-number-checker
    digits = last.removeprefix("0x")
    return last.isdecimal() or (last != digits and all(char in "0123456789abcdef" for char in digits))
