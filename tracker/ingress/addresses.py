"""Who is at the other end: the peer of the connection, or whom a proxy that we trust speaks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Literal

import structlog
from aiohttp import web

Header = Literal["x-forwarded-for", "forwarded"]
Network = IPv4Network | IPv6Network

log = structlog.get_logger()


class Addresses:
    """Reads an address off a request. `trusted` peers are proxies, and `header` is the one in which they name clients.

    Only that header is read: what the other says came from the client, since the proxy does not write it.
    """

    def __init__(self, trusted: Sequence[Network] = (), header: Header = "x-forwarded-for") -> None:
        self._trusted = tuple(trusted)
        self._header = header
        self._warned = False

    def of(self, request: web.BaseRequest) -> str:
        """The client's address: of IPv6 its /64, which is what one customer has; "" where there is none."""
        peer = request.remote or ""
        if self.trusts(peer):
            return network_of(self._spoken_for(request, peer))
        if not self._warned and self._header in request.headers and _inside(peer):
            self._warned = True  # said once: clients could write it in each request
            log.warning("proxy_not_trusted", peer=peer, header=self._header, setting="http.trusted_proxies")
        return network_of(peer)

    def trusts(self, peer: str) -> bool:
        """Whether the peer is a proxy of ours."""
        return bool(self._trusted) and _is_in(peer, self._trusted)

    def _spoken_for(self, request: web.BaseRequest, peer: str) -> str:
        """From the right: each trusted proxy vouches for what stands before it, and nobody for what is further left."""
        written = ",".join(request.headers.getall(self._header, ()))
        for hop in _hops(written, self._header):
            if _parsed(hop) is None:
                return peer
            peer = hop
            if not self.trusts(hop):
                break
        return peer


def _hops(written: str, header: Header) -> Iterator[str]:
    """The addresses, the nearest first, without their ports."""
    for part in reversed(written.split(",")):
        if header == "x-forwarded-for":
            yield _without_port(part.strip())
        else:
            pairs = (pair.strip().partition("=") for pair in part.split(";"))
            yield _without_port(next((value.strip('"') for name, _, value in pairs if name.lower() == "for"), ""))


def _without_port(text: str) -> str:
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


@lru_cache(maxsize=4096)
def _is_in(text: str, networks: tuple[Network, ...]) -> bool:
    address = _parsed(text)
    return address is not None and any(address in network for network in networks)


@lru_cache(maxsize=4096)
def network_of(text: str) -> str:
    """An address as we count it."""
    address = _parsed(text)
    if isinstance(address, IPv6Address):
        return str(ip_network((address, 64), strict=False))
    return str(address) if address else text[:64]


def _inside(text: str) -> bool:
    address = _parsed(text)
    return address is not None and address.is_private


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address
