"""Every query that writing jobs needs, and nothing else; plain SQL, many rows to a statement."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from uuid import UUID

from orderhouse.jobs.errors import JobAlreadyQueued, ScheduleNameTaken
from orderhouse.jobs.models.files import FILE_COLUMNS, FILES, FILLED, PIECES, FileState
from orderhouse.jobs.models.jobs import CHANGING, COLUMNS, JOBS, JobState, Queues
from orderhouse.jobs.models.schedules import SCHEDULE_CHANGING, SCHEDULE_COLUMNS, SCHEDULES, ScheduleState
from orderhouse.kernel.clock import Instant
from orderhouse.kernel.errors import Refusal
from orderhouse.runtime.database.sql import as_id, names
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.queue import Entry, Leased, Queue

REFUSALS: Mapping[str, type[Refusal]] = {
    "jobs_unique": JobAlreadyQueued,
    "schedules_name": ScheduleNameTaken,
}
"""What it means that a constraint of the database was broken."""

_ALL = names(COLUMNS)


class JobRepository:
    """Jobs and their places in the queues, in one transaction.

    Whoever touches both holds the queue's rows before the jobs', so that two transactions never wait for each other.
    """

    def __init__(self, tx: Transaction, queues: Queues) -> None:
        """Work in `tx`; jobs wait in `queues`."""
        self._tx = tx
        self._queues = queues

    def add(self, jobs: Collection[JobState], now: Instant) -> None:
        """Keep new jobs, and let them wait to be claimed."""
        self._tx.add(JOBS, [job.row for job in jobs])
        self.queue(jobs, now)

    def queue(self, jobs: Iterable[JobState], now: Instant) -> None:
        """Let jobs wait to be claimed."""
        for job in jobs:
            self._queues.of(job).put(self._tx, [Entry("", {}, job.run_at, id=job.id)], now)

    def active(self, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], UUID]:
        """Return the jobs that wait or run under these pairs of kind and unique key."""
        if not keys:
            return {}
        found = self._tx.rows(
            "SELECT kind, unique_key, id FROM jobs WHERE kind IN :kinds AND unique_key IN :keys "
            "AND unique_key IS NOT NULL AND state IN ('pending', 'running')",
            kinds=list({kind for kind, _ in keys}),
            keys=[key for _, key in keys],
        )
        return {(kind, key): as_id(job_id) for kind, key, job_id in found}

    def claim(self, queues: Sequence[Queue], limit: int, now: Instant) -> list[Leased]:
        """Lease up to `limit` jobs of `queues` that are due, the most urgent first."""
        claimed: list[Leased] = []
        for queue in queues:
            if len(claimed) < limit:
                claimed += queue.claim(self._tx, limit - len(claimed), now)
        return claimed

    def leased(self, leases: Collection[Leased]) -> dict[UUID, JobState]:
        """Return the jobs of those of `leases` that are still ours; nobody else gets or changes them meanwhile."""
        ours = self._queues.anywhere[0].held(self._tx, leases)
        return self.held(ours)

    def queued(self, ids: Collection[UUID]) -> dict[UUID, JobState]:
        """Return these jobs; nobody else claims, ends or changes them meanwhile."""
        self._tx.rows(f"SELECT id FROM queue WHERE id IN :ids ORDER BY id{self._tx.for_update}", ids=list(ids))
        return self.held(ids)

    def held(self, ids: Collection[UUID]) -> dict[UUID, JobState]:
        """Return these jobs; nobody else changes them meanwhile."""
        # In the order of their ids, so that two transactions never wait for each other.
        found = self._tx.rows(
            f"SELECT {_ALL} FROM jobs WHERE id IN :ids ORDER BY id{self._tx.for_update}", ids=list(ids)
        )
        return {job.id: job for job in map(JobState.of, found)}

    def extend(self, ids: Collection[UUID], now: Instant) -> None:
        """Hold the leases of jobs that are ours on."""
        self._queues.anywhere[0].extend_all(self._tx, ids, now)

    def put_back(self, job: JobState, due_at: Instant | None = None, *, counted: bool = True) -> None:
        """Let a job that is ours wait until it may run, or be looked at; unless `counted`, as if never taken up."""
        self._queues.anywhere[0].put_back(self._tx, job.id, due_at or job.run_at, counted=counted)

    def running(self, keys: Collection[str], but: Collection[UUID]) -> set[str]:
        """Return which of these concurrency keys have a job that runs, apart from `but`; until `tx` ends they do.

        Whoever claims jobs with keys comes through here one at a time.
        """
        if self._tx.dialect == "postgresql":
            self._tx.rows("SELECT pg_advisory_xact_lock(hashtext('concurrency keys of ' || current_schema()))")
        found = self._tx.rows(
            "SELECT id, concurrency_key FROM jobs WHERE state = 'running' AND concurrency_key IN :keys",
            keys=list(keys),
        )
        return {key for job_id, key in found if as_id(job_id) not in but}

    def let_follow(self, keys: Collection[str], now: Instant) -> None:
        """Have the next job that waits for each of these concurrency keys looked at now, the most urgent first."""
        for key in sorted(keys):
            locked = " FOR UPDATE OF queue SKIP LOCKED" if self._tx.dialect == "postgresql" else ""
            self._tx.run(
                "UPDATE queue SET due_at = :now WHERE due_at > :now AND id = (SELECT queue.id FROM jobs JOIN queue "
                "ON queue.id = jobs.id WHERE jobs.concurrency_key = :key AND jobs.concurrency_key IS NOT NULL "
                "AND jobs.state = 'pending' AND jobs.run_at <= :now ORDER BY jobs.priority, jobs.id "
                f"LIMIT 1{locked})",
                now=now,
                key=key,
            )

    def take_off(self, ids: Collection[UUID]) -> None:
        """Let jobs that are held wait no longer."""
        if ids:
            self._queues.anywhere[0].take_off(self._tx, ids)

    def change(self, jobs: Iterable[JobState]) -> None:
        """Keep what became of jobs."""
        self._tx.change(JOBS, CHANGING, [job.changed for job in jobs])

    def forget(self, before: Instant, limit: int) -> int:
        """Remove up to `limit` jobs that ended before an instant, the oldest first; return how many."""
        return self._tx.run(
            "DELETE FROM jobs WHERE id IN "
            "(SELECT id FROM jobs WHERE ended_at IS NOT NULL AND ended_at < :before ORDER BY ended_at LIMIT :limit)",
            before=before,
            limit=limit,
        )


class FileRepository:
    """Files and their contents, in one transaction."""

    def __init__(self, tx: Transaction) -> None:
        """Work in `tx`."""
        self._tx = tx

    def add(self, files: Collection[FileState]) -> None:
        """Keep new files."""
        self._tx.add(FILES, [file.row for file in files])

    def put(self, pieces: Iterable[tuple[UUID, int, bytes]], now: Instant) -> None:
        """Keep pieces of contents."""
        self._tx.add(PIECES, [(*piece, now) for piece in pieces])

    def held(self, ids: Collection[UUID]) -> dict[UUID, FileState]:
        """Return these files; nobody else changes them meanwhile."""
        found = self._tx.rows(
            f"SELECT {names(FILE_COLUMNS)} FROM files WHERE id IN :ids ORDER BY id{self._tx.for_update}", ids=list(ids)
        )
        return {file.id: file for file in map(FileState.of, found)}

    def fill(self, files: Iterable[FileState]) -> None:
        """Keep what files are now the whole of."""
        self._tx.change(FILES, FILLED, [(file.id, file.content, file.size, file.digest) for file in files])

    def remove(self, files: Collection[FileState]) -> None:
        """Remove files with their contents."""
        self.drop([file.content for file in files if file.content is not None])
        if files:
            self._tx.run("DELETE FROM files WHERE id IN :ids", ids=[file.id for file in files])

    def drop(self, contents: Collection[UUID]) -> None:
        """Remove contents."""
        if contents:
            self._tx.run("DELETE FROM file_pieces WHERE content IN :contents", contents=list(contents))

    def expired(self, before: Instant, limit: int) -> list[FileState]:
        """Return up to `limit` files that expired before an instant, the oldest first."""
        found = self._tx.rows(
            f"SELECT {names(FILE_COLUMNS)} FROM files WHERE expires_at < :before ORDER BY expires_at LIMIT :limit"
            f"{self._tx.for_update}",
            before=before,
            limit=limit,
        )
        return list(map(FileState.of, found))

    def stray(self, before: Instant, limit: int) -> list[UUID]:
        """Return up to `limit` contents begun before an instant that no file has."""
        found = self._tx.rows(
            "SELECT DISTINCT content FROM file_pieces WHERE kept_at < :before AND NOT EXISTS "
            "(SELECT 1 FROM files WHERE files.content = file_pieces.content) LIMIT :limit",
            before=before,
            limit=limit,
        )
        return [as_id(row[0]) for row in found]


class ScheduleRepository:
    """Schedules, in one transaction."""

    def __init__(self, tx: Transaction) -> None:
        """Work in `tx`."""
        self._tx = tx

    def add(self, schedules: Iterable[ScheduleState]) -> None:
        """Keep new schedules."""
        self._tx.add(SCHEDULES, [one.stored(SCHEDULE_COLUMNS) for one in schedules])

    def held(self, ids: Collection[UUID]) -> dict[UUID, ScheduleState]:
        """Return these schedules; nobody else changes them, or asks for their jobs, meanwhile."""
        found = self._tx.rows(
            f"SELECT {names(SCHEDULE_COLUMNS)} FROM schedules WHERE id IN :ids ORDER BY id{self._tx.for_update}",
            ids=list(ids),
        )
        return {one.id: one for one in map(ScheduleState.of, found)}

    def due(self, now: Instant, limit: int) -> list[ScheduleState]:
        """Return up to `limit` schedules whose time has come; nobody else gets those before `tx` ends."""
        unseen = f"{self._tx.for_update} SKIP LOCKED" if self._tx.dialect == "postgresql" else self._tx.for_update
        found = self._tx.rows(
            f"SELECT {names(SCHEDULE_COLUMNS)} FROM schedules WHERE enabled AND next_at <= :now "
            f"ORDER BY next_at, id LIMIT :limit{unseen}",
            now=now,
            limit=limit,
        )
        return list(map(ScheduleState.of, found))

    def change(self, schedules: Iterable[ScheduleState]) -> None:
        """Keep what became of schedules."""
        self._tx.change(SCHEDULES, SCHEDULE_CHANGING, [(one.id, *one.stored(SCHEDULE_CHANGING)) for one in schedules])

    def remove(self, ids: Collection[UUID]) -> None:
        """Remove schedules."""
        self._tx.run("DELETE FROM schedules WHERE id IN :ids", ids=list(ids))
