"""Every query that writing jobs needs, and nothing else; plain SQL, many rows to a statement."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from uuid import UUID

from orderhouse.jobs.errors import JobAlreadyQueued
from orderhouse.jobs.models import CHANGING, COLUMNS, JOBS, JobState
from orderhouse.kernel.clock import Instant
from orderhouse.kernel.errors import Refusal
from orderhouse.runtime.database.sql import as_id, names
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.queue import Entry, Leased, Queue

REFUSALS: Mapping[str, type[Refusal]] = {"jobs_unique": JobAlreadyQueued}
"""What it means that a constraint of the database was broken."""

_ALL = names(COLUMNS)


class JobRepository:
    """Jobs and their places in the queues, in one transaction.

    Whoever touches both holds the queue's rows before the jobs', so that two transactions never wait for each other.
    """

    def __init__(self, tx: Transaction, queues: Sequence[Queue]) -> None:
        """Work in `tx`; a job waits in the one of `queues` that its priority numbers."""
        self._tx = tx
        self._queues = queues

    def add(self, jobs: Collection[JobState], now: Instant) -> None:
        """Keep new jobs, and let them wait to be claimed."""
        self._tx.add(JOBS, [job.row for job in jobs])
        self.queue(jobs, now)

    def queue(self, jobs: Iterable[JobState], now: Instant) -> None:
        """Let jobs wait to be claimed."""
        for job in jobs:
            self._queues[job.priority].put(self._tx, [Entry("", {}, job.run_at, id=job.id)], now)

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

    def claim(self, limit: int, now: Instant) -> list[Leased]:
        """Lease up to `limit` jobs that are due, the most urgent first."""
        claimed: list[Leased] = []
        for queue in self._queues:
            if len(claimed) < limit:
                claimed += queue.claim(self._tx, limit - len(claimed), now)
        return claimed

    def leased(self, leases: Collection[Leased]) -> dict[UUID, JobState]:
        """Return the jobs of those of `leases` that are still ours; nobody else gets or changes them meanwhile."""
        ours = self._queues[0].held(self._tx, leases)
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
        self._queues[0].extend_all(self._tx, ids, now)

    def put_back(self, job: JobState, *, counted: bool = True) -> None:
        """Let a job that is ours wait for its next attempt; unless `counted`, as if there had been none."""
        self._queues[0].put_back(self._tx, job.id, job.run_at, counted=counted)

    def take_off(self, ids: Collection[UUID]) -> None:
        """Let jobs that are held wait no longer."""
        if ids:
            self._queues[0].take_off(self._tx, ids)

    def change(self, jobs: Iterable[JobState]) -> None:
        """Keep what became of jobs."""
        self._tx.change(JOBS, CHANGING, [job.changed for job in jobs])
