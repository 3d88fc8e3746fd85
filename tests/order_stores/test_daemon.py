"""An order store of a whole daemon: made over the API, fed by its lanes."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

from tests.pipeline.daemon import running, until

from .peers.http import SECRET, HousePeer

WRONG = "whsec_" + b64encode(bytes(24)).decode()


async def test_a_change_of_an_orders_parcel_reaches_the_order_stores_that_want_it(
    tmp_path: Path, house: HousePeer
) -> None:
    port = house.base.rpartition(":")[2]
    async with running(tmp_path, ports=[port]) as (desk, _):
        said = {"platform": "http", "base": house.base, "credentials": {"signing_secret": SECRET}, "shops": ["north"]}
        made = await desk("POST", "/v1/order-stores", said)
        assert (await desk("POST", f"/v1/order-stores/{made['id']}/test"))["reached"]
        for number, shop, order in ((1, "north", "A-1"), (2, "south", "A-2"), (3, "north", "")):
            waybill = {"waybill": f"YT800000000000{number}", "carrier": "yto", "shop": shop, "order_number": order}
            await desk("POST", "/v1/shipments", waybill)
        await until(lambda: "A-1" in house.orders)
        assert house.orders["A-1"]["parcels"][0]["status"] == "pending"
        log = f"/v1/order-stores/{made['id']}/deliveries"
        deliveries = (await desk("GET", log))["deliveries"]
        while len(deliveries) < 2:  # settled a moment after it was told
            deliveries = (await desk("GET", log))["deliveries"]
        assert [(one["type"], one["outcome"], one["test"]) for one in deliveries] == [
            ("shipment.registered", "done", False),
            ("milepost.test", "done", True),
        ]
        assert list(house.orders) == ["A-1"]


async def test_a_test_that_fails_is_in_the_log_with_its_reason(tmp_path: Path, house: HousePeer) -> None:
    """What the caller was told, whoever looks at the log later reads too."""
    async with running(tmp_path, ports=[house.base.rpartition(":")[2]]) as (desk, _):
        said = {"platform": "http", "base": house.base, "credentials": {"signing_secret": WRONG}}
        made = await desk("POST", "/v1/order-stores", said)
        probe = await desk("POST", f"/v1/order-stores/{made['id']}/test")
        [logged] = (await desk("GET", f"/v1/order-stores/{made['id']}/deliveries"))["deliveries"]
        assert not probe["reached"] and logged["error"] == probe["detail"]
        assert (logged["type"], logged["outcome"], logged["test"]) == ("milepost.test", "failed", True)
