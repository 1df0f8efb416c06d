"""How somebody is invited, and comes to be a user."""

from dataclasses import dataclass

from orderhouse.kernel.ids import new_id
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.once import Asked
from orderhouse.runtime.one_by_one import one_by_one
from orderhouse.users.contract import UserErased, UserInvited, UserJoined
from orderhouse.users.errors import InvitationExpired, InvitationNotFound
from orderhouse.users.models import Invitation, InvitationState, User, UserState, hashed
from orderhouse.users.repository import UserRepository
from orderhouse.users.schemas import AcceptInvitation, InviteUser, Target
from orderhouse.users.service.authority import check_role
from orderhouse.users.service.users import check_customer


@dataclass(frozen=True, slots=True)
class Link:
    """A token that lets somebody accept, as it is told once."""

    token: str
    expires_at: int


class InvitationService:
    """Decides what becomes of invitations."""

    @one_by_one
    def invite(self, tx: Transaction, asked: Asked[InviteUser]) -> InvitationState:
        """Invite somebody: they are a user from now on, who may do nothing before accepting."""
        users = UserRepository(tx)
        wanted = asked.wanted
        check_role(asked.caller, wanted.role, users)
        check_customer(wanted.role, wanted.customer_id)
        user = User.of(
            new_id(),
            email=wanted.email,
            name=wanted.name,
            role=wanted.role,
            customer_id=wanted.customer_id,
            status="invited",
            at=asked.at,
        )
        invitation = Invitation.of(user, by=asked.caller.subject, at=asked.at)
        invitation.user_id = user.id
        users.add(user, invitation)
        linked = str(user.customer_id) if user.customer_id else None
        tx.tell([UserInvited(user.id, user.version, user.role, linked).told(asked.at, asked.origin)])
        return invitation.state

    @one_by_one
    def new_link(self, tx: Transaction, asked: Asked[Target]) -> Link:
        """Return a new link; the one before it is of no use any more. Who may not give the role may not give a link."""
        users = UserRepository(tx)
        invitation = _found(users.held(Invitation, asked.wanted.id))
        check_role(asked.caller, invitation.user.role, users)
        token = invitation.new_link(at=asked.at)
        assert invitation.expires_at is not None, "a link expires"
        return Link(token, invitation.expires_at)

    @one_by_one
    def accept(self, tx: Transaction, asked: Asked[AcceptInvitation]) -> UserState:
        """Let whoever has the link be a user who may act. The same link again hears the same while they are active."""
        users = UserRepository(tx)
        invitation = _found(users.invitation_of(hashed(asked.wanted.token)))
        user = users.user(invitation.user_id)
        assert user is not None, "an invitation goes with its user"
        if user.status == "deactivated":
            raise InvitationExpired
        if invitation.accept(at=asked.at):
            user.join(at=asked.at, name=asked.wanted.name)
            linked = str(user.customer_id) if user.customer_id else None
            tx.tell([UserJoined(user.id, user.version, user.role, linked).told(asked.at, asked.origin)])
        return user.state

    @one_by_one
    def withdraw(self, tx: Transaction, asked: Asked[Target]) -> None:
        """Take an invitation back, and with it the user that it would have made."""
        users = UserRepository(tx)
        invitation = _found(users.held(Invitation, asked.wanted.id))
        check_role(asked.caller, invitation.user.role, users)
        if invitation.accepted_at is not None:
            raise InvitationExpired("It was accepted: deactivate the user instead.")
        user = invitation.user
        users.remove(user)
        tx.tell([UserErased(user.id, user.version + 1).told(asked.at, asked.origin)])


def _found(invitation: Invitation | None) -> Invitation:
    if invitation is None:
        raise InvitationNotFound
    return invitation
