"""What Prometheus is told: the names, the labels, and that nothing from outside can make them endless."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

from tracker.metrics import Metrics
from tracker.model import ChangeKind


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def samples(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    """(name, label values) → value."""
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(metrics.page().decode())
        for sample in family.samples
    }


def test_every_name_begins_with_milepost_and_says_what_it_is(metrics: Metrics) -> None:
    families = [family for family in metrics.registry.collect() if not family.name.endswith("_created")]
    assert families
    assert [family.name for family in families if not family.name.startswith("milepost_")] == []
    assert [family.name for family in families if not family.documentation] == []


def test_two_processes_in_one_do_not_share_a_registry() -> None:
    one, other = Metrics(), Metrics()
    one.quarantined("acme")
    assert ("milepost_quarantined_total", ("acme",)) not in samples(other)


def test_a_push_is_counted_by_carrier_and_outcome_and_timed(metrics: Metrics) -> None:
    metrics.intake("acme", "accepted", 0.003)
    metrics.intake("acme", "refused", 0.001)
    told = samples(metrics)
    assert told["milepost_intake_requests_total", ("acme", "accepted")] == 1
    assert told["milepost_intake_requests_total", ("acme", "refused")] == 1
    assert told["milepost_intake_seconds_count", ()] == 2


def test_a_poll_is_counted_with_its_waybills(metrics: Metrics) -> None:
    metrics.polled("acme", "answered", 30, 0.2)
    told = samples(metrics)
    assert told["milepost_polls_total", ("acme", "answered")] == 1
    assert told["milepost_polled_waybills_total", ("acme",)] == 30
    assert told["milepost_poll_seconds_count", ("acme",)] == 1


def test_a_breaker_is_1_while_it_is_open(metrics: Metrics) -> None:
    metrics.breaker("con_1", True)
    assert samples(metrics)["milepost_breaker_open", ("con_1",)] == 1
    metrics.breaker("con_1", False)
    assert samples(metrics)["milepost_breaker_open", ("con_1",)] == 0


def test_each_change_of_a_commit_is_counted_by_its_kind(metrics: Metrics) -> None:
    metrics.committed([ChangeKind.CORRECTED, ChangeKind.RETURNING])
    metrics.committed([])
    told = samples(metrics)
    assert told["milepost_changes_total", ("corrected",)] == 1
    assert told["milepost_changes_total", ("returning",)] == 1


def test_a_delivery_is_counted_by_the_kind_of_its_destination(metrics: Metrics) -> None:
    metrics.delivered("webhook", "dead", 15.0)
    told = samples(metrics)
    assert told["milepost_deliveries_total", ("webhook", "dead")] == 1
    assert told["milepost_delivery_seconds_count", ("webhook",)] == 1


def test_an_unknown_code_is_counted_by_carrier_and_code_and_a_bare_text_as_one(metrics: Metrics) -> None:
    metrics.unknown_code("acme", "ZZZ")
    metrics.unknown_code("acme", "ZZZ")
    metrics.unknown_code("acme", "")
    told = samples(metrics)
    assert told["milepost_unknown_codes_total", ("acme", "ZZZ")] == 2
    assert told["milepost_unknown_codes_total", ("acme", "(text)")] == 1


def test_codes_from_outside_make_a_bounded_number_of_series(metrics: Metrics) -> None:
    """And one carrier that makes them up leaves the others theirs."""
    for number in range(700):
        metrics.unknown_code("acme", f"C{number}")
    metrics.unknown_code("acme", "C1")
    for number in range(700):
        metrics.unknown_code(f"carrier-{number % 14}", f"C{number}")
    told = {
        labels: value for (name, labels), value in samples(metrics).items() if name == "milepost_unknown_codes_total"
    }
    assert len([code for _, code in told if code != "(more)"]) == 500
    assert told["acme", "(more)"] == 650
    assert told["carrier-0", "C0"] == 1
    assert told["acme", "C1"] == 2


def test_an_empty_body_and_a_drift_are_counted_by_carrier(metrics: Metrics) -> None:
    metrics.empty_body("acme")
    metrics.drifted("acme", "shape")
    told = samples(metrics)
    assert told["milepost_empty_bodies_total", ("acme",)] == 1
    assert told["milepost_drift_total", ("acme", "shape")] == 1


def test_a_long_code_is_cut(metrics: Metrics) -> None:
    metrics.unknown_code("acme", "x" * 1000)
    assert ("milepost_unknown_codes_total", ("acme", "x" * 40)) in samples(metrics)


# ------------------------------------------------------------ the operator's tables

ROOT = Path(__file__).parents[2]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
RULES = (ROOT / "deploy" / "prometheus" / "rules.yml").read_text(encoding="utf-8")


def exposed(metrics: Metrics) -> dict[str, tuple[str, ...]]:
    """Each metric as Prometheus names it, with its labels."""
    found: dict[str, tuple[str, ...]] = {}
    for collector in metrics.registry._collector_to_names:
        assert isinstance(collector, MetricWrapperBase), "a collector that names no labels"
        for family in collector.describe():
            found[family.name + ("_total" if family.type == "counter" else "")] = tuple(collector._labelnames)
    return found


def rows(head: str) -> list[list[str]]:
    table = OPERATIONS.partition(head)[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_the_operators_document_lists_every_metric_with_its_labels(metrics: Metrics) -> None:
    listed = {row[0].strip("`"): row[1] for row in rows("| metric | labels | says |")}
    assert listed == {name: ", ".join(labels) or "–" for name, labels in exposed(metrics).items()}


def test_the_operators_document_explains_every_alarm() -> None:
    alarms = re.findall(r"alert: (\w+)\n.*?severity: (\w+)", RULES, re.DOTALL)
    assert [(row[0].strip("`"), row[1]) for row in rows("| alarm | severity | means | do |")] == alarms


def test_what_an_alarm_counts_is_there_before_it_happens(metrics: Metrics) -> None:
    """A series that is born at 1 has not increased: the first dead letter would wake nobody."""
    metrics.may_hear(["acme", "shopify"])
    told = samples(metrics)
    dead = [("milepost_deliveries_total", (destination, "dead")) for destination in ("webhook", "orders", "store")]
    refused = [("milepost_connections_cut_off_total", (why,)) for why in ("full", "address")]
    unread = [("milepost_quarantined_total", (source,)) for source in ("acme", "shopify")]
    assert {name: told.get(name) for name in (*dead, *refused, *unread)} == dict.fromkeys((*dead, *refused, *unread), 0)


def test_a_disk_that_is_not_ours_to_see_is_no_empty_one(metrics: Metrics) -> None:
    assert samples(metrics)["milepost_disk_free_bytes", ()] == -1


def test_every_alarm_asks_for_metrics_that_there_are(metrics: Metrics) -> None:
    assert set(re.findall(r"milepost_\w+", RULES)) - exposed(metrics).keys() == set()
