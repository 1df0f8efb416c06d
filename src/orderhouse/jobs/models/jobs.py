"""A job, the rules that hold for it whoever asks, and the table it is kept in.

Plain SQL writes here: jobs come and go by the thousand a second, many to a statement.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import orjson
from pydantic import BaseModel
from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, SmallInteger, Table, Text

from orderhouse.jobs import contract
from orderhouse.jobs.contract import State
from orderhouse.jobs.errors import JobEnded, JobNotRetryable
from orderhouse.jobs.kind import JobKind, Progress
from orderhouse.jobs.schemas import PRIORITIES, AskJob
from orderhouse.kernel.clock import Instant
from orderhouse.kernel.errors import Refusal
from orderhouse.kernel.events import NewFact, Origin
from orderhouse.kernel.ids import new_id
from orderhouse.kernel.principal import Principal
from orderhouse.runtime.database.sql import Row, as_id
from orderhouse.runtime.database.tables import Id, Json, partial_index, tables_of
from orderhouse.runtime.queue import Queue

tables = tables_of("jobs")

_ACTIVE = "unique_key IS NOT NULL AND state IN ('pending', 'running')"
_WAITING = "concurrency_key IS NOT NULL AND state = 'pending'"
_ENDED = "ended_at IS NOT NULL"

JOBS = Table(
    "jobs",
    tables,
    Column("id", Id, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("argument", Json, nullable=False),
    Column("owner", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("trace", Text, nullable=False),
    Column("unique_key", Text),
    Column("deadline", BigInteger),
    Column("run_at", BigInteger, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("done", BigInteger, nullable=False),
    Column("total", BigInteger),
    Column("note", Text, nullable=False),
    Column("cancelling", Boolean, nullable=False),
    Column("result", Json),
    Column("error", Json),
    Column("told", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("at_home", Boolean, nullable=False),
    Column("concurrency_key", Text),
    # Lists go by the time of asking, which is the primary key's order: of all, of a state, a kind, or an owner.
    Index("jobs_state", "state", "id"),
    Index("jobs_kind", "kind", "id"),
    Index("jobs_owner", "owner", "id"),
    # What ended long ago is removed from the oldest on.
    partial_index("jobs_ended", "ended_at", where=_ENDED),
    # What waits for its concurrency key.
    partial_index("jobs_waiting", "concurrency_key", "id", where=_WAITING),
    # While one with a unique key waits or runs, there is no other.
    partial_index("jobs_unique", "kind", "unique_key", unique=True, where=_ACTIVE),
)

COLUMNS = tuple(column.name for column in JOBS.columns)
CHANGING = (
    "state",
    "run_at",
    "attempt",
    "done",
    "total",
    "note",
    "cancelling",
    "result",
    "error",
    "told",
    "version",
    "started_at",
    "ended_at",
)
"""What a job's life changes about it."""

_JSON = frozenset({"argument", "result", "error"})

LEASE_S = 20.0
"""How long a job whose worker was lost stays unseen where nobody says otherwise."""


@dataclass(frozen=True, slots=True)
class Queues:
    """The queues jobs wait in: one for each priority, the most urgent first, and as many for what is done at home."""

    anywhere: tuple[Queue, ...]
    at_home: tuple[Queue, ...]

    @classmethod
    def leasing(cls, lease: int = int(LEASE_S * 1_000_000)) -> "Queues":
        """Return them, claimed for `lease` microseconds."""
        return cls(
            tuple(Queue(f"jobs:{name}", lease=lease) for name in PRIORITIES),
            tuple(Queue(f"jobs:{name}:home", lease=lease) for name in PRIORITIES),
        )

    def claimed(self, *, home: bool, anywhere: bool) -> tuple[Queue, ...]:
        """Return what to claim from, the most urgent first."""
        wanted = ((self.at_home,) if home else ()) + ((self.anywhere,) if anywhere else ())
        return tuple(queue for equally_urgent in zip(*wanted, strict=True) for queue in equally_urgent)

    def of(self, job: "JobState") -> Queue:
        """Return where a job waits."""
        return (self.at_home if job.at_home else self.anywhere)[job.priority]


@dataclass(frozen=True, slots=True)
class JobState:
    """A job as it is at one version."""

    id: UUID
    kind: str
    state: State
    priority: int
    argument: Any
    owner: str
    role: str
    request_id: str
    trace: str
    unique_key: str | None
    deadline: Instant | None
    run_at: Instant
    attempt: int
    done: int
    total: int | None
    note: str
    cancelling: bool
    result: Any
    error: Mapping[str, Any] | None
    told: int
    version: int
    created_at: Instant
    started_at: Instant | None
    ended_at: Instant | None
    at_home: bool
    concurrency_key: str | None

    @classmethod
    def asked(
        cls, kind: JobKind, argument: BaseModel, wanted: AskJob, by: Principal, at: Instant, origin: Origin
    ) -> "JobState":
        """Return a new job, which waits."""
        return cls(
            id=new_id(),
            kind=kind.name,
            state="pending",
            priority=PRIORITIES.index(wanted.priority),
            argument=argument.model_dump(mode="json"),
            owner=by.subject,
            role=by.role,
            request_id=origin.request_id,
            trace=origin.trace,
            unique_key=wanted.unique_key,
            deadline=None if wanted.deadline_s is None else at + wanted.deadline_s * 1_000_000,
            run_at=at + wanted.delay_s * 1_000_000,
            attempt=0,
            done=0,
            total=None,
            note="",
            cancelling=False,
            result=None,
            error=None,
            told=1,
            version=1,
            created_at=at,
            started_at=None,
            ended_at=None,
            at_home=kind.at_home,
            concurrency_key=wanted.concurrency_key,
        )

    @classmethod
    def of(cls, row: Row) -> "JobState":
        """Return the job a row holds, which has every column."""
        values = dict(zip(COLUMNS, row, strict=True))
        for name in _JSON:
            if values[name] is not None:
                values[name] = orjson.loads(values[name])
        values["id"] = as_id(values["id"])
        for name in ("cancelling", "at_home"):
            values[name] = bool(values[name])
        return cls(**values)

    @property
    def row(self) -> Row:
        """The row that holds it."""
        return tuple(self._stored(name) for name in COLUMNS)

    @property
    def changed(self) -> Row:
        """Its id, and what its life changes."""
        return (self.id, *(self._stored(name) for name in CHANGING))

    def _stored(self, name: str) -> Any:
        value = getattr(self, name)
        return orjson.dumps(value).decode() if name in _JSON and value is not None else value

    @property
    def active(self) -> bool:
        """Whether it waits or runs."""
        return self.state in ("pending", "running")

    @property
    def caller(self) -> Principal:
        """Who it works for."""
        return Principal(self.owner, self.role)

    def visible_to(self, caller: Principal) -> bool:
        """Whether `caller` may know of it."""
        return caller.subject == self.owner or caller.may("jobs:manage")

    def begun(self, attempt: int, at: Instant) -> "JobState":
        """Return it running."""
        return self._next(state="running", attempt=attempt, started_at=at, done=0, total=None, note="")

    def at(self, progress: Progress) -> "JobState":
        """Return it that far."""
        return self._next(done=progress.done, total=progress.total, note=progress.note)

    def again(self, run_at: Instant, error: Mapping[str, Any] | None) -> "JobState":
        """Return it waiting for its next attempt; `error` is what the last one came to."""
        return self._next(state="pending", run_at=run_at, error=error)

    def finished(self, result: Mapping[str, Any] | None, at: Instant) -> "JobState":
        """Return it done."""
        return self._ended("done", at, result=result, error=None)

    def failed(self, error: Mapping[str, Any], at: Instant) -> "JobState":
        """Return it given up."""
        return self._ended("failed", at, error=error)

    def cancelled(self, at: Instant) -> "JobState":
        """Return it cancelled."""
        return self._ended("cancelled", at)

    def unwanted(self, at: Instant) -> "JobState":
        """Return it as it is when somebody cancels it: cancelled, or on the way there while it runs; JobEnded."""
        if not self.active:
            raise JobEnded
        return self._next(cancelling=True) if self.state == "running" else self.cancelled(at)

    def retried(self, at: Instant) -> "JobState":
        """Return it waiting as if it had never been tried; JobNotRetryable unless it failed or was cancelled."""
        if self.state not in ("failed", "cancelled"):
            raise JobNotRetryable
        left_s = None if self.deadline is None else self.deadline - self.created_at
        anew = {
            "deadline": None if left_s is None else at + left_s,
            "started_at": None,
            "ended_at": None,
            "error": None,
        }
        return self._next(
            state="pending", attempt=0, run_at=at, done=0, total=None, note="", told=self.told + 1, **anew
        )

    def _ended(self, state: State, at: Instant, **what: Any) -> "JobState":
        return self._next(state=state, ended_at=at, cancelling=False, told=self.told + 1, **what)

    def _next(self, **what: Any) -> "JobState":
        return replace(self, version=self.version + 1, **what)

    def fact(self, at: Instant, origin: Origin | None = None) -> NewFact:
        """Return what there is to tell of the state it came into, caused by who asked for it or by `origin`."""
        names = {"pending": contract.QUEUED, "done": contract.DONE, "failed": contract.FAILED}
        code = {"code": self.error["code"]} if self.state == "failed" and self.error else {}
        data = {"kind": self.kind, "owner": self.owner, **code}
        caused = origin or Origin(self.owner, self.request_id, self.trace)
        return NewFact(names.get(self.state, contract.CANCELLED), self.id, self.told, data, at, caused)


def problem_of(refusal: Refusal) -> dict[str, Any]:
    """Return why a job failed, told as any refusal is."""
    detail = {"detail": refusal.detail} if refusal.detail else {}
    return {
        "type": f"/problems/{refusal.code}",
        "code": refusal.code,
        "title": refusal.title,
        **detail,
        **refusal.more,
    }
