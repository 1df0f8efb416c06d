"""Refusals: why something asked for was not done, in a few kinds, told the same way by every edge.

A refusal is a class with a `code`; its docstring is the title the caller reads. Services return refusals beside
results (one of many may be refused) and edges turn them into RFC 9457 problems by one table.
"""

from collections.abc import Mapping
from typing import ClassVar, Self


class Refusal(Exception):
    """Something asked for was not done, and nothing of it was kept."""

    code: ClassVar[str]

    because_of_caller = False
    """Whether another caller might not have been refused: the audit log is told, and the caller hears no difference."""

    def __init__(self, detail: str = "", **more: object) -> None:
        """Tell the caller `detail`, and `more` as further members of the problem."""
        super().__init__(detail)
        self.detail = detail
        self.more: Mapping[str, object] = more

    @classmethod
    def of_anothers(cls, detail: str = "", **more: object) -> Self:
        """Return this refusal of what may be there, and is not the caller's."""
        refusal = cls(detail, **more)
        refusal.because_of_caller = True
        return refusal

    @property
    def title(self) -> str:
        """What the caller reads first: the first line of the class's docstring."""
        return (type(self).__doc__ or "").strip().splitlines()[0]


class Invalid(Refusal):
    """The request cannot be understood or breaks a rule that holds for everyone."""

    code = "invalid"


class Forbidden(Refusal):
    """You may not do this."""

    code = "forbidden"
    because_of_caller = True


class NotFound(Refusal):
    """There is no such thing, or it is not yours to see."""

    code = "not_found"


class Conflict(Refusal):
    """What is there now does not allow this."""

    code = "conflict"


class Stale(Conflict):
    """Somebody changed this since you read it; read it again."""

    code = "stale"


class Unavailable(Refusal):
    """This cannot be answered right now; try again."""

    code = "unavailable"


class TooMany(Refusal):
    """Too much was asked for; try again later."""

    code = "too_many"

    def __init__(self, detail: str = "", *, retry_after_s: int = 1, **more: object) -> None:
        """Tell the caller how long to wait, in seconds."""
        super().__init__(detail, **more)
        self.retry_after_s = retry_after_s


class Unauthenticated(Refusal):
    """A valid bearer token is needed."""

    code = "unauthenticated"
