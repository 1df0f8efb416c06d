"""What may be done with teams."""

from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.once import Asked
from orderhouse.runtime.one_by_one import one_by_one
from orderhouse.users.contract import TeamAdded, TeamChanged, TeamJoined, TeamLeft, TeamRemoved, UsersFact
from orderhouse.users.errors import TeamNotFound, UserNotFound
from orderhouse.users.models import Team, TeamMember, TeamState
from orderhouse.users.repository import UserRepository
from orderhouse.users.schemas import AddTeam, Membership, Target, TeamChange
from orderhouse.users.service.authority import check_seen


class TeamService:
    """Decides what becomes of teams. Being in one allows nothing by itself."""

    @one_by_one
    def add(self, tx: Transaction, asked: Asked[AddTeam]) -> TeamState:
        """Add a team."""
        team = Team.of(asked.wanted.name, at=asked.at)
        UserRepository(tx).add(team)
        return _told(tx, asked, team, TeamAdded(team.id, team.version))

    @one_by_one
    def change(self, tx: Transaction, asked: Asked[TeamChange]) -> TeamState:
        """Give a team another name."""
        team = _found(UserRepository(tx).held(Team, asked.wanted.id))
        check_seen(team, asked.wanted.version)
        if not team.rename(asked.wanted.wanted.name, at=asked.at):
            return team.state
        return _told(tx, asked, team, TeamChanged(team.id, team.version))

    @one_by_one
    def remove(self, tx: Transaction, asked: Asked[Target]) -> None:
        """Remove a team; whoever was in it is not."""
        users = UserRepository(tx)
        team = check_seen(_found(users.held(Team, asked.wanted.id)), asked.wanted.version)
        users.remove(team)
        tx.tell([TeamRemoved(team.id, team.version + 1).told(asked.at, asked.origin)])

    @one_by_one
    def let_in(self, tx: Transaction, asked: Asked[Membership]) -> TeamState:
        """Let somebody be in a team; who is in it already stays."""
        users = UserRepository(tx)
        team = _found(users.held(Team, asked.wanted.team_id))
        user = users.user(asked.wanted.user_id)
        if user is None:
            raise UserNotFound
        if users.member(team.id, user.id) is not None:
            return team.state
        users.add(TeamMember(team_id=team.id, user_id=user.id, added_at=asked.at))
        team.become(asked.at)
        return _told(tx, asked, team, TeamJoined(team.id, team.version, str(user.id)))

    @one_by_one
    def let_go(self, tx: Transaction, asked: Asked[Membership]) -> TeamState:
        """Let somebody be in a team no longer; who is not in it stays out."""
        users = UserRepository(tx)
        team = _found(users.held(Team, asked.wanted.team_id))
        member = users.member(team.id, asked.wanted.user_id)
        if member is None:
            return team.state
        users.remove(member)
        team.become(asked.at)
        return _told(tx, asked, team, TeamLeft(team.id, team.version, str(asked.wanted.user_id)))


def _found(team: Team | None) -> Team:
    if team is None:
        raise TeamNotFound
    return team


def _told(tx: Transaction, asked: Asked[object], team: Team, fact: UsersFact) -> TeamState:
    tx.tell([fact.told(asked.at, asked.origin)])
    return team.state
