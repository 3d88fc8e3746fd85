"""Carriers: what registrations and connections may name, and what the catalogue knows of each."""

from __future__ import annotations

from carriers.sdk import Carrier
from tracker.api.models.carriers import CarrierList, CarrierView
from tracker.api.models.common import CredentialView
from tracker.api.problems import not_found
from tracker.api.route import Call, Routes
from tracker.catalogue import listed

routes = Routes("carriers")


@routes("GET", "/carriers")
async def list_carriers(call: Call) -> CarrierList:
    """The carriers that are known: those of the catalogue, those with an adapter, those that an aggregator tells of."""
    registry = call.services.registry
    return CarrierList(carriers=[_view(slug, registry.get(slug)) for slug in sorted(registry.known())])


@routes("GET", "/carriers/{slug}")
async def get_carrier(call: Call, slug: str) -> CarrierView:
    """One carrier, and what a connection to it must hold."""
    registry = call.services.registry
    if slug not in registry.known():
        raise not_found()
    return _view(slug, registry.get(slug))


def _view(slug: str, carrier: Carrier | None) -> CarrierView:
    one = listed().get(slug)
    return CarrierView(
        slug=slug,
        name=one.en if one else carrier.name if carrier else slug,
        name_zh=one.zh if one else carrier.name_zh if carrier else "",
        country=one.country if one else None,
        zone=one.zone if one else None,
        site=(one.site or None) if one else None,
        adapter=carrier is not None,
        aggregator=carrier is not None and carrier.aggregator,
        docs=carrier.docs if carrier else None,
        query=carrier is not None and carrier.fetch is not None,
        push=carrier is not None,
        batch=carrier.batch if carrier else 0,
        credentials=_credentials(carrier) if carrier else [],
    )


def _credentials(carrier: Carrier) -> list[CredentialView]:
    return [
        CredentialView(name=one.name, about=one.about, secret=one.secret, required=one.required)
        for one in carrier.credentials
    ]
