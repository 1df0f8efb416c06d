"""Why a database cannot take what it is asked."""

from orderhouse.kernel.errors import Conflict, Unavailable


class DatabaseUnavailable(Unavailable):
    """The database cannot be reached right now."""

    code = "database_unavailable"


class DatabaseBusy(Unavailable):
    """More is being written than can be; try again in a moment."""

    code = "database_busy"


class StillRunning(Conflict):
    """The first request with this Idempotency-Key is still running; try again in a moment."""

    code = "request_in_progress"
