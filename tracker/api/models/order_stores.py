"""The shops and ERPs that are told of their parcels."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from tracker.api.checking import Body
from tracker.api.models.common import Choices, Credentials, CredentialView, Label, Names


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


class OptionView(TypedDict):
    """A choice that an order store may make; the first is made where it makes none."""

    name: str
    about: str
    choices: list[str]


class PlatformView(TypedDict):
    """A platform: `statuses` has its word for each of our statuses, "" where that is not told; `words` all that it
    takes, none where it takes any; `backfill` whether it can be asked what it did not push."""

    slug: str
    name: str
    docs: str
    address: str
    credentials: list[CredentialView]
    options: list[OptionView]
    statuses: dict[str, str]
    words: list[str]
    backfill: bool


class PlatformList(TypedDict):
    platforms: list[PlatformView]


class BackfillWish(Body):
    """Ask a platform at once; `since` for a time before the one up to which it was asked."""

    since: (
        Annotated[
            str,
            Field(
                description="ISO 8601 with offset: orders that were updated from then on; none: since the last round"
            ),
        ]
        | None
    ) = None


class BackfillView(TypedDict):
    """How far a platform was asked what it did not push.

    The round under way or the next one takes the orders that were updated `since` then, by the platform's clock.
    `found` are the waybills of this round, or the last: of them `registered` were not followed before, `failed` can't
    be followed and are in quarantine. `problem` says why the last attempt failed, "" where it did not.
    """

    since: str
    under_way: bool
    tried_at: str | None
    completed_at: str | None
    found: int
    registered: int
    failed: int
    problem: str


class OrderStoreView(TypedDict):
    """An order store, without its secrets: `credentials` names what it holds.

    `old_address_until`: until then it takes pushes at the address that was replaced, too. `backfill`: null until its
    platform was asked for the first time what it did not push, and where it can't be asked.
    """

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
    old_address_until: str | None
    backfill: BackfillView | None


class OrderStoreMade(OrderStoreView):
    """An order store with the address for its platform's pushes; it holds a secret and is shown this once."""

    webhook_url: str | None


class OrderStoreList(TypedDict):
    order_stores: list[OrderStoreView]


class ProbeResult(TypedDict):
    """Whether an order store was reached, and whom or what was met there."""

    reached: bool
    detail: str
