"""Messages to subscribers, as types: what docs/webhooks.md tells, for machines."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from tracker.api.models.common import Words
from tracker.api.models.shipments import Event, ShipmentView, Stalled
from tracker.model import Milestone, Reason, Status

Version = Annotated[Literal[1], Field(description="goes up when a field changes its meaning or goes")]
Marked = Annotated[Literal[True], Field(description="an example: what it names does not exist")]


class Announced(TypedDict):
    """What had been said of an event."""

    milestone: Milestone
    label: Words
    reason: Reason | None
    reason_label: Words | None


class EventCorrected(Event):
    """An event as it is told now; `was`: what had been announced."""

    was: Announced


class ChangeData(TypedDict):
    """What one commit did to a shipment; the shipment as it stood after, without its timeline."""

    shipment: ShipmentView
    revision: Annotated[int, Field(description="counts the changes of this shipment, from 1, without a gap")]
    previous_status: Status | None
    events_added: list[Event]
    tracking_url: str | None
    events_corrected: NotRequired[list[EventCorrected]]
    was_stalled: NotRequired[Stalled]
    rendered_anew: NotRequired[
        Annotated[Literal[True], Field(description="sent again after its body was gone: the shipment as it stands now")]
    ]


class ChangeMessage(TypedDict):
    """A change, as a subscription with the payload `full` gets it."""

    type: str
    timestamp: str
    schema: Version
    test: NotRequired[Marked]
    data: ChangeData


class ThinData(TypedDict):
    """Which shipment changed, and where to read it."""

    shipment_id: str
    revision: int
    url: Annotated[str, Field(description="absolute where the daemon knows its address; else a path of this interface")]


class ThinMessage(TypedDict):
    """A change, as a subscription with the payload `thin` gets it."""

    type: str
    timestamp: str
    schema: Version
    test: NotRequired[Marked]
    data: ThinData


class EndpointDisabled(TypedDict):
    """Which subscription was switched off, why, and since when that lasted."""

    subscription_id: str
    description: str
    why: str
    since: str


class DisabledMessage(TypedDict):
    """That a subscription of the account was switched off, to its others."""

    type: Literal["milepost.endpoint.disabled"]
    timestamp: str
    schema: Version
    test: NotRequired[Marked]
    data: EndpointDisabled


class Tried(TypedDict):
    """Which subscription is tried."""

    subscription_id: str


class TestMessage(TypedDict):
    """That somebody looks whether what is sent arrives."""

    type: Literal["milepost.test"]
    timestamp: str
    schema: Version
    test: Literal[True]
    data: Tried
