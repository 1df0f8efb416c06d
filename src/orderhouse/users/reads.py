"""Questions about users, teams and roles: one, and pages of lists. Plain SQL, the same on both databases."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

import orjson

from orderhouse.kernel import pages
from orderhouse.kernel.email import email_key
from orderhouse.kernel.pages import COUNTED_TO, PagesDoNotCombine
from orderhouse.kernel.text import words_of
from orderhouse.runtime.database.sql import Row, as_id, as_id_or_none
from orderhouse.runtime.database.transaction import Reading
from orderhouse.users.contract import Person
from orderhouse.users.models import InvitationState, RoleState, TeamState, UserState, may_with
from orderhouse.users.schemas import (
    PERSONAL_ROLES,
    ListInvitations,
    ListMembers,
    ListRoles,
    ListTeams,
    ListUsers,
)

T = TypeVar("T")

_USER = "id, email, email_verified, name, status, role, customer_id, version, created_at, updated_at"
_INVITATION = "id, user_id, invited_by, created_at, expires_at, accepted_at"
_TEAM = "id, name, version, created_at, updated_at"
_ROLE = "id, name, description, permissions, version, created_at, updated_at"

_MOST_WORDS = 5
_BEHIND_ALL = "\U0010ffff"

# Ids are in the order of adding, so the primary key is the list by time.
_KEYS: dict[str, dict[str, type]] = {"created_at": {"id": UUID}, "name": {"name_key": str, "id": UUID}}


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some things of a list; the cursor of the next page, and for a page by offset how many there are."""

    items: Sequence[T]
    next: str | None
    total: int | None = None


# One


def user(reading: Reading, user_id: UUID) -> UserState | None:
    """Return a user."""
    found = reading.row(f"SELECT {_USER} FROM users WHERE id = :id", id=user_id)
    return _user(found) if found else None


def team(reading: Reading, team_id: UUID) -> TeamState | None:
    """Return a team."""
    found = reading.row(f"SELECT {_TEAM} FROM teams WHERE id = :id", id=team_id)
    return _team(found) if found else None


def role(reading: Reading, role_id: UUID) -> RoleState | None:
    """Return a custom role."""
    found = reading.row(f"SELECT {_ROLE} FROM custom_roles WHERE id = :id", id=role_id)
    return _role(found) if found else None


def invitation(reading: Reading, invitation_id: UUID) -> InvitationState | None:
    """Return an invitation."""
    found = reading.row(f"SELECT {_INVITATION} FROM invitations WHERE id = :id", id=invitation_id)
    return _invitation(found) if found else None


def permissions(reading: Reading, user_id: UUID) -> tuple[UserState, frozenset[str]] | None:
    """Return a user and what their role allows, whether or not they are active."""
    found = reading.row(f"SELECT {_USER} FROM users WHERE id = :id", id=user_id)
    if found is None:
        return None
    state = _user(found)
    return state, _allowed(reading, state.role)


def person(reading: Reading, user_id: UUID) -> Person | None:
    """Return a user as neighbours know one."""
    found = permissions(reading, user_id)
    return _person(*found) if found else None


def person_with(reading: Reading, email: str) -> Person | None:
    """Return whose address it is as neighbours know them; ValueError when it is no address."""
    found = reading.row(f"SELECT {_USER} FROM users WHERE email_key = :key", key=email_key(email))
    if found is None:
        return None
    state = _user(found)
    return _person(state, _allowed(reading, state.role))


def _allowed(reading: Reading, name: str) -> frozenset[str]:
    if name in PERSONAL_ROLES:
        return may_with(name, None)
    found = reading.row("SELECT permissions FROM custom_roles WHERE name = :name", name=name)
    return frozenset(orjson.loads(found[0])) if found else frozenset()


def _person(state: UserState, allowed: frozenset[str]) -> Person:
    active = state.status == "active"
    return Person(
        id=state.id,
        email=state.email,
        name=state.name,
        email_verified=state.email_verified,
        active=active,
        role=state.role,
        permissions=allowed if active else frozenset(),
        customer_id=state.customer_id,
    )


# Pages


def users(reading: Reading, wanted: ListUsers) -> Page[UserState]:
    """Return the page that is wanted, read by an index; what is searched for is looked up by the words of a name."""
    if wanted.cursor is not None and wanted.offset is not None:
        raise PagesDoNotCombine
    filters, values = _filters(wanted)
    total = None if wanted.offset is None else _counted(reading, filters, values)
    falls, keys = wanted.sort.startswith("-"), _KEYS[wanted.sort.removeprefix("-")]
    name = f"users {wanted.sort}"
    behind, key = _behind(name, wanted.cursor, keys, falls=falls)
    order = ", ".join(f"{column} DESC" if falls else column for column in keys)
    found = reading.rows(
        f"SELECT {_USER}, name_key FROM users{_where(filters + behind)} ORDER BY {order} LIMIT :limit OFFSET :offset",
        **values,
        **key,
        limit=wanted.limit + 1,
        offset=wanted.offset or 0,
    )

    def end(row: Row) -> list[Any]:
        return [{"id": as_id(row[0]), "name_key": row[-1]}[column] for column in keys]

    return _page(name, wanted.limit, found, _user, end, total)


def invitations(reading: Reading, wanted: ListInvitations) -> Page[InvitationState]:
    """Return a page of invitations, the latest first."""
    filters = [] if wanted.open is None else [f"accepted_at IS {'' if wanted.open == 'true' else 'NOT '}NULL"]
    behind, key = _behind("invitations", wanted.cursor, {"id": UUID}, falls=True)
    found = reading.rows(
        f"SELECT {_INVITATION} FROM invitations{_where(filters + behind)} ORDER BY id DESC LIMIT :limit",
        **key,
        limit=wanted.limit + 1,
    )
    return _page("invitations", wanted.limit, found, _invitation, lambda row: [as_id(row[0])])


def teams(reading: Reading, wanted: ListTeams) -> Page[TeamState]:
    """Return a page of teams, by name."""
    filters, values = [], {}
    if wanted.user_id is not None:
        filters.append("id IN (SELECT team_id FROM team_members WHERE user_id = :user_id)")
        values["user_id"] = wanted.user_id
    behind, key = _behind("teams", wanted.cursor, {"name_key": str}, falls=False)
    found = reading.rows(
        f"SELECT {_TEAM}, name_key FROM teams{_where(filters + behind)} ORDER BY name_key LIMIT :limit",
        **values,
        **key,
        limit=wanted.limit + 1,
    )
    return _page("teams", wanted.limit, found, _team, lambda row: [row[-1]])


def members(reading: Reading, team_id: UUID, wanted: ListMembers) -> Page[UserState]:
    """Return a page of a team's members, in the order in which they became users."""
    behind, key = _behind("members", wanted.cursor, {"user_id": UUID}, falls=False)
    columns = ", ".join(f"users.{column}" for column in _USER.split(", "))
    found = reading.rows(
        f"SELECT {columns} FROM team_members JOIN users ON users.id = user_id{_where(['team_id = :team_id', *behind])} "
        "ORDER BY user_id LIMIT :limit",
        **key,
        team_id=team_id,
        limit=wanted.limit + 1,
    )
    return _page("members", wanted.limit, found, _user, lambda row: [as_id(row[0])])


def roles(reading: Reading, wanted: ListRoles) -> Page[RoleState]:
    """Return a page of the custom roles, by name."""
    behind, key = _behind("roles", wanted.cursor, {"name": str}, falls=False)
    found = reading.rows(
        f"SELECT {_ROLE} FROM custom_roles{_where(behind)} ORDER BY name LIMIT :limit", **key, limit=wanted.limit + 1
    )
    return _page("roles", wanted.limit, found, _role, lambda row: [row[1]])


def _filters(wanted: ListUsers) -> tuple[list[str], dict[str, object]]:
    filters: list[str] = []
    values: dict[str, object] = {}
    for name in ("status", "role"):
        if (value := getattr(wanted, name)) is not None:
            filters.append(f"{name} = :{name}")
            values[name] = value
    if wanted.search is not None:
        words = words_of(wanted.search)[:_MOST_WORDS]
        for number, word in enumerate(words):
            filters.append(
                "id IN (SELECT user_id FROM user_words "
                f"WHERE word >= :word_{_letter(number)} AND word < :end_{_letter(number)})"
            )
            values[f"word_{_letter(number)}"], values[f"end_{_letter(number)}"] = word, word + _BEHIND_ALL
        if not words:
            filters.append("id IS NULL")  # Whatever has no letters is nobody's name.
    return filters, values


def _letter(number: int) -> str:
    return "abcde"[number]


def _counted(reading: Reading, filters: Sequence[str], values: Mapping[str, object]) -> int:
    # In the order of an index, so that it is the index that is counted, and no further than anybody pages.
    some = f"SELECT 1 FROM users{_where(filters)} ORDER BY id LIMIT {COUNTED_TO}"
    found = reading.row(f"SELECT count(*) FROM ({some}) AS counted", **values)
    assert found is not None, "a count is always answered"
    return int(found[0])


def _behind(
    name: str, cursor: str | None, keys: Mapping[str, type], *, falls: bool
) -> tuple[list[str], dict[str, object]]:
    if cursor is None:
        return [], {}
    key = pages.key_of(name, cursor, *keys.values())
    condition = f"({', '.join(keys)}) {'<' if falls else '>'} ({', '.join(f':after_{column}' for column in keys)})"
    return [condition], {f"after_{column}": part for column, part in zip(keys, key, strict=True)}


def _page(
    name: str,
    limit: int,
    found: Sequence[Row],
    shape: Callable[[Row], T],
    end: Callable[[Row], list[Any]],
    total: int | None = None,
) -> Page[T]:
    rows = found[:limit]
    following = pages.cursor_of(name, *end(rows[-1])) if len(found) > limit else None
    return Page([shape(row) for row in rows], following, total)


def _where(conditions: Sequence[str]) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


def _user(row: Row) -> UserState:
    user_id, email, verified, name, status, role_name, customer_id, version, created_at, updated_at = row[:10]
    linked = as_id_or_none(customer_id)
    return UserState(
        as_id(user_id), email, bool(verified), name, status, role_name, linked, version, created_at, updated_at
    )


def _invitation(row: Row) -> InvitationState:
    return InvitationState(as_id(row[0]), as_id(row[1]), *row[2:6])


def _team(row: Row) -> TeamState:
    return TeamState(as_id(row[0]), *row[1:5])


def _role(row: Row) -> RoleState:
    role_id, name, description, kept, *rest = row[:7]
    return RoleState(as_id(role_id), name, description, tuple(orjson.loads(kept)), *rest)
