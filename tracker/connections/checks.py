"""What a connection may hold, each refusal by the name of its field."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Protocol

from yarl import URL

from carriers.sdk import Credential
from tracker.errors import BadInput

_TEXT_MAX = 4_096


class CheckUrl(Protocol):
    """Raises BadInput, naming `field`, for an address that no request of ours may go to."""

    def __call__(self, url: str, field: str) -> None: ...


class Interface(Protocol):
    """Whatever credentials are for: a carrier's interface, an order platform's."""

    @property
    def slug(self) -> str: ...
    @property
    def credentials(self) -> Sequence[Credential]: ...


def check_credentials(interface: Interface, credentials: Mapping[str, str]) -> None:
    """Raise BadInput naming the field: an unknown one, an empty one that is required, one too long."""
    names = {credential.name for credential in interface.credentials}
    for name, value in credentials.items():
        if name not in names:
            known = ", ".join(sorted(names)) or "none"
            raise BadInput(f"credentials.{name[:64]}", f"{interface.slug} has no such credential; it has {known}")
        if len(value) > _TEXT_MAX:
            raise BadInput(f"credentials.{name}", f"has {len(value)} characters, the most is {_TEXT_MAX}")
    for credential in interface.credentials:
        if credential.required and not credentials.get(credential.name, "").strip():
            raise BadInput(f"credentials.{credential.name}", f"required: {credential.about}", code="required")


def check_base(base: str) -> None:
    """Raise BadInput where it is no address; "" is none, and fine."""
    if not base:
        return
    try:
        url = URL(base)
        fit = url.scheme in ("http", "https") and bool(url.host) and url.user is None and not url.query_string
    except ValueError:
        fit = False
    if not fit:
        raise BadInput("base", f"{base[:80]!r} is no address like https://api.carrier.example")


def check_moved(field: str, held: object, before: str, after: str, said: Container[str]) -> None:
    """Raise BadInput where secrets that nobody is shown would go along to another host; "" is the interface's own."""
    if held and field not in said and after and (not before or URL(before).origin() != URL(after).origin()):
        problem = "must be given again with an address at another host: what was given for one is sent to no other"
        raise BadInput(field, problem, code="required")
