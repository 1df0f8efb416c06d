"""Why tasks refuses."""

from orderhouse.kernel.errors import Conflict, Forbidden, Invalid, NotFound, Stale


class TaskNotFound(NotFound):
    """There is no such task."""

    code = "task_not_found"


class TaskMovedOn(Stale):
    """Somebody changed this task since you read it; read it again."""

    code = "task_changed"


class StatusNotAllowed(Conflict):
    """A task does not go from the one status to the other; `allowed` says where it goes."""

    code = "task_status_not_allowed"


class CommentNotFound(NotFound):
    """There is no such comment."""

    code = "comment_not_found"


class CommentMovedOn(Stale):
    """Somebody changed this comment since you read it; read it again."""

    code = "comment_changed"


class CommentNotYours(Forbidden):
    """Only who said it changes a comment; besides, whoever may remove tasks removes it."""

    code = "comment_not_yours"


class ItemNotFound(NotFound):
    """There is no such item on a checklist."""

    code = "item_not_found"


class ItemMovedOn(Stale):
    """Somebody changed this item since you read it; read it again."""

    code = "item_changed"


class ChecklistFull(Conflict):
    """A checklist holds no more items than this one has."""

    code = "checklist_full"


class RuleNotFound(NotFound):
    """There is no such rule."""

    code = "rule_not_found"


class RuleMovedOn(Stale):
    """Somebody changed this rule since you read it; read it again."""

    code = "rule_changed"


class RulesFull(Conflict):
    """There are as many rules as there may be."""

    code = "rules_full"


class TimeZoneUnknown(Invalid):
    """There is no such time zone in IANA's list."""

    code = "time_zone_unknown"
