"""A receiver whose certificate an authority of one's own has signed."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import AsyncIterator
from contextlib import aclosing
from ipaddress import ip_address
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.webhooks.receiving import ANY_PORT, LOOPBACK
from tracker.errors import ConfigError
from webhooks.guard import Guard, guarded_session, trusting
from webhooks.post import Endpoint, Poster
from webhooks.standard import new_secret
from webhooks.wire import Wire


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver of a test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "ca.pem", folder / "key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


@pytest.fixture
async def secured(tmp_path: Path) -> AsyncIterator[tuple[str, Path]]:
    """The address of a server with TLS, and the file with its authority."""
    ca_file, key_file = certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(ca_file, key_file)

    async def take(_: web.Request) -> web.Response:
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/hook", take)
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=context)
    yield f"https://127.0.0.1:{server.port}/hook", ca_file
    await server.close()


async def test_it_is_reached_once_the_authority_is_named(secured: tuple[str, Path]) -> None:
    url, ca_file = secured
    async with (
        guarded_session(guard=Guard(LOOPBACK, ANY_PORT), tls=trusting(str(ca_file))) as session,
        session.post(url, data=b"{}", allow_redirects=False) as answer,
    ):
        assert answer.status == 204


async def test_it_is_not_trusted_before(secured: tuple[str, Path]) -> None:
    async with guarded_session(guard=Guard(LOOPBACK, ANY_PORT), tls=trusting("")) as session:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await session.post(secured[0], data=b"{}", allow_redirects=False)


async def test_webhooks_trust_it_once_it_is_named(secured: tuple[str, Path]) -> None:
    url, ca_file = secured
    endpoint = Endpoint(url, [new_secret()])
    async with aclosing(Wire(guard=Guard(LOOPBACK, ANY_PORT), tls=trusting(str(ca_file)))) as wire:
        assert (await Poster(wire).post(endpoint, "msg_1", b"{}")).status == 204
    async with aclosing(Wire(guard=Guard(LOOPBACK, ANY_PORT), tls=trusting(""))) as wire:
        answer = await Poster(wire).post(endpoint, "msg_1", b"{}")
    assert "is not trusted: self" in answer.error


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_file_that_holds_no_authority_is_refused_by_the_name_of_its_setting(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"egress\.ca_file"):
        trusting(str(path))
