"""What somebody may do, and why, over HTTP."""

from typing import Any, Literal
from uuid import UUID

from flask import Blueprint

from orderhouse.kernel.principal import PERMISSIONS
from orderhouse.runtime.once import Answer
from orderhouse.runtime.web.answers import json_answer
from orderhouse.runtime.web.flask_edge import needs, query, read
from orderhouse.users import reads
from orderhouse.users.errors import UserNotFound
from orderhouse.users.models import UserState
from orderhouse.users.schemas import PERSONAL_ROLES, AskWhy, PermissionsOut, WhyOut

Rule = Literal["not_joined", "deactivated", "built_in_role", "custom_role"]


def blueprint() -> Blueprint:
    """Return the views."""
    views = Blueprint("access", __name__, url_prefix="/v1")

    @views.get("/users/<uuid:user_id>/permissions")
    @needs("users:read", UserNotFound, answers=PermissionsOut)
    def get_permissions(user_id: UUID) -> Answer:
        """Get all that a user may do now."""
        user, allowed = _found(user_id)
        return json_answer(
            {
                "user_id": user.id,
                "status": user.status,
                "role": user.role,
                "permissions": sorted(allowed) if user.status == "active" else [],
            }
        )

    @views.get("/access/why")
    @needs("users:read", UserNotFound, query=AskWhy, answers=WhyOut)
    def tell_why() -> Answer:
        """Say whether a user may do something, and which rule allows or denies it."""
        wanted = query(AskWhy)
        user, allowed = _found(wanted.user_id)
        return json_answer(_why(user, allowed, wanted.permission))

    return views


def _found(user_id: UUID) -> tuple[UserState, frozenset[str]]:
    found = read(reads.permissions, user_id)
    if found is None:
        raise UserNotFound
    return found


def _why(user: UserState, allowed: frozenset[str], permission: str) -> dict[str, Any]:
    rule, because = _decided(user, permission, holds=permission in allowed)
    return {
        "user_id": user.id,
        "permission": permission,
        "allowed": user.status == "active" and permission in allowed,
        "rule": rule,
        "because": because,
        "role": user.role,
        "held_by": sorted(PERMISSIONS[permission]),
    }


def _decided(user: UserState, permission: str, *, holds: bool) -> tuple[Rule, str]:
    if user.status == "invited":
        return "not_joined", "The user has not accepted the invitation yet."
    if user.status == "deactivated":
        return "deactivated", "The user was deactivated."
    verb = "holds" if holds else "does not hold"
    if user.role in PERSONAL_ROLES:
        return "built_in_role", f"The built-in role {user.role} {verb} {permission}."
    return "custom_role", f"The custom role {user.role} {verb} {permission}."
