"""Accounts and their keys."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Len
from pydantic import Field, StringConstraints
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from tracker.accounts import Scope
from tracker.api.checking import Body
from tracker.api.models.common import Label


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
