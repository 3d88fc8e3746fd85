"""What a daemon answers on its port: probes, pushes, the REST interface, the console."""

from __future__ import annotations

from functools import partial
from typing import Any

from aiohttp import web

from tracker import probes
from tracker.accounts import OPERATOR, Accounts, Scope
from tracker.api import ApiSettings, Services, mount
from tracker.app.parts import Parts
from tracker.catalogue import listed
from tracker.config.settings import Settings
from tracker.console import ConsoleSettings
from tracker.console import mount as mount_console
from tracker.console.addresses import Addresses
from tracker.console.endpoints import Endpoints
from tracker.console.queries import CarrierNames, Queries
from tracker.console.shops import Shops
from tracker.ingress.bodies import PACE, Pace
from tracker.ingress.room import ROOM, Room, with_room
from tracker.model import Shipment
from tracker.replay import Replay
from tracker.views import shipment_view
from webhooks.logbook import told_lately


def served(parts: Parts, settings: Settings) -> web.Application:
    """Everything that this process answers on its port."""
    root = web.Application(middlewares=[probes.with_request_id, with_room], client_max_size=4 * 1024 * 1024)
    root[PACE] = Pace(total_s=settings.http.body_s)
    root[ROOM] = Room(parts.bounds.addresses)
    probes.add_routes(root, parts.readiness, parts.metrics, token=settings.http.metrics_token)
    if "intake" in settings.roles:
        root.add_routes(parts.inbound.routes())
        root.add_routes(parts.fulfilments.routes())
        mount(root, _services(parts))
        _mount_console(root, parts, settings)
    return root


def _services(parts: Parts) -> Services:
    webhook_url, fulfilment_url = _push_urls(parts)
    return Services(
        store=parts.store,
        ingest=parts.ingest,
        accounts=parts.accounts,
        departures=parts.departures,
        audit=parts.audit,
        connections=parts.connections,
        subscriptions=parts.subscriptions,
        redelivery=parts.redelivery(),
        orders=parts.book,
        drift=parts.drift,
        replay=Replay(parts.ingest, parts.store, parts.connections, parts.registry, parts.fulfilments),
        order_stores=parts.order_stores,
        watermarks=parts.watermarks,
        platforms=parts.platforms,
        registry=parts.registry,
        sealer=parts.sealer,
        bounds=parts.bounds,
        settings=ApiSettings(
            tracking_url=parts.buyer_links.url,
            webhook_url=webhook_url,
            fulfilment_url=fulfilment_url,
            first_backfill_s=parts.settings.backfill.first_days * 86_400,
        ),
    )


def _push_urls(parts: Parts) -> tuple[str, str]:
    """Where carriers push for a connection, and platforms for an order store: templates."""
    known = parts.settings.known_url
    return f"{known}/hooks/{{id}}/{{secret}}", f"{known}/order-stores/{{id}}/{{secret}}"


def _mount_console(root: web.Application, parts: Parts, settings: Settings) -> None:
    platforms = {one.slug: one.name for one in parts.platforms}
    queries = Queries(
        store=parts.store,
        ingest=parts.ingest,
        book=parts.book,
        show=partial(_show, parts),
        authenticate=partial(_reader, parts.accounts),
        drift=parts.drift,
        carriers={c.slug: CarrierNames(c.name_zh or c.name, c.name) for c in parts.registry}
        | {one.slug: CarrierNames(one.zh, one.en) for one in listed().values()},
    )
    mount_console(
        root,
        queries,
        Endpoints(parts.store, parts.subscriptions, parts.redelivery()),
        Addresses(
            parts.store,
            parts.connections,
            parts.order_stores,
            parts.watermarks,
            platforms,
            *_push_urls(parts),
        ),
        Shops(parts.store, parts.order_stores, parts.watermarks, platforms, told_lately),
        ConsoleSettings(
            secret=parts.cookie_secret,
            open_account=OPERATOR if settings.http.open_console else "",
            secure=settings.public_url.startswith("https://"),
            clock=parts.store.clock,
            bounds=parts.bounds,
            audit=parts.audit,
            links=parts.buyer_links,
        ),
    )


def _show(parts: Parts, shipment: Shipment) -> dict[str, Any]:
    return shipment_view(shipment, now=parts.now(), tracking_url=parts.buyer_links.url(shipment.document.id))


async def _reader(accounts: Accounts, key: str) -> str | None:
    identity = await accounts.authenticate(key)
    return identity.account if identity and identity.may(Scope.READ) else None
