"""The carriers that registrations may name."""

from __future__ import annotations

from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from tracker.api.models.common import CredentialView


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
