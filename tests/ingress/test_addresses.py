"""Whose request it is, told by proxies that are trusted and by nobody else."""

from __future__ import annotations

from ipaddress import ip_network
from typing import cast

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from tracker.ingress.addresses import Addresses, Header

PROXIES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


def of(peer: str, addresses: Addresses, *headers: tuple[str, str]) -> str:
    from multidict import CIMultiDict

    request = make_mocked_request("GET", "/", headers=CIMultiDict(headers)).clone(remote=peer)
    return addresses.of(request)


@pytest.mark.parametrize(
    ("peer", "written", "address"),
    [
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("10.0.0.1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("10.0.0.1", "[2001:db8:1:2:3:4:5:6]:80", "2001:db8:1:2::/64"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, unknown", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.3", "10.0.0.3"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("fd00::1", "198.51.100.1", "198.51.100.1"),
        ("2001:db8::1", "198.51.100.1", "2001:db8::/64"),
        ("", "198.51.100.1", ""),
    ],
)
def test_only_a_trusted_proxy_is_believed_and_only_what_it_wrote_itself(peer: str, written: str, address: str) -> None:
    assert of(peer, Addresses(PROXIES), ("X-Forwarded-For", written)) == address
    assert of(peer, Addresses(PROXIES), *(("X-Forwarded-For", one) for one in written.split(","))) == address


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("for=198.51.100.1;proto=https;by=10.0.0.1", "198.51.100.1"),
        ('For="198.51.100.1:47011"', "198.51.100.1"),
        ('for=6.6.6.6, for="[2001:db8:cafe::17]:4711"', "2001:db8:cafe::/64"),
        ("for=198.51.100.1, for=10.0.0.9", "198.51.100.1"),
        ("for=_hidden", "10.0.0.1"),
        ("for=198.51.100.1, for=unknown", "10.0.0.1"),
        ("proto=https", "10.0.0.1"),
    ],
)
def test_the_standard_header_is_read_where_it_is_the_one_that_is_set(written: str, address: str) -> None:
    assert of("10.0.0.1", Addresses(PROXIES, "forwarded"), ("Forwarded", written)) == address


@pytest.mark.parametrize(("read", "other"), [("forwarded", "X-Forwarded-For"), ("x-forwarded-for", "Forwarded")])
def test_a_header_that_the_proxy_does_not_write_is_the_clients_and_says_nothing(read: str, other: str) -> None:
    addresses = Addresses(PROXIES, cast(Header, read))
    assert of("10.0.0.1", addresses, (other, "for=6.6.6.6"), (other, "6.6.6.6")) == "10.0.0.1"


def test_by_default_nobody_is_believed() -> None:
    assert of("127.0.0.1", Addresses(), ("X-Forwarded-For", "6.6.6.6"), ("Forwarded", "for=6.6.6.6")) == "127.0.0.1"


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60))
def test_nothing_that_a_client_writes_stands_in_for_what_the_proxy_appends(written: str) -> None:
    assert of("10.0.0.1", Addresses(PROXIES), ("X-Forwarded-For", f"{written}, 198.51.100.1")) == "198.51.100.1"
    assert of("10.0.0.1", Addresses(PROXIES), ("X-Forwarded-For", written))
