"""What users looks like on the wire."""

from typing import Annotated, Literal, NamedTuple
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from orderhouse.kernel.email import Email
from orderhouse.kernel.pages import COUNTED_TO, LARGEST_OFFSET, LARGEST_PAGE, USUAL_PAGE, Cursor, Offset
from orderhouse.kernel.principal import PERMISSIONS, ROLES
from orderhouse.kernel.text import InstantText, Line, Name

ID = "0197f0e2-7b7a-7c3a-9f52-6f1d2b3c4d5e"

USERS = "/v1/users"
INVITATIONS = "/v1/invitations"
ACCEPTANCES = "/v1/acceptances"
TEAMS = "/v1/teams"
ROLES_PATH = "/v1/roles"
PEOPLE = "/v1/people"
PEOPLE_SEARCHES = "/v1/people-searches"

Status = Literal["invited", "active", "deactivated"]

PERSONAL_ROLES = tuple(role for role in ROLES if role != "service")
"""The built-in roles somebody can have; a service is nobody."""


def _known_permission(name: str) -> str:
    if name not in PERMISSIONS:
        raise ValueError(f"known permissions are {', '.join(sorted(PERMISSIONS))}")
    return name


def _each_once(names: list[str]) -> list[str]:
    if len(set(names)) < len(names):
        raise ValueError("names a permission twice")
    return sorted(names)


RoleName = Annotated[
    str,
    Field(
        pattern=r"^[a-z][a-z0-9-]{0,39}$",
        examples=["clerk"],
        description=f"A built-in role ({', '.join(PERSONAL_ROLES)}) or a custom one's name.",
    ),
]
Permission = Annotated[
    str,
    Field(max_length=60, examples=["orders:read"], json_schema_extra={"enum": sorted(PERMISSIONS)}),
    AfterValidator(_known_permission),
]
Permissions = Annotated[
    list[Permission],
    Field(max_length=len(PERMISSIONS), examples=[["orders:read"]], json_schema_extra={"uniqueItems": True}),
    AfterValidator(_each_once),
]
Description = Annotated[Line, Field(max_length=500, examples=["Handles what comes back."])]
Id = Annotated[UUID, Field(strict=False, examples=[ID])]
IdOut = Annotated[str, Field(examples=[ID], json_schema_extra={"format": "uuid"})]
Links = Annotated[dict[str, str], Field(examples=[{"self": f"{USERS}/{ID}"}])]


class _Schema(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class _Query(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: int = Field(USUAL_PAGE, ge=1, le=LARGEST_PAGE, description="How many to a page.")
    cursor: Cursor | None = None


class _Page(_Schema):
    next: str | None = Field(description="The cursor of the next page; null on the last.")
    links: dict[str, str] = Field(
        description="Itself, and the next page unless it is the last.", examples=[{"self": "/v1/users?limit=50"}]
    )


class Target(NamedTuple):
    """A thing, at the version the caller last saw if it said so."""

    id: UUID
    version: int | None


# Users


class AddUser(_Schema):
    """A user who may act at once, without an invitation."""

    email: Email
    name: Name
    role: RoleName
    customer_id: Id | None = Field(None, description="For role customer: which customer record is theirs.")

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"email": "ada@example.com", "name": "Ada", "role": "clerk"}]}
    )


class InviteUser(AddUser):
    """Somebody to be invited: a user who may do nothing before accepting."""


class SignUp(_Schema):
    """Somebody who came by themselves."""

    email: Email
    name: Name


class ChangeUser(_Schema):
    """What is to change about a user, as a JSON merge patch: what is left out stays."""

    # Never seen: what is left out stays, and what is given is a name or an address.
    name: Name = Field(default_factory=str)
    email: Email = Field(default_factory=str)

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Ada Lovelace"}]})


class SetRole(_Schema):
    """The role a user is to have."""

    role: RoleName
    customer_id: Id | None = Field(None, description="For role customer: which customer record is theirs.")


class UserChange(NamedTuple):
    """A ChangeUser for one user, at the version the caller last saw."""

    id: UUID
    version: int
    wanted: ChangeUser


class RoleChange(NamedTuple):
    """A SetRole for one user, at the version the caller last saw."""

    id: UUID
    version: int
    wanted: SetRole


class UserOut(_Schema):
    """A user."""

    id: IdOut
    email: str = Field(examples=["ada@example.com"], description="As it was given.")
    email_verified: bool = Field(description="Whether the address is known to be theirs.")
    name: str = Field(examples=["Ada"])
    status: Status = Field(description="Only who is active may do anything.")
    role: str = Field(examples=["clerk"])
    customer_id: IdOut | None = Field(description="For role customer: which customer record is theirs.")
    version: int = Field(examples=[1], description="Counts its changes; also its ETag.")
    created_at: InstantText
    updated_at: InstantText
    links: Links


class UserPage(_Page):
    """A page of users."""

    items: list[UserOut]
    total: int | None = Field(
        description=f"How many there are, counted to {COUNTED_TO} and no further; null on pages by cursor."
    )


class ListUsers(_Query):
    """Which users, in which order."""

    search: Line | None = Field(
        None, max_length=100, description="Words their names or addresses begin with, each of them; in any order."
    )
    status: Status | None = None
    role: RoleName | None = None
    sort: Literal["-created_at", "created_at", "name", "-name"] = Field("-created_at", description="Which comes first.")
    offset: Offset | None = Field(
        None, description=f"How many to pass over, at most {LARGEST_OFFSET}; instead of a cursor."
    )


# Invitations


class InvitationOut(_Schema):
    """An invitation."""

    id: IdOut
    user_id: IdOut
    invited_by: str = Field(examples=[ID])
    created_at: InstantText
    expires_at: InstantText | None = Field(description="When its latest link expires; null before there was one.")
    accepted_at: InstantText | None
    links: Links


class InvitationPage(_Page):
    """A page of invitations."""

    items: list[InvitationOut]


class ListInvitations(_Query):
    """Which invitations; the latest first."""

    open: Literal["true", "false"] | None = Field(
        None, description="Only those not accepted yet, or only those that are."
    )


class InvitationLink(_Schema):
    """What lets somebody accept. It is told this once, and nobody can read it again."""

    token: str = Field(examples=["tKx0…"])
    expires_at: InstantText


class AcceptInvitation(_Schema):
    """An invitation's token, by whoever was invited."""

    token: str = Field(min_length=1, max_length=100)
    name: Name | None = Field(None, description="What they want to be called, if it is not what the invitation says.")


# Teams


class AddTeam(_Schema):
    """A team."""

    name: Annotated[Name, Field(examples=["Returns"])]


class TeamChange(NamedTuple):
    """Another name for a team, at the version the caller last saw."""

    id: UUID
    version: int
    wanted: AddTeam


class Membership(NamedTuple):
    """Somebody in a team."""

    team_id: UUID
    user_id: UUID


class TeamOut(_Schema):
    """A team."""

    id: IdOut
    name: str = Field(examples=["Returns"])
    version: int = Field(examples=[1], description="Counts its changes; also its ETag.")
    created_at: InstantText
    updated_at: InstantText
    links: Links


class TeamPage(_Page):
    """A page of teams."""

    items: list[TeamOut]


class ListTeams(_Query):
    """Which teams, by name."""

    user_id: UUID | None = Field(None, description="Only those this user is in.")


class ListMembers(_Query):
    """Which members of a team, in the order in which they became users."""


# Roles


class AddRole(_Schema):
    """A custom role: a name for some permissions."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$", examples=["returns-desk"])]
    description: Description = ""
    permissions: Permissions


class ChangeRole(_Schema):
    """What is to change about a custom role, as a JSON merge patch. Its name stays: users and facts know it by that."""

    description: Description = Field(default_factory=str)
    permissions: Permissions = Field(default_factory=list)


class CustomRoleChange(NamedTuple):
    """A ChangeRole for one role, at the version the caller last saw."""

    id: UUID
    version: int
    wanted: ChangeRole


class BuiltInRole(_Schema):
    """A role that is always there."""

    name: str = Field(examples=["clerk"])
    permissions: list[str] = Field(examples=[["orders:read"]])


class RoleOut(_Schema):
    """A custom role."""

    id: IdOut
    name: str = Field(examples=["returns-desk"])
    description: str
    permissions: list[str] = Field(examples=[["orders:read"]])
    version: int = Field(examples=[1], description="Counts its changes; also its ETag.")
    created_at: InstantText
    updated_at: InstantText
    links: Links


class RolePage(_Page):
    """The built-in roles, and a page of the custom ones."""

    built_in: list[BuiltInRole]
    items: list[RoleOut]


class ListRoles(_Query):
    """Which custom roles, by name."""


# What may be done


class PermissionsOut(_Schema):
    """All that somebody may do now."""

    user_id: IdOut
    status: Status
    role: str = Field(examples=["clerk"])
    permissions: list[str] = Field(examples=[["orders:read"]], description="None while the user is not active.")


class AskWhy(BaseModel):
    """Whose permission is asked about."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    user_id: UUID
    permission: Permission


class WhyOut(_Schema):
    """Whether somebody may do something, and which rule says so."""

    user_id: IdOut
    permission: str = Field(examples=["orders:assign"])
    allowed: bool
    rule: Literal["not_joined", "deactivated", "built_in_role", "custom_role"] = Field(
        description="What decided: the user's status, or their role."
    )
    because: str = Field(examples=["The built-in role clerk does not hold orders:assign."])
    role: str = Field(examples=["clerk"])
    held_by: list[str] = Field(examples=[["manager", "owner"]], description="The built-in roles that hold it.")


# For neighbours


class FindPerson(_Schema):
    """Whose address it is."""

    email: Email


class PersonOut(_Schema):
    """Who someone is and what they may do, as neighbours are told."""

    id: IdOut
    email: str = Field(examples=["ada@example.com"])
    name: str = Field(examples=["Ada"])
    email_verified: bool
    active: bool
    role: str = Field(examples=["clerk"])
    permissions: list[str] = Field(examples=[["orders:read"]])
    customer_id: IdOut | None
