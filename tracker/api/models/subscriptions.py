"""Who is told of changes, and how it is signed."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Len
from pydantic import Field, StringConstraints
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from tracker.api.checking import Body
from tracker.api.models.common import Label, Names, Tag

Signature = Literal["hmac-sha256", "ed25519"]
Payload = Annotated[Literal["full", "thin"], Field(description="`thin`: type, shipment, revision and where to read it")]
Headers = Annotated[
    dict[str, str], Len(0, 20), Field(description="sent beside ours; the values are sealed and never shown again")
]
Concurrency = Annotated[int, Field(ge=1, le=256, description="deliveries at once, from each process")]
Rate = Annotated[float, Field(ge=0.1, le=10_000, description="deliveries a second, from each process")]


class NewSubscription(Body):
    """Where changes go: all of them, or those that pass the filters."""

    url: Annotated[str, StringConstraints(min_length=1, max_length=2_048)]
    types: Names = Field(default_factory=list)
    shops: Names = Field(default_factory=list)
    carriers: Names = Field(default_factory=list)
    statuses: Names = Field(default_factory=list)
    payload: Payload = "full"
    signature: Signature = "hmac-sha256"
    headers: Headers = Field(default_factory=dict)
    concurrency: Concurrency | None = None
    rate: Rate | None = None
    description: Label = ""
    enabled: bool = True
    paused: Annotated[bool, Field(description="what happens meanwhile is kept, and delivered after")] = False


class SubscriptionPatch(Body):
    """What to change; what is left out stays."""

    url: Annotated[str, StringConstraints(min_length=1, max_length=2_048)] = ""
    types: Names = Field(default_factory=list)
    shops: Names = Field(default_factory=list)
    carriers: Names = Field(default_factory=list)
    statuses: Names = Field(default_factory=list)
    payload: Payload = "full"
    headers: Headers = Field(default_factory=dict)
    concurrency: Concurrency | None = None
    rate: Rate | None = None
    description: Label = ""
    enabled: bool = True
    paused: bool = False


class Example(Body):
    """Which type of event to send."""

    type: Tag = "milepost.test"


class Rotation(Body):
    """How the signing secret is replaced."""

    overlap_h: Annotated[
        float, Field(ge=0, le=168, description="hours in which the old secret signs beside the new one")
    ] = 24
    signature: Annotated[Signature | None, Field(description="another scheme")] = None


class SubscriptionView(TypedDict):
    """A subscription, without its signing secret. `headers` names what it adds; `since` and `why` explain `state`.

    `failed_in_a_row`: so many of the latest attempts failed, up to 10; an `active` one is not `failing` yet, and then
    `since` and `why` tell of these. `overlap_until`: until then a replaced secret signs too. `public_keys` (`whpk_…`)
    verify `v1a`, newest first.
    """

    id: str
    url: str
    types: list[str]
    shops: list[str]
    carriers: list[str]
    statuses: list[str]
    payload: Literal["full", "thin"]
    signature: Signature
    public_keys: list[str]
    overlap_until: str | None
    headers: list[str]
    concurrency: int | None
    rate: float | None
    description: str
    enabled: bool
    paused: bool
    disabled_why: str
    state: Literal["active", "failing", "paused", "disabled"]
    since: str | None
    why: str | None
    failed_in_a_row: int
    created_at: str


class SubscriptionStanding(SubscriptionView):
    """A subscription, and of how many shipments changes are waiting for it, or on their way."""

    waiting: int


class SubscriptionMade(SubscriptionView):
    """A subscription with its signing secret (`whsec_…`), shown this once; null where `public_keys` verify."""

    secret: str | None


class SecretMade(TypedDict):
    """A new signing secret, shown this once (null: `public_keys` verify), and until when the old one signs too."""

    secret: str | None
    public_keys: list[str]
    overlap_until: str | None


class SubscriptionList(TypedDict):
    subscriptions: list[SubscriptionView]


class TestResult(TypedDict):
    """What the receiver answered to a test event; `status` is 0 where it did not.

    `id` is its `webhook-id`, `response` the beginning of the answer.
    """

    delivered: bool
    status: int
    detail: str
    id: str
    latency_ms: float
    response: str | None
