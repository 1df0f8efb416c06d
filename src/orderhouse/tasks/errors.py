"""Why tasks refuses."""

from orderhouse.kernel.errors import Conflict, Invalid, NotFound, Stale


class TaskNotFound(NotFound):
    """There is no such task."""

    code = "task_not_found"


class TaskMovedOn(Stale):
    """Somebody changed this task since you read it; read it again."""

    code = "task_changed"


class StatusNotAllowed(Conflict):
    """A task does not go from the one status to the other; `allowed` says where it goes."""

    code = "task_status_not_allowed"


class TimeZoneUnknown(Invalid):
    """There is no such time zone in IANA's list."""

    code = "time_zone_unknown"
