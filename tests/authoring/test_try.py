"""`milepost try`: one question to a carrier on loopback, and the exchange kept as fixtures without a person in it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from carriers import simulated
from carriers.conformance import read_fixtures
from carriers.conformance.personal import personal_data
from tracker.authoring import rehearsal
from tracker.authoring.exchanges import Exchange, Step
from tracker.authoring.stage import Mood, Stage
from tracker.cli import main

SECRETS = {"client_id": "shop-4711", "client_secret": "hush-hush-hush", "webhook_secret": "hook-secret"}
TOKEN = {"access_token": "bearer-0815", "expires_in": 600, "refresh_token": "a-longer-secret-0816"}
NUMBER = "SIMSTD123456789"
ANSWER = {
    "shipments": [
        {
            "number": NUMBER,
            "signed_by": "Marta Vogel",
            "receiver": {"name": "Marta Vogel", "phone": "13800138000", "address": "Lange Gasse 1"},
            "client": "shop-4711",
            "events": [
                {"time": "2026-11-23T09:00:00+08:00", "code": "PUP", "text": "已揽收，快递员：张三丰，电话13800138000"},
                {"time": "2026-11-24T15:00:00+08:00", "code": "DLV", "text": "Signed for by: Marta Vogel"},
            ],
        }
    ]
}
Try = Callable[..., Awaitable[int]]


@pytest.fixture
async def carrier(tmp_path: Path) -> AsyncIterator[Stage]:
    """The simulated carrier, with one delivered parcel."""
    steps = (
        Step(method="POST", path="/oauth/token", answer=TOKEN),
        Step(method="POST", path="/v1/track", answer=ANSWER),
    )
    async with Stage.open(Exchange(asks=(), steps=steps), tmp_path) as stage:
        yield stage


@pytest.fixture
def ask(carrier: Stage) -> Try:
    """Run `milepost try` beside it."""
    given = [argument for name, value in SECRETS.items() for argument in ("--credential", f"{name}={value}")]

    async def run(*arguments: object) -> int:
        command = ["try", "simulated", NUMBER, "--base", carrier.base, "--lang", "en", *given, *map(str, arguments)]
        return await asyncio.to_thread(main, command)

    return run


async def test_scans_their_meaning_and_the_timeline_are_shown(ask: Try, capsys: pytest.CaptureFixture[str]) -> None:
    assert await ask() == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("answer    200 application/json, ")
    assert out[2] == (
        "scan      2026-11-24T15:00:00+08:00 given  DLV → delivered by code:DLV  Signed for by: Marta Vogel"
    )
    assert out[3:] == [
        f"parcel    {NUMBER}: Delivered (delivered)",
        "timeline  2026-11-23T09:00:00+08:00 picked_up (PUP)",
        "timeline  2026-11-24T15:00:00+08:00 delivered (DLV)",
    ]


async def test_a_machine_gets_json(ask: Try, capsys: pytest.CaptureFixture[str]) -> None:
    assert await ask("--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["answers"][0]["status"] == 200
    assert found["shipments"][0]["status"] == "delivered"


async def test_what_is_recorded_conforms_and_plays_again(ask: Try, tmp_path: Path) -> None:
    folder = tmp_path / "fixtures"
    assert await ask("--record", folder) == 0
    assert await ask("--record", folder) == 0
    assert sorted(path.name for path in folder.iterdir()) == [
        "exchange-delivered-2.json",
        "exchange-delivered.json",
        "query-delivered-2.json",
        "query-delivered.json",
    ]
    await asyncio.to_thread(rehearsal.check, simulated.carrier, folder)
    assert [line for fixture in read_fixtures(folder) for line in personal_data(fixture.body)] == []


async def test_nothing_of_a_person_a_secret_or_the_parcels_number_is_recorded(ask: Try, tmp_path: Path) -> None:
    assert await ask("--record", tmp_path / "fixtures", "--phone-tail", "8000") == 0
    kept = "".join(path.read_text() for path in (tmp_path / "fixtures").iterdir())
    for word in ("Marta", "Vogel", "13800138000", "Lange", "三丰", NUMBER, "0815", "0816", '"8000"', *SECRETS.values()):
        assert word not in kept
    assert "SIMSTD120000000" in kept
    assert "签收" not in kept
    assert "Signed for by: M***" in kept


async def test_credentials_come_from_a_file_the_environment_and_the_line(
    carrier: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "credentials.toml"
    file.write_text('[simulated]\nclient_id = "from-file"\nclient_secret = "x"\nwebhook_secret = "x"\n')
    monkeypatch.setenv("CARRIER_SIMULATED_CLIENT_SECRET", "from-environment")
    more = ["--credentials", str(file), "--credential", "webhook_secret=from-line", "--base", carrier.base]
    assert await asyncio.to_thread(main, ["try", "simulated", NUMBER, *more]) == 0
    assert "client_id=from-file&client_secret=from-environment" in carrier.sent[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["try", "acne", "1"], "try: 'acne' is no carrier; `milepost carriers` lists them"),
        (["try", "gls", "1"], "try: credentials.client_id: required: API key of the app in the GLS developer portal"),
        (["try", "gls", "1", "--credential", "key=hush"], "credentials.key: gls has no such credential; it has client"),
        (["try", "gls", "1", "--credential", "hush"], "--credential: write NAME=VALUE\n"),
        (["try", "gls", "1", "--credentials", "absent.toml"], "--credentials absent.toml: No such file"),
        (
            ["try", "sf", "1", "--credential", "partner_id=a", "--credential", "checkword=b"],
            "try: sf wants a phone_tail: give --phone-tail",
        ),
        (
            ["try", "simulated", "1", *(f"--credential={name}={value}" for name, value in SECRETS.items())],
            "try: simulated has no address of its own: give --base URL",
        ),
    ],
)
def test_what_is_missing_is_named(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 64
    assert words in capsys.readouterr().err


async def test_a_carrier_that_refuses_or_babbles_is_told_apart(
    ask: Try, carrier: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    carrier.begin(Mood("refuses", lambda: web.Response(status=401), lasting=True))
    assert await ask() == 1
    assert "401: it does not accept the credentials" in capsys.readouterr().err
    carrier.begin(Mood("babbles", lambda: web.Response(text="<html>"), lasting=True))
    assert await ask() == 2
    assert "simulated can't read the answer: $: not JSON" in capsys.readouterr().err
