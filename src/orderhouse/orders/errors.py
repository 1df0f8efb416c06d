"""Why orders refuses."""

from orderhouse.kernel.errors import Conflict, Forbidden, Invalid, NotFound, Stale


class OrderUnknown(NotFound):
    """There is no such order, or it is not yours to see."""

    code = "order_unknown"


class CustomerUnknown(Invalid):
    """There is no such customer."""

    code = "customer_unknown"


class CustomerInactive(Conflict):
    """This customer is inactive and can place no order."""

    code = "customer_inactive"


class AmountTooLarge(Invalid):
    """The amount of this order is larger than can be kept exactly."""

    code = "amount_too_large"


class ReferenceTaken(Conflict):
    """There is an order with this external reference already."""

    code = "reference_taken"


class AlreadyImported(Conflict):
    """This document was imported before, and is the same."""

    code = "already_imported"


class DocumentChanged(Conflict):
    """This document was imported before, and its content has changed since."""

    code = "document_changed"


class MoveNotAllowed(Conflict):
    """An order cannot go from where it stands to where you want it."""

    code = "move_not_allowed"


class OrderChanged(Stale):
    """Somebody changed this order since you read it; read it again."""

    code = "order_changed"


class AssignmentForbidden(Forbidden):
    """Your role may not assign orders."""

    code = "assignment_forbidden"


class FiltersDoNotCombine(Invalid):
    """These filters cannot be used together."""

    code = "filters_do_not_combine"
