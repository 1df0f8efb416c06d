"""Invitations over HTTP."""

from typing import Any
from uuid import UUID

from flask import Blueprint

from orderhouse.kernel.clock import as_text, text_or_none
from orderhouse.kernel.pages import CursorInvalid
from orderhouse.kernel.principal import Principal
from orderhouse.runtime.once import Answer
from orderhouse.runtime.web import links
from orderhouse.runtime.web.answers import done, json_answer
from orderhouse.runtime.web.flask_edge import body, needs, once, open_to_all, query, read, write
from orderhouse.users import reads
from orderhouse.users.errors import (
    AboveYou,
    AddressTaken,
    CustomerNotAllowed,
    CustomerUnknown,
    InvitationExpired,
    InvitationNotFound,
    RoleUnknown,
)
from orderhouse.users.models import InvitationState, UserState
from orderhouse.users.routes.records import CustomerRecords, check
from orderhouse.users.routes.users import shown
from orderhouse.users.schemas import (
    ACCEPTANCES,
    INVITATIONS,
    USERS,
    AcceptInvitation,
    InvitationLink,
    InvitationOut,
    InvitationPage,
    InviteUser,
    ListInvitations,
    Target,
    UserOut,
)
from orderhouse.users.service.invitations import InvitationService, Link

# Whoever has the link acts by it alone.
_INVITED = Principal("invited", "service")


def blueprint(service: InvitationService, customers: CustomerRecords) -> Blueprint:
    """Return the invitations' views."""
    views = Blueprint("invitations", __name__)

    @views.post(INVITATIONS)
    @needs(
        "users:write",
        AddressTaken,
        AboveYou,
        RoleUnknown,
        CustomerNotAllowed,
        CustomerUnknown,
        key=True,
        body=InviteUser,
        answers=InvitationOut,
        status=201,
    )
    def invite_user() -> Answer:
        """Invite somebody, who may do nothing before accepting. The link is asked for next."""
        wanted = body(InviteUser)
        check(customers, wanted.customer_id)
        return once(service.invite, wanted, answer=_created)

    @views.get(INVITATIONS)
    @needs("users:read", CursorInvalid, query=ListInvitations, answers=InvitationPage)
    def list_invitations() -> Answer:
        """List invitations, a page at a time; the latest first."""
        wanted = query(ListInvitations)
        page = read(reads.invitations, wanted)
        return json_answer(
            {
                "items": [_shown(one) for one in page.items],
                "next": page.next,
                "links": links.of_page(INVITATIONS, wanted, page.next),
            }
        )

    @views.get(f"{INVITATIONS}/<uuid:invitation_id>")
    @needs("users:read", InvitationNotFound, answers=InvitationOut)
    def get_invitation(invitation_id: UUID) -> Answer:
        """Get an invitation; its link is not told."""
        found = read(reads.invitation, invitation_id)
        if found is None:
            raise InvitationNotFound
        return json_answer(_shown(found))

    @views.delete(f"{INVITATIONS}/<uuid:invitation_id>")
    @needs("users:write", InvitationNotFound, InvitationExpired, AboveYou, key=False, status=204)
    def withdraw_invitation(invitation_id: UUID) -> Answer:
        """Withdraw an invitation that was not accepted; the address is free again."""
        return once(service.withdraw, Target(invitation_id, None), answer=done)

    @views.post(f"{INVITATIONS}/<uuid:invitation_id>/link")
    @needs("users:write", InvitationNotFound, InvitationExpired, AboveYou, answers=InvitationLink, status=201)
    def make_link(invitation_id: UUID) -> Answer:
        """Make the link that lets somebody accept: good for a week, told this once, and in the place of any before."""
        # Kept beside a key it could be read again by whoever reads the database: so it is not.
        return write(service.new_link, Target(invitation_id, None), answer=_linked)

    @views.post(ACCEPTANCES)
    @open_to_all(
        "the token in the body is what lets in",
        InvitationNotFound,
        InvitationExpired,
        body=AcceptInvitation,
        answers=UserOut,
    )
    def accept_invitation() -> Answer:
        """Accept an invitation: whoever was invited is a user who may act. The same token again hears the same."""
        return write(service.accept, body(AcceptInvitation), answer=_accepted, by=_INVITED)

    return views


def _created(invitation: InvitationState) -> Answer:
    return json_answer(_shown(invitation), ("location", f"{INVITATIONS}/{invitation.id}"), status=201)


def _linked(link: Link) -> Answer:
    return json_answer({"token": link.token, "expires_at": as_text(link.expires_at)}, status=201)


def _accepted(user: UserState) -> Answer:
    return json_answer(shown(user, may_write=False))


def _shown(invitation: InvitationState) -> dict[str, Any]:
    own = f"{INVITATIONS}/{invitation.id}"
    ways = {"self": own, "user": f"{USERS}/{invitation.user_id}"}
    if invitation.accepted_at is None:
        ways["link"] = f"{own}/link"
    return {
        "id": invitation.id,
        "user_id": invitation.user_id,
        "invited_by": invitation.invited_by,
        "created_at": as_text(invitation.created_at),
        "expires_at": text_or_none(invitation.expires_at),
        "accepted_at": text_or_none(invitation.accepted_at),
        "links": ways,
    }
