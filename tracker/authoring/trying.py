"""One question to the live carrier, through the adapter and the way out that the daemon uses."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import aiohttp
from msgspec import Struct

from carriers.sdk import Ask, Carrier, Http, Reply, Report, Scan
from tracker.authoring.witness import Asked, Witness
from tracker.carrier_http.exits import CarrierHttp
from tracker.carrier_http.patience import Policy
from tracker.connections.checks import check_credentials
from tracker.errors import BadInput, ConfigError

ENV = "CARRIER_"  # CARRIER_GLS_CLIENT_ID


class Tried(Struct, frozen=True):
    """What was asked on the way, the tokens that were had, the answers, and what the adapter read in each of them."""

    asked: Sequence[Asked]
    tokens: Sequence[str]
    replies: Sequence[Reply]
    told: Sequence[Sequence[Report]]

    @property
    def reports(self) -> list[Report]:
        """The reports of all answers."""
        return [report for some in self.told for report in some]

    @property
    def scans(self) -> list[Scan]:
        """The scans of all reports, each with the summary status after them."""
        found: list[Scan] = []
        for report in self.reports:
            status = report.summary.status if report.summary else None
            found += [*report.scans, *([status] if status else [])]
        return found


class _Access(Struct, frozen=True):
    id: str
    credentials: Mapping[str, str]


async def ask(carrier: Carrier, question: Ask, credentials: Mapping[str, str], *, base: str = "") -> Tried:
    """Ask the carrier once.

    Raises:
        ConfigError: the question can't be put: no query, a credential or a detail is missing.
        CarrierError: there is no answer.
        ParseError: an answer can't be read.
    """
    _check(carrier, question, credentials)
    if not (base or carrier.base):
        raise ConfigError(f"try: {carrier.slug} has no address of its own: give --base URL")
    witnesses: list[Witness] = []
    async with aiohttp.ClientSession() as session:
        access = _Access("try", credentials)
        way = CarrierHttp(session, access, base=base or carrier.base, rate=carrier.rate, policy=Policy(attempts=2))
        replies = await way.ask(lambda http: _fetch(carrier, question, http, witnesses))
    told = [carrier.parse(reply.body, reply.content_type) for reply in replies]
    return Tried(witnesses[-1].asked, witnesses[-1].tokens, replies, told)


async def _fetch(carrier: Carrier, question: Ask, http: Http, witnesses: list[Witness]) -> Sequence[Reply]:
    assert carrier.fetch is not None
    witnesses.append(Witness(http))
    return await carrier.fetch(witnesses[-1], [question])


def _check(carrier: Carrier, question: Ask, credentials: Mapping[str, str]) -> None:
    if carrier.fetch is None:
        raise ConfigError(f"try: {carrier.slug} can't be asked, it pushes; `milepost parse` reads a body of it")
    try:
        check_credentials(carrier, credentials)
    except BadInput as error:
        raise ConfigError(f"try: {error}; give --credential, --credentials FILE or ${ENV}…") from None
    lacking = carrier.needs(question) if carrier.needs else ""
    if lacking:
        raise ConfigError(f"try: {carrier.slug} wants a {lacking}: give --{lacking.replace('_', '-')}")


# ---------------------------------------------------------------- credentials


def gather(carrier: Carrier, file: Path | None, pairs: Sequence[str]) -> dict[str, str]:
    """Credentials from a TOML file, the environment (CARRIER_SLUG_NAME) and `name=value`, each over the one before."""
    found = _from_file(carrier, file) if file else {}
    for credential in carrier.credentials:
        value = os.environ.get(f"{ENV}{carrier.slug}_{credential.name}".upper())
        if value is not None:
            found[credential.name] = value
    return found | dict(_pair(text) for text in pairs)


def _from_file(carrier: Carrier, file: Path) -> dict[str, str]:
    """The names at the top of the file, or in its table [slug]."""
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"--credentials {file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"--credentials {file} is not TOML: {error}") from None
    table = found.get(carrier.slug, found)
    if not isinstance(table, dict) or not all(isinstance(value, str) for value in table.values()):
        raise ConfigError(f'--credentials {file}: write name = "value", at its top or in [{carrier.slug}]')
    return dict(table)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigError("--credential: write NAME=VALUE")  # the text may be a secret: not repeated
    return name, value
