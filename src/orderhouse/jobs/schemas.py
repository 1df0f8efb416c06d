"""What jobs look like on the wire."""

from typing import Annotated, Any, Literal, NamedTuple, get_args
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from orderhouse.jobs.contract import State
from orderhouse.kernel.pages import LARGEST_PAGE, USUAL_PAGE, Cursor
from orderhouse.kernel.text import InstantText, Line, Name

ID = "0197f0e2-7b7a-7c3a-9f52-6f1d2b3c4d5e"

PATH = "/v1/jobs"
SELF = f"{PATH}/{{}}"
CANCELLATION = f"{PATH}/{{}}/cancellation"
RETRY = f"{PATH}/{{}}/retry"
SCHEDULES = "/v1/schedules"
SCHEDULE = f"{SCHEDULES}/{{}}"
FILES = "/v1/files"
FILE = f"{FILES}/{{}}"
CONTENT = f"{FILES}/{{}}/content"

Priority = Literal["high", "normal", "low"]
PRIORITIES: tuple[Priority, ...] = get_args(Priority)

_MONTH_S = 30 * 86_400

KindName = Annotated[Line, Field(min_length=1, max_length=64, examples=["ping"])]
Key = Annotated[Line, Field(min_length=1, max_length=200)]


class _Schema(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class AskJob(_Schema):
    """A job that is wanted."""

    kind: KindName = Field(description="One of those that GET /v1/job-kinds tells of.")
    argument: dict[str, Any] = Field(default_factory=dict, description="What its kind asks for.", examples=[{}])
    priority: Priority = Field("normal", description="Those of a higher one are taken up first.")
    delay_s: int = Field(0, ge=0, le=_MONTH_S, description="How many seconds from now it may begin.")
    deadline_s: int | None = Field(
        None, ge=1, le=2 * _MONTH_S, description="How many seconds from now it is of no use any more: it fails then."
    )
    unique_key: Key | None = Field(
        None, description="While a job of this kind with this key waits or runs, another is refused."
    )
    concurrency_key: Key | None = Field(
        None, description="Of all jobs with this key, whatever their kind, one runs at a time; the others wait."
    )

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "ping", "argument": {"echo": "hello"}}]})


class Progress(_Schema):
    """How far a job is."""

    done: int = Field(examples=[250])
    total: int | None = Field(examples=[1000], description="null where nobody knows.")
    note: str = Field(examples=["writing"], description="What it does at the moment.")


class JobProblem(BaseModel):
    """Why an attempt failed, as a problem."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["/problems/job_broke"])
    code: str = Field(examples=["job_broke"])
    title: str
    detail: str = ""


class JobOut(_Schema):
    """A job."""

    id: Annotated[str, Field(examples=[ID], json_schema_extra={"format": "uuid"})]
    kind: str = Field(examples=["ping"])
    state: State
    priority: Priority
    argument: dict[str, Any]
    owner: str = Field(description="Who asked for it.")
    unique_key: str | None
    concurrency_key: str | None
    attempt: int = Field(description="How often it was taken up.", examples=[1])
    progress: Progress
    cancelling: bool = Field(description="Whether somebody cancelled it while it runs; it ends in a moment.")
    result: dict[str, Any] | None = Field(description="What it came to, once it is done.")
    error: JobProblem | None = Field(description="What its last attempt failed of; of a pending one it is tried again.")
    run_at: InstantText = Field(description="When it may begin, or be tried again.")
    deadline: InstantText | None
    created_at: InstantText
    started_at: InstantText | None = Field(description="When its last attempt began.")
    ended_at: InstantText | None
    version: int = Field(description="Counts its changes; also its ETag.", examples=[3])
    links: dict[str, str] = Field(
        description="Itself, and what may be done next: cancellation or retry.",
        examples=[{"self": SELF.format(ID), "cancellation": CANCELLATION.format(ID)}],
    )


class JobPage(_Schema):
    """A page of jobs."""

    items: list[JobOut]
    next: str | None = Field(description="The cursor of the next page; null on the last.")
    links: dict[str, str] = Field(
        description="Itself, and the next page unless it is the last.", examples=[{"self": f"{PATH}?limit=50"}]
    )


class ListJobs(BaseModel):
    """Which jobs, the latest first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    state: State | None = Field(None, description="Only those in it.")
    kind: KindName | None = Field(None, description="Only those of it.")
    owner: Line | None = Field(None, max_length=200, description="Only somebody's; for those who may see others'.")
    limit: int = Field(USUAL_PAGE, ge=1, le=LARGEST_PAGE, description="How many to a page.")
    cursor: Cursor | None = None


class JobKindOut(_Schema):
    """A kind of job."""

    name: str = Field(examples=["ping"])
    summary: str
    permission: str = Field(examples=["jobs:start"], description="What whoever asks for one needs.")
    attempts: int = Field(examples=[3], description="How often it is tried at most.")
    time_limit_s: float = Field(examples=[3600.0], description="How long an attempt may take.")
    argument: dict[str, Any] = Field(description="The JSON schema of its argument.", examples=[{"type": "object"}])


class JobKinds(_Schema):
    """Every kind of job you may ask for."""

    items: list[JobKindOut]


class Named(NamedTuple):
    """A job, by its id."""

    job_id: UUID


class AddFile(_Schema):
    """A file that is wanted."""

    name: Annotated[str, Field(pattern=r"^[^\x00-\x1F\x7F/\\]*$", min_length=1, max_length=200)] = Field(
        examples=["orders.csv"], description="What it is called; its ending says what it is."
    )


class FileOut(_Schema):
    """A file."""

    id: Annotated[str, Field(examples=[ID], json_schema_extra={"format": "uuid"})]
    name: str = Field(examples=["orders.csv"])
    media_type: str = Field(examples=["text/csv; charset=utf-8"])
    size: int | None = Field(description="In bytes; null until its content is there.", examples=[1024])
    sha256: str | None = Field(description="Of its content, in hexadecimal digits.")
    created_at: InstantText
    expires_at: InstantText = Field(description="When it is removed.")
    links: dict[str, str] = Field(
        description="Itself and its content.", examples=[{"self": FILE.format(ID), "content": CONTENT.format(ID)}]
    )


Cron = Annotated[
    str,
    Field(
        pattern=r"^[0-9A-Za-z*,/#?-]+( [0-9A-Za-z*,/#?-]+){4}$",
        max_length=200,
        examples=["30 6 * * MON-FRI"],
        description="Minute, hour, day of the month, month, day of the week, as Debian's cron has them.",
    ),
]
Zone = Annotated[
    str,
    Field(max_length=64, examples=["Europe/London"], pattern=r"^[A-Za-z0-9_+/-]*$"),
]


class AddSchedule(_Schema):
    """A schedule that is wanted."""

    name: Name = Field(description="No other schedule is called so.", examples=["Sales every Monday"])
    kind: KindName
    argument: dict[str, Any] = Field(default_factory=dict, description="Of each of its jobs.", examples=[{}])
    priority: Priority = "normal"
    cron: Cron
    time_zone: Zone | None = Field(None, description="By whose clocks; the shop's if left out.")
    enabled: bool = True

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Ping every hour", "kind": "ping", "cron": "0 * * * *"}]}
    )


class ChangeSchedule(_Schema):
    """What is to change about a schedule, as a JSON merge patch: what is left out stays."""

    # Never seen: what is left out stays.
    name: Name = Field(default_factory=str)
    argument: dict[str, Any] = Field(default_factory=dict)
    priority: Priority = Field(default_factory=lambda: PRIORITIES[1])
    cron: Cron = Field(default_factory=str)
    time_zone: Zone = Field(default_factory=str)
    enabled: bool = Field(default_factory=bool)

    model_config = ConfigDict(json_schema_extra={"examples": [{"enabled": False}, {"cron": "0 7 * * *"}]})


class ScheduleOut(_Schema):
    """A schedule."""

    id: Annotated[str, Field(examples=[ID], json_schema_extra={"format": "uuid"})]
    name: str
    kind: str = Field(examples=["ping"])
    argument: dict[str, Any]
    priority: Priority
    cron: str = Field(examples=["0 * * * *"])
    time_zone: str = Field(examples=["Europe/London"])
    enabled: bool
    owner: str = Field(description="In whose name its jobs are asked for: who changed it last.")
    next_at: InstantText | None = Field(description="When the next job is asked for.")
    last_at: InstantText | None = Field(description="When its time last came.")
    refused: str | None = Field(description="Why no job came of it then.", examples=["job_kind_not_allowed"])
    version: int = Field(description="Counts what people changed; also its ETag.", examples=[1])
    created_at: InstantText
    updated_at: InstantText
    links: dict[str, str] = Field(
        description="Itself, and the job it asked for last.", examples=[{"self": SCHEDULE.format(ID)}]
    )


class SchedulePage(_Schema):
    """A page of schedules."""

    items: list[ScheduleOut]
    next: str | None = Field(description="The cursor of the next page; null on the last.")
    links: dict[str, str] = Field(
        description="Itself, and the next page unless it is the last.", examples=[{"self": f"{SCHEDULES}?limit=50"}]
    )


class ListSchedules(BaseModel):
    """Which schedules, the latest first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: int = Field(USUAL_PAGE, ge=1, le=LARGEST_PAGE, description="How many to a page.")
    cursor: Cursor | None = None


class ScheduleChange(NamedTuple):
    """A ChangeSchedule for one schedule, at the version the caller last saw."""

    schedule_id: UUID
    wanted: ChangeSchedule
    version: int


class ScheduleSeen(NamedTuple):
    """One schedule, at the version the caller last saw if it said so."""

    schedule_id: UUID
    version: int | None
