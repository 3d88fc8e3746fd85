"""Stores that are not embedded, started for a test and ended by id: behind TLS, and behind sentinels that fail over."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.ports import free_ports
from tracker.store.connect import ask, hang_up, open_connection, sentinel_of
from tracker.store.embedded import server_binary

FAILOVER_S = 180  # for what sentinels do
DURABLE = ("--bind", "127.0.0.1", "--appendonly", "yes", "--appendfsync", "always", "--save", "")


class Process:
    """A server in a directory of its own, that can be killed and started again."""

    def __init__(self, directory: Path, binary: Path, *words: str) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._command = [str(binary), *words]
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=self.directory, stdout=log, stderr=log, start_new_session=True
            )

    def signal(self, number: int) -> None:
        assert self._process
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        """End it at once, if it runs."""
        if self._process and self._process.poll() is None:
            self.signal(signal.SIGKILL)
            self._process.wait()


async def asked(server: dict[str, Any], *words: object) -> Any:
    """One command on a connection of its own."""
    connection = await open_connection(server)
    try:
        return await ask(connection, *words)
    finally:
        await hang_up(connection)


async def steady(sentinel: dict[str, Any]) -> None:
    """Return once the sentinel listens; where it stands still with the machine, it does not rest for half a minute."""
    async with asyncio.timeout(FAILOVER_S):
        while True:
            with contextlib.suppress(Exception):  # not listening yet
                await asked(sentinel, "SENTINEL", "DEBUG", "tilt-trigger", 600_000, "info-period", 1_000)
                return
            await asyncio.sleep(0.05)


# ---------------------------------------------------------------- TLS


class Authority:
    """Certificates of one's own, as files."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of a test")])
        self.file = self._write("ca", self._signed(self._name, self._key, authority=True), self._key)[0]

    def certificate(self, name: str, *hosts: str) -> tuple[Path, Path]:
        """A certificate for the hosts and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        return self._write(name, self._signed(subject, key, hosts), key)

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, hosts: Sequence[str] = (), *, authority: bool = False
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if hosts:
            names = [x509.IPAddress(ip_address(host)) for host in hosts]
            made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return made.sign(self._key, hashes.SHA256())

    def _write(self, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> tuple[Path, Path]:
        cert_file, key_file = self._directory / f"{name}.pem", self._directory / f"{name}.key"
        cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return cert_file, key_file


def over_tls(authority: Authority, port: int, *, clients: str = "no") -> tuple[str, ...]:
    """What a server is told so that it speaks TLS and nothing else; `clients`: whether they need a certificate."""
    certificate, key = authority.certificate(f"server-{port}", "127.0.0.1")
    told = {
        "port": "0",
        "tls-port": str(port),
        "tls-cert-file": str(certificate),
        "tls-key-file": str(key),
        "tls-ca-cert-file": str(authority.file),
        "tls-auth-clients": clients,
        "tls-replication": "yes",
    }
    return tuple(word for name, value in told.items() for word in (f"--{name}", value))


# ---------------------------------------------------------------- sentinels


class Watched:
    """A primary and its replicas, watched by three sentinels, two of which must agree that it is down.

    All refuse writes while fewer than `needed` replicas are there: so many have what was acknowledged.
    """

    def __init__(self, directory: Path, binary: Path, *, replicas: int = 1, needed: int = 1) -> None:
        one, *others = free_ports(replicas + 4)
        sentinels, others = others[:3], others[3:]
        needs = ("--min-replicas-to-write", f"{needed}", "--repl-diskless-sync-delay", "0", "--repl-timeout", "10")
        follows = ("--replicaof", "127.0.0.1", str(one))
        self.servers = {one: Process(directory / "a", binary, "--port", str(one), *DURABLE, *needs)}
        for place, port in enumerate(others):
            words = ("--port", str(port), *DURABLE, *needs, *follows)
            self.servers[port] = Process(directory / "bcdef"[place], binary, *words)
        self.sentinels = [self._sentinel(directory / f"s{port}", binary, port, one) for port in sentinels]
        self.url = "redis+sentinel://" + ",".join(f"127.0.0.1:{port}" for port in sentinels) + "/main"

    def _sentinel(self, directory: Path, binary: Path, port: int, primary: int) -> Process:
        directory.mkdir(parents=True)
        config = directory / "sentinel.conf"
        config.write_text(
            f"port {port}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {primary} 2\n"
            "sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n"
        )
        return Process(directory, binary, str(config), "--sentinel")

    async def primary(self) -> int:
        """The port of the primary, as the first sentinel says."""
        (sentinel, *_), _, name = sentinel_of(self.url)
        answer = await asked(sentinel, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)
        return int(answer[1])

    async def replica(self) -> Process:
        """A server that is not the primary."""
        primary = await self.primary()
        return next(server for port, server in self.servers.items() if port != primary)

    async def ready(self) -> None:
        """Return once every sentinel knows its neighbours and all replicas, and these are in step."""
        sentinels, _, name = sentinel_of(self.url)
        await asyncio.gather(*map(steady, sentinels))
        async with asyncio.timeout(FAILOVER_S):
            while True:
                with contextlib.suppress(Exception):  # not knowing yet
                    told = [await asked(one, "SENTINEL", "MASTER", name) for one in sentinels]
                    facts = [dict(zip(one[::2], one[1::2], strict=True)) for one in told]
                    replicas = [await asked(one, "SENTINEL", "REPLICAS", name) for one in sentinels]
                    good = [
                        len(one) == len(self.servers) - 1
                        and all(
                            dict(zip(each[::2], each[1::2], strict=True))[b"master-link-status"] == b"ok"
                            for each in one
                        )
                        for one in replicas
                    ]
                    known = all(fact[b"num-other-sentinels"] == b"2" and fact[b"flags"] == b"master" for fact in facts)
                    if known and len(good) == len(sentinels) and all(good):
                        return
                await asyncio.sleep(0.1)

    async def killed(self) -> None:
        """Kill the primary; when the other one has taken over, it comes back as its replica."""
        before = await self.primary()
        self.servers[before].kill()
        await self._taken_over(before)
        self.servers[before].start()

    async def asked_to(self) -> None:
        """Have the sentinels change the two over, without a fault."""
        before = await self.primary()
        (sentinel, *_), _, name = sentinel_of(self.url)
        async with asyncio.timeout(FAILOVER_S):
            while True:
                with contextlib.suppress(Exception):  # NOGOODSLAVE, INPROG: too soon after the last one
                    await asked(sentinel, "SENTINEL", "FAILOVER", name)
                    break
                await asyncio.sleep(0.1)
        await self._taken_over(before)

    async def frozen(self) -> None:
        """Stop the primary until the other one has taken over; then it goes on, believing what it believed."""
        before = await self.primary()
        self.servers[before].signal(signal.SIGSTOP)
        try:
            await self._taken_over(before)
        finally:
            self.servers[before].signal(signal.SIGCONT)

    async def _taken_over(self, before: int) -> None:
        async with asyncio.timeout(FAILOVER_S):
            while await self.primary() == before:
                await asyncio.sleep(0.05)

    def kill(self) -> None:
        for process in (*self.sentinels, *self.servers.values()):
            with contextlib.suppress(ProcessLookupError):
                process.signal(signal.SIGCONT)
            process.kill()


@contextlib.contextmanager
def watched(directory: Path, binary: Path | None = None, *, replicas: int = 1, needed: int = 1) -> Iterator[Watched]:
    """A primary, its replicas and three sentinels, gone afterwards."""
    found = Watched(directory, binary or server_binary(), replicas=replicas, needed=needed)
    try:
        yield found
    finally:
        found.kill()
