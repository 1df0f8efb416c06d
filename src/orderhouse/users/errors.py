"""Why users refuses."""

from orderhouse.kernel.errors import Conflict, Forbidden, Invalid, NotFound, Stale


class UserNotFound(NotFound):
    """There is no such user."""

    code = "user_not_found"


class TeamNotFound(NotFound):
    """There is no such team."""

    code = "team_not_found"


class RoleNotFound(NotFound):
    """There is no such custom role."""

    code = "role_not_found"


class InvitationNotFound(NotFound):
    """There is no such invitation, or another link has taken this one's place."""

    code = "invitation_not_found"


class InvitationExpired(Conflict):
    """This invitation has expired; ask for a new link."""

    code = "invitation_expired"


class AddressTaken(Conflict):
    """Another user has this e-mail address."""

    code = "address_taken"


class NotSignedUp(Invalid):
    """Somebody cannot be signed up like this."""

    code = "not_signed_up"


class TeamNameTaken(Conflict):
    """There is a team of this name already."""

    code = "team_name_taken"


class RoleNameTaken(Conflict):
    """There is a role of this name already."""

    code = "role_name_taken"


class RoleInUse(Conflict):
    """Somebody has this role; give them another one first."""

    code = "role_in_use"


class RoleUnknown(Invalid):
    """No user can have a role of this name."""

    code = "role_unknown"


class CustomerUnknown(Invalid):
    """There is no such customer record."""

    code = "customer_record_unknown"


class CustomerNotAllowed(Invalid):
    """A customer record goes with the role customer alone."""

    code = "customer_record_not_allowed"


class AboveYou(Forbidden):
    """This would touch permissions that you do not have; `missing` names them."""

    code = "above_you"


class LastOwner(Conflict):
    """This is the last active owner; make somebody else one first."""

    code = "last_owner"


class NotActive(Conflict):
    """This user is not active."""

    code = "user_not_active"


class NotDeactivated(Conflict):
    """This user was not deactivated."""

    code = "user_not_deactivated"


class StillActive(Conflict):
    """This user is active; deactivate it first."""

    code = "user_still_active"


class MovedOn(Stale):
    """Somebody changed this since you read it; read it again."""

    code = "moved_on"
