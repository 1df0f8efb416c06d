"""Who may give or take away what: nobody raises anybody, themselves included, above what they may do themselves."""

from collections.abc import Collection
from typing import TypeVar

from orderhouse.kernel.principal import PERMISSIONS, Principal
from orderhouse.users.errors import AboveYou, MovedOn
from orderhouse.users.models import CustomRole, Team, User, may_with
from orderhouse.users.repository import UserRepository
from orderhouse.users.schemas import PERSONAL_ROLES

M = TypeVar("M", User, Team, CustomRole)

GRANTABLE = frozenset(permission for permission, roles in PERMISSIONS.items() if roles & set(PERSONAL_ROLES))
"""What somebody can be allowed; the rest is for services."""


def check_within(caller: Principal, permissions: Collection[str]) -> None:
    """Raise AboveYou unless `caller` may do all of this, or is an owner and it can be allowed to somebody at all."""
    own = GRANTABLE if caller.role == "owner" else {one for one in PERMISSIONS if caller.may(one)}
    if missing := set(permissions) - own:
        raise AboveYou(missing=sorted(missing))


def check_role(caller: Principal, role: str, users: UserRepository) -> None:
    """Raise RoleUnknown or AboveYou unless `caller` may give somebody this role, or take it away."""
    check_within(caller, may_with(role, users.custom_permissions(role)))


def check_seen(found: M, version: int | None) -> M:
    """Return `found` if it is at the version the caller last saw, or the caller did not say."""
    if version not in (None, found.version):
        raise MovedOn(current=found.version)
    return found
