"""What goes out of a frozen body, to whom, and signed with which secret at which time."""

from __future__ import annotations

import json
import time
from base64 import b64decode

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError
from svix.webhooks import Webhook as SvixWebhook

from tests.webhooks.receiving import ACCOUNT, Desk, Heard, Receiver, until
from tests.webhooks.test_outbound import answering, book
from tracker.errors import BadInput
from tracker.examples import example
from tracker.model import ChangeKind
from webhooks.payload import labels_of, thin
from webhooks.post import Endpoint
from webhooks.standard import Scheme, new_secret
from webhooks.subscription import DISABLED, TEST, TYPES

HOUR = 3_600_000  # ms


@pytest.mark.parametrize("kind", list(ChangeKind), ids=lambda kind: kind.value)
def test_a_thin_message_names_the_shipment_and_no_more(kind: ChangeKind) -> None:
    full = json.loads(example(kind))
    id = full["data"]["shipment"]["id"]
    assert json.loads(thin(example(kind))) == {
        "type": full["type"],
        "timestamp": full["timestamp"],
        "schema": full["schema"],
        "data": {
            "shipment_id": id,
            "revision": full["data"]["revision"],
            "url": f"https://parcels.example/v1/shipments/{id}",
        },
    }


@pytest.mark.parametrize(
    "tracking_url", [None, "", "https://shop.example/p/1", "https://a.example/parcels/SHP/and/more"]
)
def test_the_url_of_a_thin_message_is_a_path_where_the_body_does_not_say_our_address(tracking_url: str | None) -> None:
    """A relative reference: behind the address of the API it leads to the same place."""
    full = json.loads(example(ChangeKind.DELIVERED))
    id = full["data"]["shipment"]["id"]
    full["data"]["tracking_url"] = tracking_url and tracking_url.replace("SHP", id)
    assert json.loads(thin(json.dumps(full).encode()))["data"]["url"] == f"/v1/shipments/{id}"


@given(body=st.binary(max_size=200))
def test_a_body_without_a_shipment_is_thin_already_and_labels_nothing(body: bytes) -> None:
    assert thin(body) == body
    assert (labels_of(body).shop, labels_of(body).status) == (None, None)


def test_a_body_says_what_the_filters_ask_for() -> None:
    said = labels_of(example(ChangeKind.DELIVERED))
    assert (said.shop, said.carrier, said.status) == ("main", "simulated", "delivered")


async def test_a_thin_message_has_the_same_bytes_at_every_attempt(desk: Desk, receiver: Receiver) -> None:
    _, secret = await desk.subscribe(receiver.url("/thin"), payload="thin")
    await desk.subscribe(receiver.url("/full"))
    receiver.answers["/thin"] = answering(500, 204)
    async with desk.running(book):
        id = await desk.change("SF1", "delivered")
        await until(lambda: len(receiver.at("/thin")) == 2 and len(receiver.at("/full")) == 1)
    first, second = receiver.at("/thin")
    assert (first.id, first.body) == (second.id, second.body)
    assert first.id == receiver.at("/full")[0].id
    told = Webhook(secret).verify(first.body, first.headers)
    assert told["data"] == {"shipment_id": id, "revision": 1, "url": f"/v1/shipments/{id}"}


async def test_a_subscription_to_a_status_hears_what_leads_there(desk: Desk, receiver: Receiver) -> None:
    """A kind that is a status decides at once; of another kind the body says it."""
    await desk.subscribe(receiver.url("/moving"), statuses=["in_transit"])
    await desk.subscribe(receiver.url("/done"), statuses=["delivered"])
    async with desk.running(book):
        await desk.change("SF1", "updated", "delivered", status="in_transit")
        await until(lambda: desk.observer.seen.count(("webhook", "discard")) == 2)
        await until(lambda: len(receiver.heard) == 1)
    assert [one.revision for one in receiver.at("/moving")] == [1]
    assert receiver.at("/done") == [], "the body of this one says in_transit"


async def test_a_status_that_is_none_is_named(desk: Desk) -> None:
    with pytest.raises(BadInput, match="is no status") as refused:
        await desk.subscribe("http://127.0.0.1/hook", statuses=["delivered", "eaten"])
    assert refused.value.field == "statuses[1]"


def verifies(public: str, heard: Heard) -> None:
    """As a receiver checks `v1a`: any of the signatures will do."""
    key = Ed25519PublicKey.from_public_bytes(b64decode(public.removeprefix("whpk_")))
    content = f"{heard.id}.{heard.headers['webhook-timestamp']}.".encode() + heard.body
    for one in heard.headers["webhook-signature"].split(" "):
        if one.startswith("v1a,"):
            try:
                return key.verify(b64decode(one.removeprefix("v1a,")), content)
            except InvalidSignature:
                continue
    raise InvalidSignature


async def test_a_message_can_be_verified_with_a_public_key_old_and_new(desk: Desk, receiver: Receiver) -> None:
    made, private = await desk.subscribe(receiver.url("/hook"), signature="ed25519")
    assert private.startswith("whsk_")
    rotated, _ = await desk.subscriptions.rotate(ACCOUNT, made.id)
    assert len(rotated.public_keys) == 2
    assert rotated.public_keys[1:] == made.public_keys
    async with desk.running(book):
        await desk.change("SF1", "delivered")
        await until(lambda: bool(receiver.heard))
    for public in rotated.public_keys:
        verifies(public, receiver.heard[0])
    with pytest.raises(InvalidSignature):
        verifies((await desk.subscribe(receiver.url("/x"), signature="ed25519"))[0].public_keys[0], receiver.heard[0])


async def test_a_rotation_may_change_the_scheme(desk: Desk, receiver: Receiver) -> None:
    made, shared = await desk.subscribe(receiver.url("/hook"))
    rotated, _ = await desk.subscriptions.rotate(ACCOUNT, made.id, signature="ed25519")
    assert (rotated.signature, len(rotated.public_keys)) == (Scheme.ED25519, 1)
    assert (await desk.subscriptions.test(rotated, TEST, now=0)).delivered
    heard = receiver.heard[0]
    verifies(rotated.public_keys[0], heard)
    Webhook(shared).verify(heard.body, heard.headers)
    SvixWebhook(shared).verify(heard.body, heard.headers)


def test_an_old_secret_signs_until_its_overlap_ends() -> None:
    new, old = new_secret(), new_secret()
    now = time.time()
    endpoint = Endpoint("https://shop.example/", [new, old], overlap_until=now + 60)

    def signed(at: float) -> dict[str, str]:
        signature = endpoint.signer(at).sign("msg_1", int(now), b"{}")
        return {"webhook-id": "msg_1", "webhook-timestamp": str(int(now)), "webhook-signature": signature}

    for library in (Webhook, SvixWebhook):
        library(old).verify(b"{}", signed(now + 59))
        library(new).verify(b"{}", signed(now + 59))
        library(new).verify(b"{}", signed(now + 60))
        with pytest.raises(WebhookVerificationError):
            library(old).verify(b"{}", signed(now + 60))


async def test_a_rotation_says_until_when_the_old_secret_signs(desk: Desk, receiver: Receiver) -> None:
    made, old = await desk.subscribe(receiver.url("/hook"))
    before = int(time.time() * 1000)
    rotated, new = await desk.subscriptions.rotate(ACCOUNT, made.id, overlap_s=7_200)
    assert before + 2 * HOUR <= rotated.overlap_until <= before + 2 * HOUR + 60_000
    at_once, newest = await desk.subscriptions.rotate(ACCOUNT, made.id, overlap_s=0)
    assert at_once.overlap_until == 0
    assert (await desk.subscriptions.test(at_once, TEST, now=0)).delivered
    heard = receiver.heard[0]
    Webhook(newest).verify(heard.body, heard.headers)
    for secret in (old, new):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(heard.body, heard.headers)


@pytest.mark.parametrize("type", TYPES)
async def test_an_example_of_each_type_can_be_sent(desk: Desk, receiver: Receiver, type: str) -> None:
    made, secret = await desk.subscribe(receiver.url("/hook"))
    assert (await desk.subscriptions.test(made, type, now=0)).delivered
    heard = receiver.heard[0]
    told = Webhook(secret).verify(heard.body, heard.headers)
    assert (told["type"], told["test"]) == (type, True)
    assert heard.id.startswith("msg_test_")
    if type != DISABLED:
        assert told["data"].keys() == json.loads(example(ChangeKind(type.removeprefix("shipment."))))["data"].keys()


async def test_a_thin_example_says_that_it_is_one_too(desk: Desk, receiver: Receiver) -> None:
    made, _ = await desk.subscribe(receiver.url("/hook"), payload="thin")
    assert (await desk.subscriptions.test(made, "shipment.delivered", now=0)).delivered
    told = json.loads(receiver.heard[0].body)
    assert (told["test"], told["data"].keys()) == (True, {"shipment_id", "revision", "url"})


async def test_an_example_of_no_type_is_refused(desk: Desk) -> None:
    made, _ = await desk.subscribe("http://127.0.0.1/hook")
    with pytest.raises(BadInput, match=r"no type of event; there are milepost\.test, shipment\.registered"):
        await desk.subscriptions.test(made, "shipment.eaten", now=0)
