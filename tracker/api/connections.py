"""Connections: an account's access to carriers. What they hold is sealed, and never shown again."""

from __future__ import annotations

from tracker.accounts import Scope
from tracker.api.models.common import AddressMade, AddressRotation
from tracker.api.models.connections import (
    ConnectionList,
    ConnectionMade,
    ConnectionPatch,
    ConnectionView,
    NewConnection,
)
from tracker.api.problems import not_found
from tracker.api.registering import check_carrier
from tracker.api.route import Call, Routes
from tracker.api.services import Connection
from tracker.path_secrets import overlap_until
from tracker.views import iso

routes = Routes("connections")


@routes("GET", "/connections")
async def list_connections(call: Call) -> ConnectionList:
    """The connections of the account, oldest first, without their secrets."""
    found = await call.services.connections.all(call.account)
    return ConnectionList(connections=[_view(call, one) for one in found])


@routes("POST", "/connections", scope=Scope.ADMIN, status=201)
async def create_connection(call: Call, body: NewConnection) -> ConnectionMade:
    """Make a connection. `webhook_url`, where the carrier is to push, is shown this once."""
    check_carrier(call.services.registry, body.carrier)
    made = await call.services.connections.create(call.account, **body.model_dump(), now=call.now)
    return _made(call, made)


@routes("GET", "/connections/{id}")
async def get_connection(call: Call, id: str) -> ConnectionView:
    """One connection."""
    return _view(call, await _one(call, id))


@routes("PATCH", "/connections/{id}", scope=Scope.ADMIN)
async def amend_connection(call: Call, id: str, body: ConnectionPatch) -> ConnectionView:
    """Change a connection; credentials are replaced as a whole, and given again with a `base` at another host."""
    await _one(call, id)
    return _view(call, await call.services.connections.amend(call.account, id, **body.model_dump(exclude_unset=True)))


@routes("POST", "/connections/{id}/rotate", scope=Scope.ADMIN)
async def rotate_connection_address(call: Call, id: str, body: AddressRotation) -> AddressMade:
    """Make a new `webhook_url`, shown this once; at the one before it pushes are taken too, for `overlap_h` hours.

    Of parcels that the carrier was asked to push before, it goes on pushing to the old one.
    """
    await _one(call, id)
    rotated = await call.services.connections.rotate(call.account, id, overlap_s=body.overlap_h * 3600, now=call.now)
    return AddressMade(webhook_url=_address(call, rotated), overlap_until=_old_until(call, rotated))


@routes("DELETE", "/connections/{id}", scope=Scope.ADMIN, status=204)
async def delete_connection(call: Call, id: str) -> None:
    """Remove a connection: its carrier is asked no more over it, and its pushes are refused."""
    await _one(call, id)
    await call.services.connections.remove(call.account, id)


async def _one(call: Call, id: str) -> Connection:
    found = await call.services.connections.get(call.account, id)
    if found is None:
        raise not_found()
    return found


def _view(call: Call, connection: Connection) -> ConnectionView:
    return ConnectionView(
        id=connection.id,
        carrier=connection.carrier,
        name=connection.name,
        base=connection.base,
        credentials=sorted(connection.credentials),
        auto_register=connection.auto_register,
        enabled=connection.enabled,
        created_at=iso(connection.created_at),
        resting_until=iso(resting)
        if (resting := call.services.connections.resting_until(connection.id)) > call.now
        else None,
        old_address_until=_old_until(call, connection),
    )


def _made(call: Call, connection: Connection) -> ConnectionMade:
    return ConnectionMade(**_view(call, connection), webhook_url=_address(call, connection))


def _address(call: Call, connection: Connection) -> str:
    template = call.services.settings.webhook_url
    return template.replace("{id}", connection.id).replace("{secret}", connection.path_secret)


def _old_until(call: Call, connection: Connection) -> str | None:
    until = overlap_until(connection, now=call.now)
    return iso(until) if until else None
