"""Teams over HTTP."""

from typing import Any
from uuid import UUID

from flask import Blueprint

from orderhouse.kernel.clock import as_text
from orderhouse.kernel.pages import CursorInvalid
from orderhouse.runtime.once import Answer
from orderhouse.runtime.web import links
from orderhouse.runtime.web.answers import done, etag, json_answer, unchanged
from orderhouse.runtime.web.flask_edge import body, match, match_maybe, needs, once, query, read, unless
from orderhouse.users import reads
from orderhouse.users.errors import MovedOn, TeamNameTaken, TeamNotFound, UserNotFound
from orderhouse.users.models import TeamState
from orderhouse.users.routes.users import shown_page
from orderhouse.users.schemas import (
    TEAMS,
    AddTeam,
    ListMembers,
    ListTeams,
    Membership,
    Target,
    TeamChange,
    TeamOut,
    TeamPage,
    UserPage,
)
from orderhouse.users.service.teams import TeamService


def blueprint(service: TeamService) -> Blueprint:
    """Return the teams' views."""
    views = Blueprint("teams", __name__, url_prefix=TEAMS)

    @views.post("")
    @needs("users:teams", TeamNameTaken, key=True, body=AddTeam, answers=TeamOut, status=201)
    def add_team() -> Answer:
        """Add a team."""
        return once(service.add, body(AddTeam), answer=_created)

    @views.get("")
    @needs("users:read", CursorInvalid, query=ListTeams, answers=TeamPage)
    def list_teams() -> Answer:
        """List teams by name, a page at a time."""
        wanted = query(ListTeams)
        page = read(reads.teams, wanted)
        return json_answer(
            {
                "items": [_shown(team) for team in page.items],
                "next": page.next,
                "links": links.of_page(TEAMS, wanted, page.next),
            }
        )

    @views.get("/<uuid:team_id>")
    @needs("users:read", TeamNotFound, answers=TeamOut, unless=True)
    def get_team(team_id: UUID) -> Answer:
        """Get a team."""
        team = _found(team_id)
        return unchanged(etag(team.version), unless()) or json_answer(_shown(team), etag(team.version))

    @views.patch("/<uuid:team_id>")
    @needs("users:teams", TeamNotFound, MovedOn, TeamNameTaken, key=False, match=True, body=AddTeam, answers=TeamOut)
    def change_team(team_id: UUID) -> Answer:
        """Give a team another name."""
        return once(service.change, TeamChange(team_id, match(), body(AddTeam)), answer=_changed)

    @views.delete("/<uuid:team_id>")
    @needs("users:teams", TeamNotFound, MovedOn, key=False, match=False, status=204)
    def remove_team(team_id: UUID) -> Answer:
        """Remove a team; its members stay users."""
        return once(service.remove, Target(team_id, match_maybe()), answer=done)

    @views.get("/<uuid:team_id>/members")
    @needs("users:read", TeamNotFound, CursorInvalid, query=ListMembers, answers=UserPage)
    def list_members(team_id: UUID) -> Answer:
        """List a team's members, a page at a time."""
        wanted = query(ListMembers)
        _found(team_id)
        page = read(reads.members, team_id, wanted)
        return json_answer(shown_page(f"{TEAMS}/{team_id}/members", wanted, page) | {"total": None})

    @views.put("/<uuid:team_id>/members/<uuid:user_id>")
    @needs("users:teams", TeamNotFound, UserNotFound, key=False, answers=TeamOut)
    def let_in(team_id: UUID, user_id: UUID) -> Answer:
        """Let somebody be in a team; doing it again changes nothing."""
        return once(service.let_in, Membership(team_id, user_id), answer=_changed)

    @views.delete("/<uuid:team_id>/members/<uuid:user_id>")
    @needs("users:teams", TeamNotFound, key=False, answers=TeamOut)
    def let_go(team_id: UUID, user_id: UUID) -> Answer:
        """Let somebody be in a team no longer; doing it again changes nothing."""
        return once(service.let_go, Membership(team_id, user_id), answer=_changed)

    return views


def _found(team_id: UUID) -> TeamState:
    team = read(reads.team, team_id)
    if team is None:
        raise TeamNotFound
    return team


def _created(team: TeamState) -> Answer:
    return json_answer(_shown(team), ("location", f"{TEAMS}/{team.id}"), etag(team.version), status=201)


def _changed(team: TeamState) -> Answer:
    return json_answer(_shown(team), etag(team.version))


def _shown(team: TeamState) -> dict[str, Any]:
    own = f"{TEAMS}/{team.id}"
    return {
        "id": team.id,
        "name": team.name,
        "version": team.version,
        "created_at": as_text(team.created_at),
        "updated_at": as_text(team.updated_at),
        "links": {"self": own, "members": f"{own}/members"},
    }
