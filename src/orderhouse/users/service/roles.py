"""What may be done with custom roles."""

from orderhouse.kernel.principal import ROLES
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.once import Asked
from orderhouse.runtime.one_by_one import one_by_one
from orderhouse.users.contract import RoleAdded, RoleChanged, RoleRemoved
from orderhouse.users.errors import RoleInUse, RoleNameTaken, RoleNotFound
from orderhouse.users.models import CustomRole, RoleState
from orderhouse.users.repository import UserRepository
from orderhouse.users.schemas import AddRole, CustomRoleChange, Target
from orderhouse.users.service.authority import check_seen, check_within


class RoleService:
    """Decides what becomes of custom roles: nobody makes one that allows more than they may do themselves."""

    @one_by_one
    def add(self, tx: Transaction, asked: Asked[AddRole]) -> RoleState:
        """Add a custom role."""
        if asked.wanted.name in ROLES:
            raise RoleNameTaken("It is a built-in role.")
        check_within(asked.caller, asked.wanted.permissions)
        role = CustomRole.of(asked.wanted, at=asked.at)
        UserRepository(tx).add(role)
        tx.tell([RoleAdded(role.id, role.version, sorted(role.permissions)).told(asked.at, asked.origin)])
        return role.state

    @one_by_one
    def change(self, tx: Transaction, asked: Asked[CustomRoleChange]) -> RoleState:
        """Change what a custom role allows to all who have it."""
        role = check_seen(_found(UserRepository(tx).held(CustomRole, asked.wanted.id)), asked.wanted.version)
        before = role.permissions
        check_within(asked.caller, before | set(asked.wanted.wanted.permissions))
        if role.change(asked.wanted.wanted, at=asked.at):
            changed = RoleChanged(role.id, role.version, sorted(role.permissions), sorted(before))
            tx.tell([changed.told(asked.at, asked.origin)])
        return role.state

    @one_by_one
    def remove(self, tx: Transaction, asked: Asked[Target]) -> None:
        """Remove a custom role that nobody has."""
        users = UserRepository(tx)
        role = check_seen(_found(users.held(CustomRole, asked.wanted.id)), asked.wanted.version)
        check_within(asked.caller, role.permissions)
        if users.has_anybody(role.name):
            raise RoleInUse
        users.remove(role)
        tx.tell([RoleRemoved(role.id, role.version + 1).told(asked.at, asked.origin)])


def _found(role: CustomRole | None) -> CustomRole:
    if role is None:
        raise RoleNotFound
    return role
