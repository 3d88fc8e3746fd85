"""`milepost track` and `milepost stalled`, as a person types them beside a running daemon."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

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


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(59, "0 min"), (725, "12 min"), (3_600, "1.0 h"), (172_799, "48.0 h"), (172_800, "2.0 d"), (2_194_560, "25.4 d")],
)
def test_how_long_one_stands_still_is_said_in_the_unit_that_a_person_counts_in(seconds: float, said: str) -> None:
    assert as_long(seconds) == said
