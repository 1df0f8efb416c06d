"""Who asks, and what each role may do: the one table of permissions."""

from dataclasses import dataclass
from typing import Literal, get_args
from uuid import UUID

Role = Literal["owner", "manager", "clerk", "analyst", "customer", "service"]
ROLES: tuple[Role, ...] = get_args(Role)

PERMISSIONS: dict[str, frozenset[Role]] = {
    "customers:read": frozenset({"owner", "manager", "clerk", "analyst", "customer", "service"}),
    "customers:write": frozenset({"owner", "manager", "clerk", "service"}),
    "orders:read": frozenset({"owner", "manager", "clerk", "analyst", "customer", "service"}),
    "orders:place": frozenset({"owner", "manager", "clerk", "customer", "service"}),
    "orders:change": frozenset({"owner", "manager", "clerk", "service"}),
    "orders:assign": frozenset({"owner", "manager"}),
    "orders:import": frozenset({"owner", "manager"}),
    "jobs:read": frozenset({"owner", "manager", "clerk", "analyst", "service"}),
    "jobs:start": frozenset({"owner", "manager", "clerk", "analyst", "service"}),
    "jobs:manage": frozenset({"owner", "manager"}),
    "analytics:read": frozenset({"owner", "manager", "analyst"}),
    "tasks:read": frozenset({"owner", "manager", "clerk", "analyst", "service"}),
    "tasks:write": frozenset({"owner", "manager", "clerk", "service"}),
    "tasks:rules": frozenset({"owner", "manager"}),
    "tasks:remove": frozenset({"owner", "manager"}),
    "users:read": frozenset({"owner", "manager", "clerk", "analyst", "service"}),
    "users:write": frozenset({"owner", "manager"}),
    "users:teams": frozenset({"owner", "manager"}),
    "users:roles": frozenset({"owner"}),
    "users:identify": frozenset({"service"}),
    "facts:read": frozenset({"owner", "manager", "service"}),
    "facts:mend": frozenset({"owner"}),
    "auth:follow": frozenset({"service"}),
    "account:use": frozenset({"owner", "manager", "clerk", "analyst", "customer"}),
    "audit:read": frozenset({"owner", "manager"}),
    "audit:append": frozenset({"service"}),
    "clients:write": frozenset({"owner"}),
}
"""Each permission and the roles that hold it. What a role sees of its own only is decided where the thing lives."""


def permissions_of(role: str) -> frozenset[str]:
    """Return every permission a built-in role holds; none for any other name."""
    return frozenset(permission for permission, roles in PERMISSIONS.items() if role in roles)


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller whose token was verified; `customer_id` is set for role customer alone."""

    subject: str
    role: str
    """A built-in role, or a custom one's name."""
    customer_id: UUID | None = None
    permissions: frozenset[str] | None = None
    """What may be done, where it is not what the built-in role holds."""
    scope: frozenset[str] | None = None
    """What the token was given for; None for all its bearer may do."""
    session: UUID | None = None
    """The session the token is of; None for an operator's."""

    def may(self, permission: str) -> bool:
        """Whether role and scope of this caller hold `permission`; KeyError for a permission nobody defined."""
        roles = PERMISSIONS[permission]
        holds = self.role in roles if self.permissions is None else permission in self.permissions
        return holds and (self.scope is None or permission in self.scope)
