"""Questions about jobs, files and schedules: one, and pages of lists. Plain SQL, the same on both databases."""

from collections.abc import Collection, Sequence
from typing import NamedTuple
from uuid import UUID

from orderhouse.jobs.errors import JobNotFound
from orderhouse.jobs.models.files import FILE_COLUMNS, FileState
from orderhouse.jobs.models.jobs import COLUMNS, JobState
from orderhouse.jobs.models.schedules import SCHEDULE_COLUMNS, ScheduleState
from orderhouse.jobs.schemas import ListJobs, ListSchedules
from orderhouse.kernel import pages
from orderhouse.kernel.clock import Instant
from orderhouse.kernel.principal import Principal
from orderhouse.runtime.database.sql import as_id, names
from orderhouse.runtime.database.transaction import Reading

_ALL = names(COLUMNS)
_LIST = "jobs"


class Page(NamedTuple):
    """Some jobs of a list, and the cursor of the next page."""

    jobs: Sequence[JobState]
    next: str | None


def one(reading: Reading, job_id: UUID, caller: Principal) -> JobState | None:
    """Return a job; None when there is none, JobNotFound when it is not `caller`'s to know of."""
    found = reading.row(f"SELECT {_ALL} FROM jobs WHERE id = :id", id=job_id)
    job = JobState.of(found) if found else None
    if job is not None and not job.visible_to(caller):
        raise JobNotFound.of_anothers()
    return job


def page(reading: Reading, wanted: ListJobs, caller: Principal) -> Page:
    """Return the page that is wanted of the jobs `caller` may know of, the latest first. Reads by one index."""
    values: dict[str, object] = {
        name: value for name in ("state", "kind", "owner") if (value := getattr(wanted, name)) is not None
    }
    if not caller.may("jobs:manage"):
        # Whoever else's jobs are asked for, there are none to be seen.
        values["own"] = caller.subject
    conditions = [f"{'owner' if name == 'own' else name} = :{name}" for name in values]
    if wanted.cursor is not None:
        conditions.append("id < :after")
        (values["after"],) = pages.key_of(_LIST, wanted.cursor, UUID)
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    found = reading.rows(
        f"SELECT {_ALL} FROM jobs{where} ORDER BY id DESC LIMIT :limit", **values, limit=wanted.limit + 1
    )
    jobs = [JobState.of(row) for row in found[: wanted.limit]]
    return Page(jobs, pages.cursor_of(_LIST, jobs[-1].id) if len(found) > wanted.limit else None)


def cancelling(reading: Reading, ids: Collection[UUID]) -> list[UUID]:
    """Return which of these running jobs somebody wants cancelled."""
    found = reading.rows("SELECT id FROM jobs WHERE id IN :ids AND cancelling", ids=list(ids))
    return [as_id(row[0]) for row in found]


def file(reading: Reading, file_id: UUID, caller: Principal) -> FileState | None:
    """Return a file; None when there is none that `caller` may know of."""
    found = reading.row(f"SELECT {names(FILE_COLUMNS)} FROM files WHERE id = :id", id=file_id)
    known = FileState.of(found) if found else None
    return known if known is not None and known.visible_to(caller) else None


def piece(reading: Reading, content: UUID | None, number: int) -> bytes | None:
    """Return a piece of a content; None when it is not there."""
    found = reading.row(
        "SELECT data FROM file_pieces WHERE content = :content AND number = :number", content=content, number=number
    )
    return found[0] if found else None


class SchedulePage(NamedTuple):
    """Some schedules of the list, and the cursor of the next page."""

    schedules: Sequence[ScheduleState]
    next: str | None


def schedule(reading: Reading, schedule_id: UUID) -> ScheduleState | None:
    """Return a schedule; None when there is none."""
    found = reading.row(f"SELECT {names(SCHEDULE_COLUMNS)} FROM schedules WHERE id = :id", id=schedule_id)
    return ScheduleState.of(found) if found else None


def schedules(reading: Reading, wanted: ListSchedules) -> SchedulePage:
    """Return the page that is wanted of all schedules, the latest first."""
    values: dict[str, object] = {}
    if wanted.cursor is not None:
        (values["after"],) = pages.key_of("schedules", wanted.cursor, UUID)
    where = " WHERE id < :after" if values else ""
    found = reading.rows(
        f"SELECT {names(SCHEDULE_COLUMNS)} FROM schedules{where} ORDER BY id DESC LIMIT :limit",
        **values,
        limit=wanted.limit + 1,
    )
    shown = [ScheduleState.of(row) for row in found[: wanted.limit]]
    return SchedulePage(shown, pages.cursor_of("schedules", shown[-1].id) if len(found) > wanted.limit else None)


def next_time(reading: Reading) -> Instant | None:
    """Return when the next job of a schedule is to be asked for; None for never."""
    found = reading.row("SELECT next_at FROM schedules WHERE enabled ORDER BY next_at LIMIT 1")
    return int(found[0]) if found else None


def waiting(reading: Reading) -> bool:
    """Return whether any job waits or runs."""
    return bool(reading.row("SELECT 1 FROM jobs WHERE state IN ('pending', 'running') LIMIT 1"))
