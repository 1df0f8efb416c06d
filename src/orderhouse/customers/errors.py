"""Why customers refuses."""

from orderhouse.kernel.errors import Conflict, Invalid, NotFound, Stale


class CustomerNotFound(NotFound):
    """There is no such customer, or it is not yours to see."""

    code = "customer_not_found"


class EmailTaken(Conflict):
    """Another customer has this e-mail address."""

    code = "email_taken"


class ExternalIdTaken(Conflict):
    """There is a customer with this external id already."""

    code = "external_id_taken"


class AlreadyInactive(Conflict):
    """This customer is inactive already."""

    code = "already_inactive"


class AlreadyActive(Conflict):
    """This customer is active already."""

    code = "already_active"


class CustomerMovedOn(Stale):
    """Somebody changed this customer since you read it; read it again."""

    code = "customer_changed"


class CannotAdmit(Invalid):
    """This cannot be a customer."""

    code = "cannot_admit"
