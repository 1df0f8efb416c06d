"""What neighbours may know of users: who somebody is, what they may do, and the facts told of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Protocol, Self
from uuid import UUID

from pydantic import Field

from orderhouse.kernel.clock import Instant
from orderhouse.kernel.events import Fact, FactData, FactKind, NewFact, NoData, Origin


@dataclass(frozen=True, slots=True)
class Person:
    """Who someone is and what they may do, as users knows it now."""

    id: UUID
    email: str
    name: str
    email_verified: bool
    active: bool
    role: str
    """A built-in role, or a custom one's name."""
    permissions: frozenset[str]
    """All that may be done now: none while the person is not active."""
    customer_id: UUID | None


class People(Protocol):
    """What users tells and does for a neighbour. It blocks: ask from a thread. Every call may raise Unavailable."""

    def by_id(self, user_id: UUID) -> Person | None:
        """Return a person; None when there is none of that id."""

    def by_email(self, email: str) -> Person | None:
        """Return whose address it is, however it is written; None when it is nobody's."""

    def sign_up(self, *, user_id: UUID, email: str, name: str) -> Person:
        """Return a new person of role customer, whose address is not verified.

        The same `user_id` again returns the same person. Raises a Conflict when the address is another's, and Invalid
        when it is no address or the name is none.
        """

    def verify_email(self, user_id: UUID) -> Person:
        """Return the person, whose address is verified from now on; NotFound when there is none.

        A person of role customer is linked with the customer record that has the same address, if there is one.
        """


@dataclass(frozen=True, slots=True)
class UsersFact:
    """Something that happened to a user, a team or a role, which is at `version` since. It holds ids and words."""

    name: ClassVar[str]

    id: UUID
    version: int

    @classmethod
    def read(cls, fact: Fact) -> Self:
        """Return what `fact`, as a log keeps it, tells."""
        return cls(fact.aggregate, fact.sequence, **fact.data)

    def told(self, at: Instant, origin: Origin) -> NewFact:
        """Return it ready to be told."""
        return NewFact(self.name, self.id, self.version, self._data(), at, origin)

    def _data(self) -> Mapping[str, object]:
        return {}


@dataclass(frozen=True, slots=True)
class _WithRole(UsersFact):
    role: str
    customer_id: str | None
    """The customer record a person of role customer is linked with."""

    def _data(self) -> Mapping[str, object]:
        return {"role": self.role, "customer_id": self.customer_id}


@dataclass(frozen=True, slots=True)
class _WithMember(UsersFact):
    user_id: str

    def _data(self) -> Mapping[str, object]:
        return {"user_id": self.user_id}


@dataclass(frozen=True, slots=True)
class _WithPermissions(UsersFact):
    permissions: list[str]
    """All that whoever has the role may do from now on."""

    def _data(self) -> Mapping[str, object]:
        return {"permissions": self.permissions}


class UserInvited(_WithRole):
    """Somebody was invited, and may do nothing before joining. Told once, first of all."""

    name: ClassVar[str] = "UserInvited"


class UserJoined(_WithRole):
    """Somebody became a user who may act: added, signed up, or having accepted an invitation. Told once per user."""

    name: ClassVar[str] = "UserJoined"


class UserChanged(UsersFact):
    """A user's name or address changed; neither is in the fact. A changed address is not verified."""

    name: ClassVar[str] = "UserChanged"


class UserRoleChanged(_WithRole):
    """A user has another role from now on, or another customer record."""

    name: ClassVar[str] = "UserRoleChanged"


class UserEmailVerified(_WithRole):
    """A user's address is known to be theirs; it may have linked a customer record."""

    name: ClassVar[str] = "UserEmailVerified"


class UserDeactivated(UsersFact):
    """A user was deactivated, and may do nothing until reactivated: whoever holds sessions ends them."""

    name: ClassVar[str] = "UserDeactivated"


class UserReactivated(UsersFact):
    """A user was reactivated, and may act again."""

    name: ClassVar[str] = "UserReactivated"


class UserErased(UsersFact):
    """A user was erased: nothing is left but the id. Told once, last of all."""

    name: ClassVar[str] = "UserErased"


class TeamAdded(UsersFact):
    """A team was added. Told once per team, first of all."""

    name: ClassVar[str] = "TeamAdded"


class TeamChanged(UsersFact):
    """A team has another name."""

    name: ClassVar[str] = "TeamChanged"


class TeamJoined(_WithMember):
    """Somebody is in a team from now on."""

    name: ClassVar[str] = "TeamJoined"


class TeamLeft(_WithMember):
    """Somebody is no longer in a team."""

    name: ClassVar[str] = "TeamLeft"


class TeamRemoved(UsersFact):
    """A team was removed, and nobody is in it. Told once, last of all."""

    name: ClassVar[str] = "TeamRemoved"


class RoleAdded(_WithPermissions):
    """A custom role was added. Told once per role, first of all."""

    name: ClassVar[str] = "RoleAdded"


@dataclass(frozen=True, slots=True)
class RoleChanged(_WithPermissions):
    """Whoever has this custom role may do something else from now on, or it is described otherwise."""

    name: ClassVar[str] = "RoleChanged"

    before: list[str]
    """All that they could do before."""

    def _data(self) -> Mapping[str, object]:
        return {"permissions": self.permissions, "before": self.before}


class RoleRemoved(UsersFact):
    """A custom role, which nobody had any more, was removed. Told once, last of all."""

    name: ClassVar[str] = "RoleRemoved"


FACTS: Mapping[str, type[UsersFact]] = {
    fact.name: fact
    for fact in (
        UserInvited,
        UserJoined,
        UserChanged,
        UserRoleChanged,
        UserEmailVerified,
        UserDeactivated,
        UserReactivated,
        UserErased,
        TeamAdded,
        TeamChanged,
        TeamJoined,
        TeamLeft,
        TeamRemoved,
        RoleAdded,
        RoleChanged,
        RoleRemoved,
    )
}
"""Every fact users tells, all of version 1, by name."""


class RoleData(FactData):
    """Which role somebody has, and which customer record."""

    role: str
    customer_id: Annotated[str | None, Field(json_schema_extra={"format": "uuid"})]


class PermissionsData(FactData):
    """All that whoever has a custom role may do."""

    permissions: list[str]


class ChangedPermissionsData(PermissionsData):
    """The same after a change, and before it."""

    before: list[str]


class MemberData(FactData):
    """Who is in a team, or no longer."""

    user_id: Annotated[str, Field(json_schema_extra={"format": "uuid"})]


def _data_of(fact: type[UsersFact]) -> type[FactData]:
    if issubclass(fact, _WithRole):
        return RoleData
    if issubclass(fact, _WithPermissions):
        return ChangedPermissionsData if issubclass(fact, RoleChanged) else PermissionsData
    return MemberData if issubclass(fact, _WithMember) else NoData


FACT_KINDS = tuple(FactKind(name, (fact.__doc__ or "").strip(), _data_of(fact)) for name, fact in FACTS.items())
"""The same for the registry: what each means, and the schema of its data."""
