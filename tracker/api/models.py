"""The bodies that the API takes and the answers that it gives, as types: the OpenAPI page is made of them."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal, NotRequired

from annotated_types import Len
from pydantic import Field, StringConstraints, field_validator
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from tracker.accounts import Scope
from tracker.api.route import Body, Query
from tracker.drift import DriftKind
from tracker.model import Certainty, Milestone, Reason, Status
from tracker.orders import OrderStatus

LIMIT_MAX = 200
BATCH_MAX = 1_000

Label = Annotated[str, StringConstraints(max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$")]
Text = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]
Tags = Annotated[list[Tag], Len(0, 20)]
Names = Annotated[list[Tag], Len(0, 200)]
Credentials = Annotated[dict[str, Annotated[str, StringConstraints(max_length=8_192)]], Len(0, 32)]
Choices = Annotated[dict[str, Annotated[str, StringConstraints(max_length=128)]], Len(0, 64)]
Cursor = Annotated[
    str,
    StringConstraints(min_length=1, max_length=49_152),  # one of the feed, of 4,096 shards, has 40,000 characters
    Field(json_schema_extra={"pattern": "^[A-Za-z0-9._=-]+$"}),
]
Limit = Annotated[int, Field(ge=1, le=LIMIT_MAX)]


class Words(TypedDict):
    """A word of the vocabulary in both languages."""

    zh: str
    en: str


# ---------------------------------------------------------------- requests


class NewShipment(Body):
    """A waybill to follow."""

    waybill: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    carrier: Annotated[str, Field(max_length=64, description="a slug; left out, the number must tell clearly")] = ""
    order_number: Label = ""
    shop: Label = ""
    warehouse: Label = ""
    tags: Tags = Field(default_factory=list)
    phone_tail: Annotated[str, StringConstraints(pattern=r"^([0-9]{4})?$")] = ""
    postal_code: Annotated[str, StringConstraints(max_length=16, pattern=r"^[A-Za-z0-9 -]*$")] = ""
    ship_date: Annotated[str, StringConstraints(pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?$")] = ""
    connection: Annotated[str, StringConstraints(max_length=64)] = ""
    paused: bool = False

    @field_validator("ship_date")
    @classmethod
    def _is_a_day(cls, value: str) -> str:
        if value:
            date.fromisoformat(value)
        return value


class NewShipments(Body):
    """Up to 1,000 waybills; each item is checked and answered by itself."""

    shipments: Annotated[list[Any], Len(1, BATCH_MAX)] = Field(
        json_schema_extra={"items": {"$ref": "#/components/schemas/NewShipment"}}
    )


class ShipmentPatch(Body):
    """What to change; what is left out stays."""

    order_number: Label | None = None
    shop: Label | None = None
    warehouse: Label | None = None
    tags: Tags | None = None
    paused: bool = False
    carrier: Annotated[str, StringConstraints(min_length=1, max_length=64)] = ""


class DetectQuery(Query):
    """Whose numbers are asked for."""

    number: Annotated[list[Annotated[str, StringConstraints(min_length=1, max_length=100)]], Len(1, 100)]


class Page(Query):
    """A page of a list."""

    cursor: Cursor | None = None
    limit: Limit = 50


class StalledQuery(Page):
    """Which stalled shipments."""

    carrier: Label | None = None
    shop: Label | None = None
    warehouse: Label | None = None
    tag: Label | None = None


class ShipmentQuery(StalledQuery):
    """Which shipments."""

    status: Status | None = None
    stalled: bool | None = None
    order_number: Annotated[Label, Field(min_length=1)] | None = None
    waybill: Annotated[Label, Field(min_length=1)] | None = None


class ChangesQuery(Query):
    """Where to go on reading the feed."""

    after: Annotated[Cursor, Field(description="a cursor, `now`, or nothing: from the oldest kept change")] | None = (
        None
    )
    limit: Annotated[int, Field(ge=1, le=500)] = 100
    wait: Annotated[float, Field(ge=0, le=60, description="seconds to wait for a change")] = 0
    shipments: Annotated[bool, Field(description="add the shipments as they stand now")] = False


class OrdersQuery(Page):
    """Which orders."""

    status: OrderStatus | None = None
    paid: bool | None = None
    placed_from: Annotated[str, Field(description="ISO 8601 with offset")] | None = None
    placed_to: Annotated[str, Field(description="ISO 8601 with offset, excluded")] | None = None
    number: Annotated[Label, Field(description="the beginning of the order number")] = ""
    needs_attention: bool | None = None


Money = Annotated[str | float, Field(description="a decimal string, `129.90`, or a number")]


class WaybillBody(Body):
    """A waybill that an order names."""

    waybill: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    carrier: Annotated[str, StringConstraints(max_length=64)] = ""


class LineBody(Body):
    """One line of an order; `price` is that of one piece."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=512)]
    spec: Annotated[str, StringConstraints(max_length=256)] = ""
    quantity: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    price: Money | None = None


class OrderBody(Body):
    """An order as its shop states it. Times are ISO 8601 with an offset; a waybill may stand with its carrier."""

    placed_at: str | None = None
    paid_at: str | None = None
    cancelled_at: str | None = None
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] = "CNY"
    total: Money | None = None
    shop: Label = ""
    warehouse: Label = ""
    lines: Annotated[list[LineBody], Len(0, 500)] = Field(default_factory=list)
    waybills: Annotated[list[str | WaybillBody], Len(0, 100)] = Field(default_factory=list)


class NewAccount(Body):
    """An account to make."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]


class NewKey(Body):
    """A key to make."""

    scopes: Annotated[list[Literal["read", "write", "admin"]], Len(1, 3)]
    name: Label = ""
    expires_at: Annotated[str | None, Field(description="ISO 8601 with offset; null: never")] = None


class RotateKey(Body):
    """For how long the key goes on beside its successor."""

    overlap_s: Annotated[int, Field(ge=0, le=30 * 86_400)] = 86_400


class NewConnection(Body):
    """Access to a carrier's interface; what `credentials` must hold is told by GET /v1/carriers/{slug}."""

    carrier: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    name: Label = ""
    base: Annotated[Text, Field(description="another address than the adapter's own: a sandbox")] = ""
    credentials: Credentials = Field(default_factory=dict)
    auto_register: Annotated[bool, Field(description="follow waybills that its pushes name and nobody registered")] = (
        False
    )
    enabled: bool = True


class ConnectionPatch(Body):
    """What to change; credentials are replaced as a whole."""

    name: Label = ""
    base: Text = ""
    credentials: Credentials = Field(default_factory=dict)
    auto_register: bool = False
    enabled: bool = True


class RouteOrder(Body):
    """Over which connections a carrier's parcels are asked for, the first one first."""

    connections: Annotated[list[Annotated[str, StringConstraints(max_length=64)]], Field(min_length=1, max_length=20)]


Signature = Literal["hmac-sha256", "ed25519"]
Payload = Annotated[Literal["full", "thin"], Field(description="`thin`: type, shipment, revision and where to read it")]
Headers = Annotated[
    dict[str, str], Len(0, 20), Field(description="sent beside ours; the values are sealed and never shown again")
]
Concurrency = Annotated[int, Field(ge=1, le=256, description="deliveries at once, from each process")]
Rate = Annotated[float, Field(ge=0.1, le=10_000, strict=False, description="deliveries a second, from each process")]


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
        float, Field(ge=0, le=168, strict=False, description="hours in which the old secret signs beside the new one")
    ] = 24
    signature: Annotated[Signature | None, Field(description="another scheme")] = None


class Repeat(Body):
    """From where to send an account's changes again: a time, or a cursor of GET /v1/changes."""

    since: Annotated[str, Field(description="ISO 8601 with offset")] | None = None
    after: Annotated[Cursor, Field(description="a cursor; that of the answer before, to go on")] | None = None
    limit: Annotated[int, Field(ge=1, le=BATCH_MAX)] = 500


class NewOrderStore(Body):
    """A shop or ERP to be told; what `credentials` must hold is told by GET /v1/order-platforms."""

    platform: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    base: Annotated[str, StringConstraints(min_length=1, max_length=2_048), Field(description="its address")]
    name: Label = ""
    credentials: Credentials = Field(default_factory=dict)
    options: Choices = Field(default_factory=dict)
    statuses: Annotated[
        Choices, Field(description="our status → the platform's word, over its own; empty: not told")
    ] = Field(default_factory=dict)
    shops: Annotated[Names, Field(description="told of parcels with these labels only; none: of all")] = Field(
        default_factory=list
    )
    shop: Annotated[Label, Field(description="the label of the parcels that its pushes register")] = ""
    enabled: bool = True


class OrderStorePatch(Body):
    """What to change; credentials, options and statuses are replaced as a whole."""

    base: Annotated[str, StringConstraints(min_length=1, max_length=2_048)] = ""
    name: Label = ""
    credentials: Credentials = Field(default_factory=dict)
    options: Choices = Field(default_factory=dict)
    statuses: Choices = Field(default_factory=dict)
    shops: Names = Field(default_factory=list)
    shop: Label = ""
    enabled: bool = True


class DeliveryQuery(Query):
    """How many attempts to show."""

    limit: Limit = 50


class Replay(Body):
    """Which dead letters to send again."""

    ids: Annotated[list[Annotated[str, StringConstraints(min_length=1, max_length=128)]], Len(1, BATCH_MAX)]


# ---------------------------------------------------------------- answers


class Stalled(TypedDict):
    """No progress `since`, for longer than `limit_s` allows at that milestone."""

    since: str
    for_s: int
    flagged_at: str
    milestone: Milestone | None
    limit_s: int


Expected = TypedDict("Expected", {"from": str | None, "to": str | None})


class Event(TypedDict):
    """One event of a timeline."""

    occurred_at: str
    certainty: Certainty
    milestone: Milestone
    label: Words
    reason: Reason | None
    reason_label: Words | None
    code: str | None
    description: str | None
    location: str | None
    sources: list[str]
    heard_at: str
    leg: int
    stray: bool
    retracted: bool
    summary: bool


class ShipmentView(TypedDict):
    """A shipment; with its events where one is asked for."""

    id: str
    waybill: str
    carrier: str
    status: Status
    status_label: Words
    status_at: str | None
    leg: int
    revision: int
    registered_at: str
    updated_at: str
    order_number: str | None
    shop: str | None
    warehouse: str | None
    tags: list[str]
    paused: bool
    stalled: Stalled | None
    delayed: bool
    expected: Expected | None
    signed_by: str | None
    delivered_at: str | None
    aliases: list[str]
    tracking_url: str | None
    last_event: Event | None
    events: NotRequired[list[Event]]


class FieldProblem(TypedDict):
    """One wrong field."""

    field: str
    problem: str
    code: str


class ItemResult(TypedDict):
    """What became of one item of a batch: `created`, `existing` or `failed`."""

    index: int
    result: Literal["created", "existing", "failed"]
    shipment: ShipmentView | None
    errors: list[FieldProblem]


class BatchResult(TypedDict):
    """What became of a batch, item by item."""

    created: int
    existing: int
    failed: int
    results: list[ItemResult]


class ShipmentList(TypedDict):
    """A page of shipments. It may hold fewer than `limit`, even none: only a null `cursor` is the end."""

    shipments: list[ShipmentView]
    cursor: str | None


class Timeline(TypedDict):
    """The events of a shipment in the order in which they happened."""

    id: str
    waybill: str
    carrier: str
    status: Status
    status_label: Words
    revision: int
    events: list[Event]


class Change(TypedDict):
    """One change, in the feed."""

    type: str
    shipment_id: str
    revision: int
    at: str


class Changes(TypedDict):
    """What happened after the cursor; go on with `cursor`.

    `tally`: how many changes the account has ever had up to the cursor; `tally_before`: up to where the page begins.
    The one less the other is how many changes the page must hold, and a page begins where the last one ended.
    """

    changes: list[Change]
    cursor: str
    more: bool
    tally: int
    tally_before: int
    shipments: NotRequired[list[ShipmentView]]


class Counts(TypedDict):
    """How many shipments stand where."""

    counts: dict[str, int]


class KeyView(TypedDict):
    """An API key, without the key. `last_used_at` is exact to the hour."""

    id: str
    name: str
    scopes: list[Scope]
    created_at: str
    expires_at: str | None
    expired: bool
    last_used_at: str | None


class KeyMade(KeyView):
    """A new API key: the only time that `key` is shown."""

    key: str


class KeyList(TypedDict):
    keys: list[KeyView]


class AuditEntry(TypedDict):
    """One act: a route by its operation's name and its target; `actor` is `api`, `console` or `daemon`."""

    id: str
    at: str
    actor: str
    key: str | None
    address: str | None
    action: str
    target: str | None
    outcome: str
    status: int | None


class AuditList(TypedDict):
    entries: list[AuditEntry]
    cursor: str | None


class Whoami(TypedDict):
    """Whose key this is and what it may do."""

    account: str
    key: str
    scopes: list[Scope]
    operator: bool


class AccountView(TypedDict):
    name: str
    created_at: str


class AccountMade(AccountView):
    """A new account and its first admin key, shown this once."""

    key: KeyMade


class AccountList(TypedDict):
    accounts: list[AccountView]


class CredentialView(TypedDict):
    """One thing that a connection must or may hold."""

    name: str
    about: str
    secret: bool
    required: bool


class CarrierView(TypedDict):
    """A carrier that registrations may name. Without an adapter it is heard of through an aggregator.

    `country` (ISO 3166) and `zone` (IANA) are where it is at home; null where the catalogue does not list it.
    """

    slug: str
    name: str
    name_zh: str
    country: str | None
    zone: str | None
    site: str | None
    adapter: bool
    aggregator: bool
    docs: str | None
    query: bool
    push: bool
    batch: int
    credentials: list[CredentialView]


class CarrierList(TypedDict):
    carriers: list[CarrierView]


class CandidateView(TypedDict):
    """A carrier whose number it may be; `confidence` from 0 to 1."""

    carrier: str
    confidence: float


class Detection(TypedDict):
    """Whose a number may be, the likeliest first."""

    number: str
    candidates: list[CandidateView]


class DetectionList(TypedDict):
    """In the order in which the numbers were asked for."""

    detections: list[Detection]


class ConnectionView(TypedDict):
    """A connection, without its secrets: `credentials` names what it holds.

    `resting_until`: its last question failed, and until then it is not asked where another connection can be.
    """

    id: str
    carrier: str
    name: str
    base: str
    credentials: list[str]
    auto_register: bool
    enabled: bool
    created_at: str
    resting_until: str | None


class ConnectionMade(ConnectionView):
    """A connection with the address that the carrier pushes to; it holds a secret and is shown this once."""

    webhook_url: str


class ConnectionList(TypedDict):
    connections: list[ConnectionView]


class RouteView(TypedDict):
    """The order that the account has set for a carrier."""

    carrier: str
    connections: list[str]


class RouteList(TypedDict):
    routes: list[RouteView]


class OptionView(TypedDict):
    """A choice that an order store may make; the first is made where it makes none."""

    name: str
    about: str
    choices: list[str]


class PlatformView(TypedDict):
    """A platform: `statuses` has its word for each of our statuses, "" where that is not told; `words` all that it
    takes, none where it takes any."""

    slug: str
    name: str
    docs: str
    address: str
    credentials: list[CredentialView]
    options: list[OptionView]
    statuses: dict[str, str]
    words: list[str]


class PlatformList(TypedDict):
    platforms: list[PlatformView]


class OrderStoreView(TypedDict):
    """An order store, without its secrets: `credentials` names what it holds."""

    id: str
    platform: str
    name: str
    base: str
    credentials: list[str]
    options: dict[str, str]
    statuses: dict[str, str]
    shops: list[str]
    shop: str
    enabled: bool
    created_at: str


class OrderStoreMade(OrderStoreView):
    """An order store with the address for its platform's pushes; it holds a secret and is shown this once."""

    webhook_url: str | None


class OrderStoreList(TypedDict):
    order_stores: list[OrderStoreView]


class ProbeResult(TypedDict):
    """Whether an order store was reached, and whom or what was met there."""

    reached: bool
    detail: str


class SubscriptionView(TypedDict):
    """A subscription, without its signing secret. `headers` names what it adds; `since` and `why` explain `state`.

    `overlap_until`: until then a replaced secret signs too. `public_keys` (`whpk_…`) verify `v1a`, newest first.
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
    created_at: str


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
    """What the receiver answered to a test event; `status` is 0 where it did not."""

    delivered: bool
    status: int
    detail: str


class DeadLetterView(TypedDict):
    """A change that could not be delivered; `body` is what would have been sent. `shipment_id` is null for a notice."""

    id: str
    destination: str
    shipment_id: str | None
    revision: int
    type: str
    attempts: int
    died_at: str
    detail: str
    body: Any


class DeadLetterList(TypedDict):
    dead_letters: list[DeadLetterView]
    cursor: str | None


class Replayed(TypedDict):
    """How many of the named dead letters went back into their lanes."""

    replayed: int


class Recovered(TypedDict):
    """How many dead letters went back into their lanes; `more`: ask again."""

    replayed: int
    more: bool


class Repeated(TypedDict):
    """What became of the changes: sent with the `kept` body or a `rendered` one, `waiting` anyway, or `lost`.

    Where there is `more`, go on with `after=cursor`.
    """

    kept: int
    rendered: int
    waiting: int
    lost: int
    cursor: str
    more: bool


class Resent(TypedDict):
    """What became of one message: `kept`, `rendered`, `waiting` or `lost`, as of a repetition."""

    result: Literal["kept", "rendered", "waiting", "lost"]


class DeliveryView(TypedDict):
    """One attempt to deliver a change. `id` is its `webhook-id`; `status` is null where no answer came.

    `response` is the beginning of the answer; `shipment_id` is null for a notice.
    """

    at: str
    id: str
    type: str
    shipment_id: str | None
    revision: int
    attempt: int
    outcome: str
    status: int | None
    latency_ms: float
    error: str | None
    response: str | None


class DeliveryList(TypedDict):
    """The latest attempts of a subscription, newest first."""

    deliveries: list[DeliveryView]


class QuarantineEntry(TypedDict, total=False):
    """A body that could not be read: `text` where it is UTF-8, `body` in base64 where it is not. `heard_at` in ms."""

    carrier: str
    source: str
    heard_at: int
    reason: str
    headers: dict[str, str]
    status: int
    text: str
    body: str


class QuarantineView(TypedDict):
    """A body in quarantine."""

    id: str
    entry: QuarantineEntry


class QuarantineList(TypedDict):
    quarantine: list[QuarantineView]
    cursor: str | None


class DriftView(TypedDict):
    """Something that a carrier said and nothing covers. `key` is the code, or a fingerprint; null: the rest, beyond the
    limit. `text` is an example, phone numbers masked, or the new paths of a shape."""

    carrier: str
    kind: DriftKind
    key: str | None
    count: int
    first_at: str
    last_at: str
    text: str | None
    shipment_id: str | None
    account: str | None


class DriftList(TypedDict):
    drift: list[DriftView]
    total: int


class Meaning(TypedDict):
    """What a scan is taken to mean."""

    milestone: Milestone
    reason: Reason | None


CorrectedStatus = TypedDict("CorrectedStatus", {"was": Status, "is": Status})
CorrectedEvent = TypedDict(
    "CorrectedEvent",
    {"occurred_at": str, "code": str | None, "description": str | None, "was": Meaning, "is": Meaning},
)


class CorrectionView(TypedDict):
    """A shipment that reads otherwise today: what it was and what it is."""

    shipment_id: str
    waybill: str
    carrier: str
    status: CorrectedStatus
    events: list[CorrectedEvent]


class RereadQuarantine(TypedDict):
    """The bodies of the quarantine that can be read now, by id, and how many still can't."""

    read: list[str]
    unreadable: int


class ReplayPage(TypedDict):
    """What one page of a replay changed, or with `dry_run` would change. A null `cursor` is the end."""

    account: str
    dry_run: bool
    looked_at: int
    corrections: list[CorrectionView]
    quarantine: RereadQuarantine
    cursor: str | None


class Attention(TypedDict):
    """Why a person must look at an order."""

    reason: str
    label: Words


class OrderLine(TypedDict):
    name: str
    spec: str
    quantity: int
    price: str | None


class ParcelEvent(TypedDict):
    occurred_at: str
    milestone: Milestone
    label: Words
    description: str
    location: str


class Parcel(TypedDict):
    """A parcel of an order; its timeline where one order is asked for."""

    shipment_id: str
    waybill: str
    carrier: str
    status: Status
    status_label: Words
    status_at: str | None
    revision: int
    picked_up: bool
    stalled: bool
    delivered_at: str | None
    expected: str | None
    last_event: ParcelEvent | None
    events: NotRequired[list[Event]]


class OrderView(TypedDict):
    """An order with its lines and parcels. Money is a decimal string of `currency`."""

    number: str
    status: OrderStatus
    status_label: Words
    needs_attention: Attention | None
    placed_at: str | None
    paid_at: str | None
    cancelled_at: str | None
    created_at: str
    updated_at: str
    currency: str
    total: str | None
    shop: str
    warehouse: str
    lines: list[OrderLine]
    parcels: list[Parcel]


class OrderPut(TypedDict):
    """The order as it now is, and what became of the waybills that it names."""

    order: OrderView
    shipments: list[ItemResult]


class OrderList(TypedDict):
    orders: list[OrderView]
    cursor: str | None
