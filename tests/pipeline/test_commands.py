"""`milepost track` and `milepost stalled`, as a person types them beside a running daemon."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.pipeline.daemon import running
from tracker import cli
from tracker.cli.parcels import as_long


async def test_what_nobody_has_and_what_has_not_stopped_is_said_beside_the_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing on the output, which a program may read; for the person a sentence, and not silence."""
    async with running(tmp_path) as (desk, _):
        await desk("POST", "/v1/shipments", {"waybill": "1234567891", "carrier": "dhl", "order_number": "A-1"})

        async def typed(*words: str) -> tuple[int, str, str]:
            code = await asyncio.to_thread(cli.main, [*words, "--url", desk.url, "--key", desk.key, "--lang", "en"])
            said = capsys.readouterr()
            return code, said.out, said.err

        assert await typed("stalled") == (0, "", "milepost: nothing has stopped moving\n")
        assert await typed("track", "A-2") == (1, "", "milepost: nothing is known of A-2\n")
        code, out, _ = await typed("track", "A-1")
        assert code == 0 and out.startswith("1234567891  dhl  Pending  shp_")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("words", [("track", "A-1"), ("tail",), ("keys", "list")])
async def test_a_key_goes_to_no_address_that_the_daemons_leads_to(
    words: tuple[str, ...], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever answers in its place, or has its name by now, must not be told where keys are taken."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.host)
        return web.Response(status=status, headers={"Location": f"http://127.0.0.1:{there.port}{request.rel_url}"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as here, TestServer(web.Application()) as there:
        url = f"http://127.0.0.1:{here.port}"
        code = await asyncio.to_thread(cli.main, [*words, "--url", url, "--key", "mp_abcdefgh_secret"])
        said = capsys.readouterr().err
        assert code == 1 and f"answered {status}, which leads to http://127.0.0.1:{there.port}/v1/" in said
        assert asked == [f"127.0.0.1:{here.port}"]


def test_an_address_with_a_login_is_refused_and_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["track", "A-1", "--url", "http://me:hunter2@127.0.0.1:1"]) == 64
    said = capsys.readouterr().err
    assert "--url: no login stands in the address of a daemon" in said and "hunter2" not in said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(59, "0 min"), (725, "12 min"), (3_600, "1.0 h"), (172_799, "48.0 h"), (172_800, "2.0 d"), (2_194_560, "25.4 d")],
)
def test_how_long_one_stands_still_is_said_in_the_unit_that_a_person_counts_in(seconds: float, said: str) -> None:
    assert as_long(seconds) == said
