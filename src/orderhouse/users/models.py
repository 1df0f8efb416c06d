"""Users, invitations, teams and custom roles: the rules that hold whoever asks, and the tables they are kept in.

All of it goes through the ORM: it is written at the speed of people, and most of it is plain CRUD with one-to-many.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any, cast
from uuid import UUID

import orjson
from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from orderhouse.kernel import ids
from orderhouse.kernel.clock import Instant
from orderhouse.kernel.email import email_key
from orderhouse.kernel.principal import permissions_of
from orderhouse.kernel.text import folded, name_key, words_of
from orderhouse.runtime.database.tables import Id, tables_of
from orderhouse.users.errors import InvitationExpired, NotActive, NotDeactivated, RoleUnknown, StillActive
from orderhouse.users.schemas import PERSONAL_ROLES, AddRole, ChangeRole, ChangeUser, Status

LINK_GOOD_FOR = 7 * 86_400_000_000
"""How long an invitation's link can be used, in microseconds."""

_MOST_WORDS = 40

tables = tables_of("users")

# PostgreSQL would sort by the language of its server, and differently from SQLite.
_Sorted = Text().with_variant(Text(collation="C"), "postgresql")


class _Mapped(DeclarativeBase):
    metadata = tables


@dataclass(frozen=True, slots=True)
class UserState:
    """A user at one version: what is shown."""

    id: UUID
    email: str
    email_verified: bool
    name: str
    status: Status
    role: str
    customer_id: UUID | None
    version: int
    created_at: Instant
    updated_at: Instant


@dataclass(frozen=True, slots=True)
class InvitationState:
    """An invitation: what is shown."""

    id: UUID
    user_id: UUID
    invited_by: str
    created_at: Instant
    expires_at: Instant | None
    accepted_at: Instant | None


@dataclass(frozen=True, slots=True)
class TeamState:
    """A team at one version: what is shown."""

    id: UUID
    name: str
    version: int
    created_at: Instant
    updated_at: Instant


@dataclass(frozen=True, slots=True)
class RoleState:
    """A custom role at one version: what is shown."""

    id: UUID
    name: str
    description: str
    permissions: tuple[str, ...]
    version: int
    created_at: Instant
    updated_at: Instant


class _Versioned:
    version: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[int] = mapped_column(BigInteger)
    updated_at: Mapped[int] = mapped_column(BigInteger)

    def become(self, at: Instant, **what: Any) -> None:
        """Be that from now on, as the next version."""
        for name, value in what.items():
            setattr(self, name, value)
        self.version += 1
        self.updated_at = at


class User(_Versioned, _Mapped):
    """Somebody who may act here, once active."""

    __tablename__ = "users"
    __table_args__ = (
        # One address is one user's, however it is written.
        Index("users_email", "email_key", unique=True),
        # Lists go by the time of adding, which is the primary key's order, or by name; of all, by status, or by role.
        Index("users_name", "name_key", "id"),
        Index("users_status", "status", "id"),
        Index("users_status_name", "status", "name_key", "id"),
        Index("users_role", "role", "id"),
        Index("users_role_name", "role", "name_key", "id"),
    )

    id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    email: Mapped[str] = mapped_column(Text)
    email_key: Mapped[str] = mapped_column(Text)
    email_verified: Mapped[bool]
    name: Mapped[str] = mapped_column(Text)
    name_key: Mapped[str] = mapped_column(_Sorted)
    status: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    customer_id: Mapped[UUID | None] = mapped_column(Id)

    words: Mapped[list["UserWord"]] = relationship(cascade="all, delete-orphan")
    memberships: Mapped[list["TeamMember"]] = relationship(cascade="all, delete-orphan", back_populates="user")
    invitation: Mapped["Invitation | None"] = relationship(cascade="all, delete-orphan", back_populates="user")

    @classmethod
    def of(
        cls,
        user_id: UUID,
        *,
        email: str,
        name: str,
        role: str,
        status: Status,
        at: Instant,
        customer_id: UUID | None = None,
    ) -> "User":
        """Return a new user."""
        return cls(
            id=user_id,
            email=email,
            email_key=email_key(email),
            email_verified=False,
            name=name,
            name_key=name_key(name),
            status=status,
            role=role,
            customer_id=customer_id,
            words=_words(name, email),
            version=1,
            created_at=at,
            updated_at=at,
        )

    def change(self, wanted: ChangeUser, *, at: Instant) -> bool:
        """Change what `wanted` names; return whether that made a difference. Another address is not verified."""
        said = wanted.model_dump(exclude_unset=True)
        if all(getattr(self, name) == value for name, value in said.items()):
            return False
        if "email" in said and email_key(said["email"]) != self.email_key:
            said["email_verified"] = False
        self.become(at, **said)
        self.name_key, self.email_key = name_key(self.name), email_key(self.email)
        kept = {word.word: word for word in self.words}
        self.words = [kept.get(word.word, word) for word in _words(self.name, self.email)]
        return True

    def join(self, *, at: Instant, name: str | None = None) -> None:
        """Become active after an invitation, under another name if that is wanted."""
        if name is not None and name != self.name:
            self.change(ChangeUser(name=name), at=at)
            self.version -= 1
        self.become(at, status="active")

    def deactivate(self, *, at: Instant) -> None:
        """May do nothing from now on."""
        if self.status != "active":
            raise NotActive
        self.become(at, status="deactivated")

    def reactivate(self, *, at: Instant) -> None:
        """May act again."""
        if self.status != "deactivated":
            raise NotDeactivated
        self.become(at, status="active")

    def may_be_erased(self) -> None:
        """Refuse while it is active."""
        if self.status == "active":
            raise StillActive

    @property
    def is_owner(self) -> bool:
        """Whether it is one of those of whom one must always be left."""
        return self.status == "active" and self.role == "owner"

    @property
    def state(self) -> UserState:
        """The user as it is now, and stays whatever happens to it later in the transaction."""
        return UserState(
            self.id,
            self.email,
            self.email_verified,
            self.name,
            cast(Status, self.status),
            self.role,
            self.customer_id,
            self.version,
            self.created_at,
            self.updated_at,
        )


class UserWord(_Mapped):
    """A word of a user's name or address. What somebody searches for is looked up here by its beginning."""

    __tablename__ = "user_words"
    __table_args__ = ({"sqlite_with_rowid": False},)

    word: Mapped[str] = mapped_column(_Sorted, primary_key=True)
    # Whoever is erased or called something else takes their words along.
    user_id: Mapped[UUID] = mapped_column(
        Id, ForeignKey("users.id", name="user_words_user", ondelete="CASCADE"), primary_key=True, index=True
    )


class Invitation(_Mapped):
    """How somebody comes to be a user: a link that works once, of which only the hash is kept."""

    __tablename__ = "invitations"
    __table_args__ = (
        # Nobody is invited twice at once, and a link leads to one invitation.
        Index("invitations_user", "user_id", unique=True),
        Index("invitations_token", "token_hash", unique=True),
        # Those that are open are listed, the latest first.
        Index("invitations_open", "accepted_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    user_id: Mapped[UUID] = mapped_column(Id, ForeignKey("users.id", name="invitations_user_fk", ondelete="CASCADE"))
    token_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    invited_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[int | None] = mapped_column(BigInteger)
    accepted_at: Mapped[int | None] = mapped_column(BigInteger)

    user: Mapped[User] = relationship(back_populates="invitation")

    @classmethod
    def of(cls, user: User, *, by: str, at: Instant) -> "Invitation":
        """Return an invitation of `user` that has no link yet."""
        return cls(id=ids.new_id(), user=user, invited_by=by, created_at=at)

    def new_link(self, *, at: Instant) -> str:
        """Return a token that lets somebody accept; any earlier one is of no use from now on."""
        if self.accepted_at is not None:
            raise InvitationExpired("It was accepted.")
        token = token_urlsafe(32)
        self.token_hash, self.expires_at = hashed(token), at + LINK_GOOD_FOR
        return token

    def accept(self, *, at: Instant) -> bool:
        """Be accepted; return whether it was not before."""
        if self.accepted_at is not None:
            return False
        if self.expires_at is None or self.expires_at <= at:
            raise InvitationExpired
        self.accepted_at = at
        return True

    @property
    def state(self) -> InvitationState:
        """The invitation as it is now."""
        return InvitationState(
            self.id, self.user_id, self.invited_by, self.created_at, self.expires_at, self.accepted_at
        )


class Team(_Versioned, _Mapped):
    """Some users who work on the same things."""

    __tablename__ = "teams"
    __table_args__ = (
        # Teams are told apart by their names, and listed by them.
        Index("teams_name", "name_key", unique=True),
    )

    id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    name_key: Mapped[str] = mapped_column(_Sorted)

    members: Mapped[list["TeamMember"]] = relationship(cascade="all, delete-orphan")

    @classmethod
    def of(cls, name: str, *, at: Instant) -> "Team":
        """Return a new team, which nobody is in."""
        return cls(id=ids.new_id(), name=name, name_key=folded(name), version=1, created_at=at, updated_at=at)

    def rename(self, name: str, *, at: Instant) -> bool:
        """Be called `name`; return whether that made a difference."""
        if name == self.name:
            return False
        self.become(at, name=name, name_key=folded(name))
        return True

    @property
    def state(self) -> TeamState:
        """The team as it is now."""
        return TeamState(self.id, self.name, self.version, self.created_at, self.updated_at)


class TeamMember(_Mapped):
    """That somebody is in a team."""

    __tablename__ = "team_members"
    __table_args__ = (
        # A user's teams; a team's members are found by the primary key.
        Index("team_members_user", "user_id", "team_id"),
        {"sqlite_with_rowid": False},
    )

    team_id: Mapped[UUID] = mapped_column(
        Id, ForeignKey("teams.id", name="team_members_team_fk", ondelete="CASCADE"), primary_key=True
    )
    user_id: Mapped[UUID] = mapped_column(
        Id, ForeignKey("users.id", name="team_members_user_fk", ondelete="CASCADE"), primary_key=True
    )
    added_at: Mapped[int] = mapped_column(BigInteger)

    user: Mapped[User] = relationship(back_populates="memberships")


class CustomRole(_Versioned, _Mapped):
    """A name for some permissions. The name stays: users and facts know the role by it."""

    __tablename__ = "custom_roles"
    __table_args__ = (
        # Whoever has the role has its name.
        Index("custom_roles_name", "name", unique=True),
    )

    id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(_Sorted)
    description: Mapped[str] = mapped_column(Text)
    kept_permissions: Mapped[str] = mapped_column("permissions", Text)

    @classmethod
    def of(cls, wanted: AddRole, *, at: Instant) -> "CustomRole":
        """Return a new role."""
        return cls(
            id=ids.new_id(),
            name=wanted.name,
            description=wanted.description,
            kept_permissions=orjson.dumps(wanted.permissions).decode(),
            version=1,
            created_at=at,
            updated_at=at,
        )

    @property
    def permissions(self) -> frozenset[str]:
        """What whoever has it may do."""
        return frozenset(orjson.loads(self.kept_permissions))

    def change(self, wanted: ChangeRole, *, at: Instant) -> bool:
        """Change what `wanted` names; return whether that made a difference."""
        said = wanted.model_dump(exclude_unset=True)
        if "permissions" in said:
            said["kept_permissions"] = orjson.dumps(said.pop("permissions")).decode()
        if all(getattr(self, name) == value for name, value in said.items()):
            return False
        self.become(at, **said)
        return True

    @property
    def state(self) -> RoleState:
        """The role as it is now."""
        return RoleState(
            self.id,
            self.name,
            self.description,
            tuple(sorted(self.permissions)),
            self.version,
            self.created_at,
            self.updated_at,
        )


def may_with(role: str, custom: frozenset[str] | None) -> frozenset[str]:
    """Return what somebody of `role` may do; `custom` is what the custom role of that name holds, if there is one."""
    if role in PERSONAL_ROLES:
        return permissions_of(role)
    if custom is None:
        raise RoleUnknown(f"Built-in roles are {', '.join(PERSONAL_ROLES)}.")
    return custom


def hashed(token: str) -> bytes:
    """Return what is kept of an invitation's token: it is random, so a plain hash cannot be guessed back."""
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


def _words(name: str, email: str) -> Sequence[UserWord]:
    found = dict.fromkeys([*words_of(name), *words_of(email), *words_of(email_key(email))])
    return [UserWord(word=word) for word in list(found)[:_MOST_WORDS]]
