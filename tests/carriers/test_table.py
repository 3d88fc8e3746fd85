"""The carrier table of the README: made from the adapters, and as new as they are."""

from __future__ import annotations

import msgspec
import pytest

from carriers import fedex, kuaidi100, sf, table


def test_the_readme_s_table_is_up_to_date() -> None:
    text = table.README.read_text(encoding="utf-8")
    made = table.table(table.ours())
    assert table.placed(text, made) == text, "run `python -m carriers.table --write`"


def test_aggregators_come_after_the_carriers_and_each_row_tells_its_ways() -> None:
    begin, _, _, first, second, third, end = table.table([kuaidi100.carrier, sf.carrier, fedex.carrier]).splitlines()
    assert (begin, end) == (table.BEGIN, table.END)
    assert first.startswith("| [`fedex`](carriers/fedex/README.md) | FedEx 联邦快递 | query, signed push |")
    assert second.startswith("| [`sf`](carriers/sf/README.md) | SF Express 顺丰速运 | query, push |")
    assert "Kuaidi100 快递100 (aggregator) | query, signed push, subscription |" in third


def test_a_carrier_without_a_quality_file_promises_nothing() -> None:
    stranger = msgspec.structs.replace(fedex.carrier, slug="stranger", parse=lambda body, content_type: [])
    assert table.table([stranger]).splitlines()[3].endswith("| none yet | – |")


def test_the_table_goes_between_its_markers_and_nothing_else_changes() -> None:
    assert table.placed(f"a {table.BEGIN} old {table.END} b", "NEW") == "a NEW b"


def test_a_readme_without_markers_is_told_so() -> None:
    with pytest.raises(ValueError, match="put the markers where the table belongs"):
        table.placed("no table here", "NEW")


def test_the_table_is_printed_unless_it_is_to_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert table.main([]) == 0
    assert capsys.readouterr().out.startswith(table.BEGIN)
