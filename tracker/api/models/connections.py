"""Access to carriers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from tracker.api.checking import Body
from tracker.api.models.common import Credentials, Label, Text


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


class ConnectionView(TypedDict):
    """A connection, without its secrets: `credentials` names what it holds.

    `resting_until`: its last question failed, and until then it is not asked where another connection can be.
    `old_address_until`: until then it takes pushes at the address that was replaced, too.
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
    old_address_until: str | None


class ConnectionMade(ConnectionView):
    """A connection with the address that the carrier pushes to; it holds a secret and is shown this once."""

    webhook_url: str


class ConnectionList(TypedDict):
    connections: list[ConnectionView]
