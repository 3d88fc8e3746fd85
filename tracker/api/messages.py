"""What subscribers are sent, as the `webhooks` of the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from tracker.api.models.messages import ChangeMessage, DisabledMessage, TestMessage, ThinMessage
from tracker.examples import example
from tracker.model import ChangeKind

K = ChangeKind
Spec = dict[str, Any]

MESSAGES: Mapping[str, Any] = {
    "full": ChangeMessage,
    "thin": ThinMessage,
    "milepost.endpoint.disabled": DisabledMessage,
    "milepost.test": TestMessage,
}
ABOUT: Mapping[ChangeKind, str] = {
    K.REGISTERED: "A waybill is followed from now on.",
    K.UPDATED: "Something that a reader can see has changed, and the status has not: a further hub, an expected day, "
    "an alias, a patch.",
    K.PENDING: "Back to the beginning: the carrier withdrew all that it had said.",
    K.INFO_RECEIVED: "The carrier has the data, not the parcel.",
    K.PICKED_UP: "The carrier has the parcel.",
    K.IN_TRANSIT: "Between pick-up and delivery: hubs, line haul, customs, depot.",
    K.OUT_FOR_DELIVERY: "With the courier.",
    K.DELIVERY_FAILED: "Tried and not delivered; `reason` says why.",
    K.AVAILABLE_FOR_PICKUP: "Waits for the recipient in a locker, a shop or a station.",
    K.DELIVERED: "With the recipient.",
    K.EXCEPTION: "Someone must act; `reason` says on what.",
    K.RETURNING: "On its way back to the sender: a new leg.",
    K.RETURNED: "Back with the sender.",
    K.CANCELLED: "Voided or cancelled.",
    K.EXPIRED: "Silent for too long; Milepost stops asking.",
    K.STALLED: "No progress for longer than this stage deserves.",
    K.MOVING_AGAIN: "A stalled parcel made progress, or its journey ended.",
    K.CORRECTED: "Something announced as a fact is no longer one: a delivery is undone by what came after it, or a "
    "scan was withdrawn or given another meaning.",
    K.DELETED: "The shipment is no longer followed, and can no longer be read.",
}
_NOTICES = {
    "milepost.endpoint.disabled": "Another endpoint of the account was switched off; `why` says for what.",
    "milepost.test": "Somebody asked for a test.",
}
_HEADERS = {
    "webhook-id": "the name of the message: the same at every attempt and replay",
    "webhook-timestamp": "when this attempt was signed, in seconds",
    "webhook-signature": "`v1,` and HMAC-SHA256, or `v1a,` and ed25519, over `id.timestamp.body`, in base64; two while "
    "a secret is replaced",
}
HEADERS: Mapping[str, Spec] = {
    name: {"name": name, "in": "header", "required": True, "schema": {"type": "string"}, "description": about}
    for name, about in _HEADERS.items()
}
_ANSWERS = {
    "2XX": {"description": "Taken."},
    "410": {"description": "No more of this: the subscription is switched off."},
    "default": {"description": "Tried again, after `Retry-After` if that is later than the schedule says."},
}


def webhooks(schemas: Mapping[str, Spec]) -> Spec:
    """A message for each type; `schemas`: those of `MESSAGES`."""
    change = {"oneOf": [schemas["full"], schemas["thin"]]}
    told: Spec = {}
    for kind in ChangeKind:
        content = {"schema": change, "example": msgspec.json.decode(example(kind))}
        told[f"shipment.{kind.value}"] = _message(ABOUT[kind], content)
    for name, about in _NOTICES.items():
        told[name] = _message(about, {"schema": schemas[name]})
    return told


def _message(about: str, content: Spec) -> Spec:
    post = {
        "summary": about,
        "security": [],
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in HEADERS],
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": _ANSWERS,
    }
    return {"post": post}
