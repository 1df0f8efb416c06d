"""Every query that writing users, teams and roles needs, and nothing else; through the ORM."""

from collections.abc import Mapping
from typing import TypeVar
from uuid import UUID

from sqlalchemy import or_, select, text

from orderhouse.kernel.errors import Refusal
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.users.errors import AddressTaken, RoleNameTaken, TeamNameTaken
from orderhouse.users.models import CustomRole, Invitation, Team, TeamMember, User

M = TypeVar("M", Team, CustomRole, Invitation)

REFUSALS: Mapping[str, type[Refusal]] = {
    "users_email": AddressTaken,
    # Two sign-ups with one id: the second sees the first when it is sent again.
    "users_pkey": AddressTaken,
    "teams_name": TeamNameTaken,
    "custom_roles_name": RoleNameTaken,
}
"""What it means that a constraint of the database was broken."""


class UserRepository:
    """Users and what belongs to them, in one transaction. What is changed about what it returns is kept with it."""

    def __init__(self, tx: Transaction) -> None:
        """Work in `tx`."""
        self._session = tx.session
        self._dialect = tx.dialect

    def add(self, *made: User | Invitation | Team | TeamMember | CustomRole) -> None:
        """Keep what is new."""
        self._session.add_all(made)

    def remove(self, gone: User | Team | TeamMember | CustomRole) -> None:
        """Keep it no longer, nor what belongs to it."""
        self._session.delete(gone)

    def user(self, user_id: UUID) -> User | None:
        """Return a user whom nobody else changes before this transaction ends."""
        return self._session.scalars(select(User).where(User.id == user_id).with_for_update()).one_or_none()

    def user_among_owners(self, user_id: UUID) -> tuple[User | None, int]:
        """Return a user and how many other active owners there are; nobody else changes any of them meanwhile."""
        owns = (User.role == "owner") & (User.status == "active")
        # All of them at once and in order, so that two who go for each other never wait for each other.
        wanted = select(User).where(or_(User.id == user_id, owns)).order_by(User.id).with_for_update()
        found = {user.id: user for user in self._session.scalars(wanted)}
        return found.get(user_id), sum(1 for user in found.values() if user.id != user_id and user.is_owner)

    def anybody(self) -> bool:
        """Whether there is any user. Where there is none, nobody else adds one before this transaction ends."""
        if self._any():
            return True
        if self._dialect == "postgresql":
            # On SQLite there is one writer; here two who start at once would each find nobody.
            self._session.execute(text(f"LOCK TABLE {User.__tablename__} IN SHARE ROW EXCLUSIVE MODE"))
        return self._any()

    def _any(self) -> bool:
        return self._session.scalars(select(User.id).limit(1)).first() is not None

    def custom_permissions(self, role: str) -> frozenset[str] | None:
        """Return what the custom role of this name holds; None when there is none.

        It stays as it is before this transaction ends, so that nobody gets a role that is being taken away.
        """
        wanted = select(CustomRole).where(CustomRole.name == role).with_for_update(read=True)
        found = self._session.scalars(wanted).one_or_none()
        return found.permissions if found else None

    def has_anybody(self, role: str) -> bool:
        """Whether any user has this role."""
        return self._session.scalars(select(User.id).where(User.role == role).limit(1)).first() is not None

    def held(self, kind: type[M], found_id: UUID) -> M | None:
        """Return a team, a role or an invitation that nobody else changes before this transaction ends."""
        return self._session.get(kind, found_id, with_for_update=True)

    def invitation_of(self, token_hash: bytes) -> Invitation | None:
        """Return the invitation whose latest link has this hash; nobody else accepts it meanwhile."""
        wanted = select(Invitation).where(Invitation.token_hash == token_hash).with_for_update()
        return self._session.scalars(wanted).one_or_none()

    def member(self, team_id: UUID, user_id: UUID) -> TeamMember | None:
        """Return that somebody is in a team, if they are."""
        return self._session.get(TeamMember, (team_id, user_id))
