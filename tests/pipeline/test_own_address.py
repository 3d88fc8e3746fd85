"""What a daemon says of where it is: an address that answers, or none at all."""

from __future__ import annotations

from pathlib import Path

from tests.api.everything import ORDER_STORE
from tests.pipeline.daemon import running, until

REGISTRATION = {"waybill": "1234567891", "carrier": "dhl"}


async def test_with_a_port_of_0_the_real_one_is_told_and_the_url_of_a_thin_message_can_be_fetched(
    tmp_path: Path,
) -> None:
    """The addresses of a connection and of an order store, the page for the buyer, and where a thin message leads."""
    async with running(tmp_path) as (desk, subscriber):
        [subscription] = (await desk("GET", "/v1/subscriptions"))["subscriptions"]
        await desk("PATCH", f"/v1/subscriptions/{subscription['id']}", {"payload": "thin"})
        connection = await desk("POST", "/v1/connections", {"carrier": "dhl", "credentials": {"api_key": "k"}})
        store = await desk("POST", "/v1/order-stores", ORDER_STORE)
        shipment = await desk("POST", "/v1/shipments", REGISTRATION)
        assert connection["webhook_url"].startswith(f"{desk.url}/hooks/con_")
        assert store["webhook_url"].startswith(f"{desk.url}/order-stores/ost_")
        assert shipment["tracking_url"].startswith(f"{desk.url}/parcels/{shipment['id']}/")
        await until(lambda: bool(subscriber.messages))
        url = subscriber.messages[0][1]["data"]["url"]
        assert url.startswith(desk.url)
        assert (await desk("GET", url.removeprefix(desk.url)))["id"] == shipment["id"]


async def test_a_daemon_that_listens_on_every_address_claims_none_of_them(tmp_path: Path) -> None:
    """Its addresses are paths, to be put behind the one that the reader knows; a page for the buyer there is none."""
    async with running(tmp_path, **{"http.host": "0.0.0.0"}) as (desk, subscriber):
        connection = await desk("POST", "/v1/connections", {"carrier": "dhl", "credentials": {"api_key": "k"}})
        shipment = await desk("POST", "/v1/shipments", REGISTRATION)
        assert connection["webhook_url"].startswith("/hooks/con_")
        assert shipment["tracking_url"] is None
        await until(lambda: bool(subscriber.messages))
        assert subscriber.messages[0][1]["data"]["tracking_url"] is None
