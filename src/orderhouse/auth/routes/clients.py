"""Clients over HTTP."""

from typing import Any
from uuid import UUID

from flask import Blueprint

from orderhouse.auth import reads
from orderhouse.auth.errors import ClientNotFound, ClientWrong, ScopeTooWide
from orderhouse.auth.schemas.clients import CLIENTS, AddClient, ClientList, ClientMade
from orderhouse.auth.service.clients import ClientService
from orderhouse.kernel.clock import as_text
from orderhouse.runtime.once import Answer
from orderhouse.runtime.web.answers import DONE, json_answer
from orderhouse.runtime.web.flask_edge import asked, body, needs, read


def blueprint(service: ClientService) -> Blueprint:
    """Return the views."""
    views = Blueprint("clients", __name__)

    @views.post(CLIENTS)
    @needs("clients:write", ClientWrong, ScopeTooWide, body=AddClient, answers=ClientMade, status=201)
    def add_client() -> Answer:
        """Add a program that is to act for people, or for itself. Its secret is shown this once."""
        made = service.add(asked(body(AddClient)))
        return json_answer({**_shown(made.shown), "secret": made.secret}, status=201)

    @views.get(CLIENTS)
    @needs("clients:write", answers=ClientList)
    def list_clients() -> Answer:
        """List the clients there are, the latest first."""
        return json_answer({"items": [_shown(one) for one in read(reads.clients)]})

    @views.delete(f"{CLIENTS}/<uuid:client_id>")
    @needs("clients:write", ClientNotFound, status=204)
    def revoke_client(client_id: UUID) -> Answer:
        """Take a client away; everything it was given is good for nothing within a second."""
        service.revoke(asked(client_id))
        return DONE

    return views


def _shown(client: reads.ClientRow) -> dict[str, Any]:
    return {
        "id": client.id,
        "name": client.name,
        "grants": sorted(client.grants),
        "redirect_uris": list(client.redirect_uris),
        "scope": sorted(client.scope),
        "confidential": client.secret_digest is not None,
        "created_at": as_text(client.created_at),
    }
