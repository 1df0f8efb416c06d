"""Roles over HTTP."""

from typing import Any
from uuid import UUID

from flask import Blueprint

from orderhouse.kernel.clock import as_text
from orderhouse.kernel.pages import CursorInvalid
from orderhouse.kernel.principal import permissions_of
from orderhouse.runtime.once import Answer
from orderhouse.runtime.web import links
from orderhouse.runtime.web.answers import done, etag, json_answer, unchanged
from orderhouse.runtime.web.flask_edge import body, match, match_maybe, needs, once, query, read, unless
from orderhouse.users import reads
from orderhouse.users.errors import AboveYou, MovedOn, RoleInUse, RoleNameTaken, RoleNotFound
from orderhouse.users.models import RoleState
from orderhouse.users.schemas import (
    PERSONAL_ROLES,
    ROLES_PATH,
    USERS,
    AddRole,
    ChangeRole,
    CustomRoleChange,
    ListRoles,
    RoleOut,
    RolePage,
    Target,
)
from orderhouse.users.service.roles import RoleService


def blueprint(service: RoleService) -> Blueprint:
    """Return the roles' views."""
    views = Blueprint("roles", __name__, url_prefix=ROLES_PATH)

    @views.post("")
    @needs("users:roles", RoleNameTaken, AboveYou, key=True, body=AddRole, answers=RoleOut, status=201)
    def add_role() -> Answer:
        """Add a custom role: a name for permissions the caller has."""
        return once(service.add, body(AddRole), answer=_created)

    @views.get("")
    @needs("users:read", CursorInvalid, query=ListRoles, answers=RolePage)
    def list_roles() -> Answer:
        """List the built-in roles, and the custom ones by name, a page at a time."""
        wanted = query(ListRoles)
        page = read(reads.roles, wanted)
        return json_answer(
            {
                "built_in": [{"name": name, "permissions": sorted(permissions_of(name))} for name in PERSONAL_ROLES],
                "items": [_shown(role) for role in page.items],
                "next": page.next,
                "links": links.of_page(ROLES_PATH, wanted, page.next),
            }
        )

    @views.get("/<uuid:role_id>")
    @needs("users:read", RoleNotFound, answers=RoleOut, unless=True)
    def get_role(role_id: UUID) -> Answer:
        """Get a custom role."""
        role = read(reads.role, role_id)
        if role is None:
            raise RoleNotFound
        return unchanged(etag(role.version), unless()) or json_answer(_shown(role), etag(role.version))

    @views.patch("/<uuid:role_id>")
    @needs("users:roles", RoleNotFound, MovedOn, AboveYou, key=False, match=True, body=ChangeRole, answers=RoleOut)
    def change_role(role_id: UUID) -> Answer:
        """Change what a custom role allows to all who have it."""
        return once(service.change, CustomRoleChange(role_id, match(), body(ChangeRole)), answer=_changed)

    @views.delete("/<uuid:role_id>")
    @needs("users:roles", RoleNotFound, MovedOn, RoleInUse, AboveYou, key=False, match=False, status=204)
    def remove_role(role_id: UUID) -> Answer:
        """Remove a custom role that nobody has."""
        return once(service.remove, Target(role_id, match_maybe()), answer=done)

    return views


def _created(role: RoleState) -> Answer:
    return json_answer(_shown(role), ("location", f"{ROLES_PATH}/{role.id}"), etag(role.version), status=201)


def _changed(role: RoleState) -> Answer:
    return json_answer(_shown(role), etag(role.version))


def _shown(role: RoleState) -> dict[str, Any]:
    return {
        "id": role.id,
        "name": role.name,
        "description": role.description,
        "permissions": role.permissions,
        "version": role.version,
        "created_at": as_text(role.created_at),
        "updated_at": as_text(role.updated_at),
        "links": {"self": f"{ROLES_PATH}/{role.id}", "users": f"{USERS}?role={role.name}"},
    }
