"""Drift over HTTP: an account sees its own, an operator all."""

from __future__ import annotations

import pytest

from tracker.accounts import OPERATOR, Scope
from tracker.drift.watch import DriftWatch
from tracker.model import Document

from .world import NOW, Api


def parcel(account: str) -> Document:
    return Document(
        id=f"shp_{account}", account=account, waybill="AC000001", carrier="acme", registered_at=1, updated_at=1
    )


@pytest.fixture
async def watch(api: Api, account: str) -> DriftWatch:
    """Two accounts whose carriers said things that nothing covers."""
    watch = api.services.drift
    assert isinstance(watch, DriftWatch)
    watch.unknown(parcel(account), "acme", "ZZZ", "words of theirs, 13800000000")
    watch.unknown(parcel(account), "bolt", "", "a text")
    watch.heard(account, "acme", b'{"a": 1}', ())
    await watch.write()
    return watch


async def test_an_account_sees_what_its_own_shipments_said(api: Api, account: str, watch: DriftWatch) -> None:
    found = (await api.call(account, "GET", "/drift?kind=code", scope=Scope.READ)).body
    assert found["total"] == 1
    [one] = found["drift"]
    assert (one["carrier"], one["key"], one["count"]) == ("acme", "ZZZ", 1)
    assert (one["text"], one["shipment_id"]) == ("words of theirs, ***", f"shp_{account}")
    assert one["first_at"] <= one["last_at"]


async def test_another_account_sees_none_of_it_and_an_operator_all(api: Api, account: str, watch: DriftWatch) -> None:
    stranger = await api.account()
    assert (await api.call(stranger, "GET", "/drift")).body == {"drift": [], "total": 0}
    await api.services.accounts.first_start(now=NOW)
    assert (await api.call(OPERATOR, "GET", "/drift", scope=Scope.WRITE)).body["total"] == 0
    found = (await api.call(OPERATOR, "GET", "/drift")).body["drift"]
    assert {one["account"] for one in found} == {account}
    assert {one["kind"] for one in found} == {"code", "text", "empty", "shape"}


async def test_drift_is_narrowed_by_carrier_and_kind_and_cut(api: Api, account: str, watch: DriftWatch) -> None:
    by_carrier = (await api.call(account, "GET", "/drift?carrier=bolt")).body["drift"]
    assert [(one["carrier"], one["kind"]) for one in by_carrier] == [("bolt", "text")]
    cut = (await api.call(account, "GET", "/drift?limit=1")).body
    assert (len(cut["drift"]), cut["total"]) == (1, 4)
    assert (await api.call(account, "GET", "/drift?kind=weather")).status == 422
