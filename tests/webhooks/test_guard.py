"""No spelling of a non-public address gets a socket."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import aiohttp
import pytest

from tests.webhooks.naming import Naming
from tests.webhooks.receiving import ANY_PORT, LOOPBACK, Receiver
from tracker.errors import BadInput
from webhooks.guard import Guard, Refused, Resolver, check_url, guarded_session, unfit

# address → why it is refused; "" = public
VERDICTS = {
    "0.0.0.0": "unspecified",
    "0.1.2.3": "unspecified",
    "10.0.0.1": "private",
    "10.255.255.255": "private",
    "100.63.255.255": "",
    "100.64.0.1": "carrier-grade NAT",
    "100.100.100.200": "a cloud's metadata service",
    "100.127.255.255": "carrier-grade NAT",
    "100.128.0.0": "",
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "168.63.129.16": "a cloud's metadata service",
    "169.254.0.1": "link-local",
    "169.254.169.254": "a cloud's metadata service",
    "169.254.170.2": "a cloud's metadata service",
    "172.15.255.255": "",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "172.32.0.1": "",
    "192.0.0.1": "reserved for protocols",
    "192.0.0.192": "a cloud's metadata service",
    "192.0.2.1": "documentation",
    "192.88.99.1": "6to4 relay",
    "192.168.1.1": "private",
    "198.18.0.1": "benchmarking",
    "198.19.255.255": "benchmarking",
    "198.20.0.1": "",
    "198.51.100.7": "documentation",
    "203.0.113.9": "documentation",
    "224.0.0.1": "multicast",
    "239.255.255.255": "multicast",
    "240.0.0.1": "reserved",
    "255.255.255.255": "broadcast",
    "1.1.1.1": "",
    "223.255.255.254": "",
    "::": "unspecified",
    "::1": "loopback",
    "::7f00:1": "IPv4-compatible",
    "::ffff:127.0.0.1": "IPv4-mapped",
    "::ffff:1.1.1.1": "IPv4-mapped",
    "::ffff:0:127.0.0.1": "IPv4-translated",
    "64:ff9b::7f00:1": "NAT64",
    "64:ff9b::101:101": "NAT64",
    "64:ff9b:1::a00:1": "local NAT64",
    "100::1": "discarded",
    "2001::1": "Teredo",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2": "Teredo",
    "2001:2::1": "reserved for protocols",
    "2001:db8::1": "documentation",
    "2002:7f00:1::": "6to4",
    "2002:101:101::1": "6to4",
    "2606:4700::5efe:7f00:1": "ISATAP",
    "3fff::1": "documentation",
    "4000::1": "not global unicast",
    "5f00::1": "not global unicast",
    "fc00::1": "private",
    "fd00:ec2::254": "a cloud's metadata service",
    "fdff::1": "private",
    "fe80::1": "link-local",
    "febf::1": "link-local",
    "fec0::1": "site-local",
    "ff02::1": "multicast",
    "2606:4700:4700::1111": "",
    "2001:4860:4860::8888": "",
}

# every way to write a host that ends at 127.0.0.1, 169.254.169.254 or another address that is not public
SPELLINGS = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0x7f.1",
    "0177.0.0.1",
    "017700000001",
    "0177.0x0.0.1",
    "127.0.0.1.",
    "0",
    "0.0.0.0",
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
    "%31%32%37.0.0.1",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "deep.localhost",
    "169.254.169.254",
    "2852039166",
    "0xA9FEA9FE",
    "0251.0376.0251.0376",
    "10.0.0.1",
    "10.1",
    "192.168.257",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::169.254.169.254]",
    "[2002:7f00:1::]",
    "[2001:0:0:0::1]",
    "[fe80::1%25eth0]",
    "[fe80::1]",
    "[fd00:ec2::254]",
    "[FC00::1]",
    "[ff02::1]",
]


@pytest.mark.parametrize(("address", "why"), VERDICTS.items())
def test_an_address_has_its_verdict(address: str, why: str) -> None:
    assert unfit(ip_address(address)) == why


@pytest.mark.parametrize("host", SPELLINGS)
def test_a_spelling_is_refused_at_registration(host: str) -> None:
    with pytest.raises(BadInput):
        check_url(f"http://{host}/hook")


@pytest.mark.parametrize("host", SPELLINGS)
async def test_a_spelling_gets_no_connection(host: str, receiver: Receiver) -> None:
    port = receiver.root.rpartition(":")[2]
    async with guarded_session(guard=Guard(ports=ANY_PORT), timeout=30.0) as session:
        with pytest.raises(aiohttp.ClientError):
            await session.post(f"http://{host}:{port}/hook", data=b"{}")
    assert receiver.heard == []


async def test_a_name_that_resolves_to_a_private_address_is_refused_by_name_of_the_address(receiver: Receiver) -> None:
    port = receiver.root.rpartition(":")[2]
    async with guarded_session(guard=Guard(ports=ANY_PORT), timeout=30.0, resolver=Naming("127.0.0.1")) as session:
        with pytest.raises(aiohttp.ClientConnectorError) as failed:
            await session.post(f"http://rebind.example:{port}/", data=b"{}")
    assert isinstance(failed.value.os_error, Refused)
    assert str(failed.value.os_error) == "127.0.0.1 is refused: loopback"
    assert receiver.heard == []


async def test_a_name_that_changes_its_address_after_the_check_is_refused(receiver: Receiver) -> None:
    port = receiver.root.rpartition(":")[2]
    check_url(f"http://rebind.example:{port}/", ports=ANY_PORT)  # it may well have resolved to a public one here
    resolver = Naming("127.0.0.2", "127.0.0.1")
    only_the_first = (ip_network("127.0.0.2/32"),)
    async with guarded_session(guard=Guard(only_the_first, ANY_PORT), timeout=30.0, resolver=resolver) as session:
        assert isinstance(session.connector, aiohttp.TCPConnector)
        session.connector._use_dns_cache = False
        with pytest.raises(aiohttp.ClientConnectorError):  # allowed, and nobody listens there
            await session.post(f"http://rebind.example:{port}/", data=b"{}")
        with pytest.raises(aiohttp.ClientConnectorError) as failed:
            await session.post(f"http://rebind.example:{port}/", data=b"{}")
    assert isinstance(failed.value.os_error, Refused)
    assert receiver.heard == []


async def test_a_redirect_to_a_private_address_is_refused_even_if_it_were_followed(receiver: Receiver) -> None:
    async def elsewhere(_: object, __: int) -> aiohttp.web.Response:
        return aiohttp.web.Response(status=307, headers={"Location": "http://169.254.169.254/latest"})

    receiver.answers["/hook"] = elsewhere
    async with guarded_session(guard=Guard(LOOPBACK, ANY_PORT), timeout=30.0) as session:
        with pytest.raises(aiohttp.ClientConnectorError) as failed:
            await session.post(receiver.url("/hook"), data=b"{}")
    assert "metadata" in str(failed.value.os_error)


async def test_what_the_operator_allows_is_reached(receiver: Receiver) -> None:
    async with (
        guarded_session(guard=Guard(LOOPBACK, ANY_PORT), timeout=30.0) as session,
        session.post(receiver.url("/hook"), data=b"{}") as answer,
    ):
        assert answer.status == 204


async def test_a_name_is_resolved_by_the_system_and_reached_where_allowed(receiver: Receiver) -> None:
    allow = (*LOOPBACK, ip_network("::1/128"))
    port = receiver.root.rpartition(":")[2]
    async with (
        guarded_session(guard=Guard(allow, ANY_PORT), timeout=30.0) as session,
        session.post(f"http://localhost:{port}/hook", data=b"{}") as answer,
    ):
        assert answer.status == 204


async def test_a_name_without_an_address_is_an_os_error() -> None:
    resolver = Resolver(threads=1)
    with pytest.raises(OSError, match=r"."):
        await resolver.resolve("no-such-name.invalid", 80)
    await resolver.close()


def test_a_mapped_address_is_not_allowed_by_the_range_that_it_maps() -> None:
    with pytest.raises(Refused, match="IPv4-mapped"):
        Guard(LOOPBACK).admit("::ffff:127.0.0.1", 80)


@pytest.mark.parametrize("port", [22, 25, 6379, 81, 0])
def test_other_ports_are_refused(port: int) -> None:
    with pytest.raises(Refused, match=f"port {port}"):
        Guard().admit("1.1.1.1", port)


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/hooks/milepost?tenant=7",
        "http://shop.example:8080/",
        "https://商店.example/",
        "https://shop.example.:8443/x",
        "https://1.1.1.1/",
        "https://[2606:4700:4700::1111]/",
    ],
)
def test_a_public_url_is_accepted(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "scheme"),
        ("shop.example/hook", "scheme"),
        ("ftp://shop.example/", "scheme 'ftp'"),
        ("file:///etc/hostname", "scheme 'file'"),
        ("gopher://shop.example/", "scheme"),
        ("https://", "no host"),
        ("https:///hook", "no host"),
        ("https://user@shop.example/", "user name"),
        ("https://user:word@shop.example/", "user name"),
        ("https://@shop.example/", "user name"),
        ("https://shop.example\\@127.0.0.1/", "backslash"),
        ("https://shop.example/ x", "white space"),
        ("https://shop.example/\r\nHost: x", "white space"),
        ("https://shop.example/#part", "fragment"),
        ("https://shop.example:22/", "port 22"),
        ("https://shop.example:0/", "port 0"),
        ("https://shop.example:99999/", "can't be read"),
        ("https://[::1/", "can't be read"),
        ("https://shop.example/" + "x" * 2048, "the most is 2048"),
    ],
)
def test_a_bad_url_is_refused_with_its_reason(url: str, says: str) -> None:
    with pytest.raises(BadInput, match=says) as refused:
        check_url(url)
    assert (refused.value.field, refused.value.status) == ("url", 422)


def test_what_the_operator_denies_is_refused_unless_it_is_allowed_more_narrowly() -> None:
    guard = Guard([ip_network("1.1.1.1/32")], deny=[ip_network("1.1.0.0/16")])
    guard.admit("1.1.1.1", 443)
    with pytest.raises(Refused, match=r"1\.1\.0\.1 is refused: denied by the operator"):
        guard.admit("1.1.0.1", 443)
