"""What neighbours may know of jobs: the states one can be in, and the facts told of them."""

from typing import Annotated, Literal, get_args

from pydantic import Field

from orderhouse.kernel.events import FactData, FactKind

State = Literal["pending", "running", "done", "failed", "cancelled"]
STATES: tuple[State, ...] = get_args(State)

QUEUED = "JobQueued"
DONE = "JobDone"
FAILED = "JobFailed"
CANCELLED = "JobCancelled"
SCHEDULE_ADDED = "ScheduleAdded"
SCHEDULE_CHANGED = "ScheduleChanged"
SCHEDULE_REMOVED = "ScheduleRemoved"


class JobData(FactData):
    """Which job."""

    kind: str
    owner: Annotated[str, Field(description="Who asked for it: the subject of a token.")]


class FailureData(JobData):
    """Which job, and why it failed."""

    code: Annotated[str, Field(description="Of the problem.")]


class ScheduleData(FactData):
    """Which kind of job is asked for, and whether it is at the moment."""

    kind: str
    enabled: bool


FACT_KINDS = (
    FactKind(QUEUED, "A job waits to be done: somebody asked for it, or wants it tried again.", JobData),
    FactKind(DONE, "A job was done; told with its effects, once for each time it was queued at most.", JobData),
    FactKind(FAILED, "A job was given up: after its last attempt, or because another would not help.", FailureData),
    FactKind(CANCELLED, "A job was cancelled before it was done.", JobData),
    FactKind(SCHEDULE_ADDED, "Jobs are asked for at certain times from now on.", ScheduleData),
    FactKind(SCHEDULE_CHANGED, "Something about a schedule changed: told of every change somebody made.", ScheduleData),
    FactKind(SCHEDULE_REMOVED, "A schedule asks for no more jobs.", ScheduleData),
)
"""Every fact jobs tells."""
