"""What workers do with jobs: claim them, hold them, and say what they came to. An old lease changes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from orderhouse.jobs.errors import JobDeadlinePassed, JobTooSlow, JobWorkersLost
from orderhouse.jobs.kind import JobKind, Kinds, Progress, Stop
from orderhouse.jobs.models.jobs import JobState, Queues, problem_of
from orderhouse.jobs.repository import JobRepository
from orderhouse.kernel import clock
from orderhouse.kernel.clock import Clock, Instant
from orderhouse.kernel.errors import Refusal
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.queue import Leased, LeaseLost

_UNKNOWN_AGAIN = 10_000_000
"""How long a job waits, in microseconds, that was claimed by a worker too old or too new to know its kind."""

_LOOKED_AT_AGAIN = 2_000_000
"""How long a job may lie unseen, in microseconds, whose concurrency key was let go unheard."""


class Claimed(NamedTuple):
    """A job that is ours to do."""

    leased: Leased
    job: JobState
    kind: JobKind


@dataclass(frozen=True, slots=True)
class Done:
    """The function came to its end; `result` is JSON."""

    result: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Failed:
    """The function raised `error`, a problem; one that `lasts` would be met again by any other attempt."""

    error: dict[str, Any]
    lasts: bool


@dataclass(frozen=True, slots=True)
class Stopped:
    """The function stopped, as it was asked to, or is given up because it did not."""

    reason: Stop


Outcome = Done | Failed | Stopped


class Ended(NamedTuple):
    """What a job came to that was ours."""

    claimed: Claimed
    outcome: Outcome


class Beat(NamedTuple):
    """A job that is ours and goes on, and how far it is."""

    leased: Leased
    progress: Progress


class ClaimService:
    """Decides what becomes of jobs that workers do."""

    def __init__(
        self,
        kinds: Kinds,
        waiting: Queues | None = None,
        *,
        home: bool = True,
        anywhere: bool = True,
        now: Clock = clock.now,
    ) -> None:
        """Hand out jobs of `kinds`: those that are done at `home`, those that are done `anywhere`."""
        self._kinds = kinds
        self._now = now
        self._waiting = waiting or Queues.leasing()
        self.queues = self._waiting.claimed(home=home, anywhere=anywhere)
        """The queues that are claimed from, the most urgent first."""

    def claim(self, tx: Transaction, asked: Sequence[int]) -> list[list[Claimed]]:
        """Hand each of those who ask up to so many jobs; what cannot be done any more is ended instead."""
        jobs, now = JobRepository(tx, self._waiting), self._now()
        return [self._claimed(tx, jobs, limit, now) for limit in asked]

    def _claimed(self, tx: Transaction, jobs: JobRepository, limit: int, now: Instant) -> list[Claimed]:
        leases = jobs.claim(self.queues, limit, now)
        held = jobs.held([leased.id for leased in leases])
        taken = self._taken(jobs, held)
        claimed: list[Claimed] = []
        ended: list[JobState] = []
        for leased in leases:
            job, kind = held[leased.id], self._kinds.get(held[leased.id].kind)
            if kind is None:
                jobs.put_back(job.again(now + _UNKNOWN_AGAIN, job.error), counted=False)
            elif (end := _over(job, kind, leased.attempts, now)) is not None:
                ended.append(end)
            elif job.concurrency_key in taken:
                # Looked at again when the one that runs ends; and in any case by and by, as that may be missed.
                jobs.put_back(job, now + _LOOKED_AT_AGAIN, counted=False)
            else:
                taken |= {job.concurrency_key} - {None}
                claimed.append(Claimed(leased, job.begun(leased.attempts, now), kind))
        self._end(tx, jobs, ended, now)
        jobs.change([one.job for one in claimed])
        return claimed

    def _taken(self, jobs: JobRepository, held: Mapping[UUID, JobState]) -> set[str | None]:
        """Return the concurrency keys among these that others run under."""
        keys = {job.concurrency_key for job in held.values() if job.concurrency_key is not None}
        return {*jobs.running(keys, held)} if keys else set()

    def beat(self, tx: Transaction, asked: Sequence[Beat]) -> list[JobState | Refusal]:
        """Hold jobs on and keep how far they are; LeaseLost for those that are ours no longer."""
        jobs, now = JobRepository(tx, self._waiting), self._now()
        held = jobs.leased([one.leased for one in asked])
        jobs.extend(list(held), now)
        moved = [
            held[one.leased.id].at(one.progress)
            for one in asked
            if one.leased.id in held and _progress(held[one.leased.id]) != one.progress
        ]
        jobs.change(moved)
        return [held.get(one.leased.id) or LeaseLost() for one in asked]

    def end(self, tx: Transaction, asked: Sequence[Ended]) -> list[JobState | Refusal]:
        """Keep what jobs came to, each with its effects here; LeaseLost for those that are ours no longer."""
        jobs, now = JobRepository(tx, self._waiting), self._now()
        held = jobs.leased([one.claimed.leased for one in asked])
        outcomes: list[JobState | Refusal] = []
        for one in asked:
            job = held.get(one.claimed.leased.id)
            outcomes.append(LeaseLost() if job is None else _after(job, one, now))
        after = [job for job in outcomes if isinstance(job, JobState)]
        self._end(tx, jobs, [job for job in after if not job.active], now)
        for one, outcome in zip(asked, outcomes, strict=True):
            if isinstance(outcome, JobState) and outcome.active:
                jobs.put_back(outcome, counted=one.outcome != Stopped("leaving"))
        jobs.change([job for job in after if job.active])
        if keys := {job.concurrency_key for job in after if job.concurrency_key is not None}:
            jobs.let_follow(keys, now)
        return outcomes

    def _end(self, tx: Transaction, jobs: JobRepository, ended: Sequence[JobState], now: Instant) -> None:
        jobs.take_off([job.id for job in ended])
        jobs.change(ended)
        tx.tell(job.fact(now) for job in ended)


def _over(job: JobState, kind: JobKind, attempt: int, now: Instant) -> JobState | None:
    """Return how a job ends that is due, but not to be done any more; None when it is."""
    if job.cancelling:
        return job.cancelled(now)
    if job.deadline is not None and job.deadline <= now:
        return job.failed(problem_of(JobDeadlinePassed()), now)
    if attempt > kind.retry.attempts:
        return job.failed(problem_of(JobWorkersLost(f"It was taken up {attempt - 1} times.")), now)
    return None


def _after(job: JobState, ended: Ended, now: Instant) -> JobState:
    """Return a job that was ours after what it came to."""
    outcome, retry = ended.outcome, ended.claimed.kind.retry
    if isinstance(outcome, Done):
        return job.finished(outcome.result, now)
    if job.cancelling or outcome == Stopped("cancelled"):
        return job.cancelled(now)
    if outcome == Stopped("leaving"):
        return job.again(now, job.error)
    if outcome == Stopped("deadline"):
        return job.failed(problem_of(JobDeadlinePassed()), now)
    error = outcome.error if isinstance(outcome, Failed) else problem_of(JobTooSlow())
    again_at = now + retry.delay(job.attempt)
    in_time = job.deadline is None or again_at < job.deadline
    if (isinstance(outcome, Failed) and outcome.lasts) or job.attempt >= retry.attempts or not in_time:
        return job.failed(error, now)
    return job.again(again_at, error)


def _progress(job: JobState) -> Progress:
    return Progress(job.done, job.total, job.note)
