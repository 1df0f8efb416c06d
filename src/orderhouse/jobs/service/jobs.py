"""What callers may do with jobs: ask for one, cancel it, have it tried again."""

from collections.abc import Callable, Sequence
from uuid import UUID

from orderhouse.jobs.errors import JobAlreadyQueued, JobKindNotAllowed, JobKindUnknown, JobNeverInTime, JobNotFound
from orderhouse.jobs.kind import JobKind, Kinds
from orderhouse.jobs.models.jobs import JobState, Queues
from orderhouse.jobs.repository import JobRepository
from orderhouse.jobs.schemas import AskJob, Named
from orderhouse.kernel.clock import Instant
from orderhouse.kernel.errors import Refusal
from orderhouse.kernel.principal import Principal
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.once import Asked

_AT_ONCE = 500


class JobService:
    """Decides what becomes of what is asked; what it returns is kept when the transaction is."""

    def __init__(self, kinds: Kinds, waiting: Queues | None = None) -> None:
        """Take jobs of `kinds`."""
        self._kinds = kinds
        self._queues = waiting or Queues.leasing()

    def allowed(self, caller: Principal) -> list[JobKind]:
        """Return the kinds `caller` may ask for."""
        return [kind for kind in self._kinds.values() if caller.may(kind.permission)]

    def ask(self, tx: Transaction, asked: Sequence[Asked[AskJob]]) -> Sequence[JobState | Refusal]:
        """Let each job wait to be done, or say why not."""
        jobs = JobRepository(tx, self._queues)
        active = jobs.active([(one.wanted.kind, one.wanted.unique_key) for one in asked if one.wanted.unique_key])
        outcomes = [self._decided(one, active) for one in asked]
        new = [job for job in outcomes if isinstance(job, JobState)]
        if new:
            jobs.add(new, max(one.at for one in asked))
        tx.tell(job.fact(job.created_at) for job in new)
        return outcomes

    def _decided(self, one: Asked[AskJob], active: dict[tuple[str, str], UUID]) -> JobState | Refusal:
        try:
            job = self._asked(one)
        except Refusal as refusal:
            return refusal
        if job.unique_key is not None:
            key = (job.kind, job.unique_key)
            if key in active:
                return JobAlreadyQueued()
            active[key] = job.id
        return job

    def _asked(self, one: Asked[AskJob]) -> JobState:
        kind = self.kind_for(one.wanted.kind, one.caller)
        job = JobState.asked(kind, kind.parsed(one.wanted.argument), one.wanted, one.caller, one.at, one.origin)
        if job.deadline is not None and job.deadline <= job.run_at:
            raise JobNeverInTime
        return job

    def kind_for(self, name: str, caller: Principal) -> JobKind:
        """Return the kind called `name`; JobKindUnknown, or JobKindNotAllowed where `caller` may not have such jobs."""
        kind = self._kinds.get(name)
        if kind is None:
            raise JobKindUnknown(f"There is {', '.join(sorted(self._kinds))}.")
        if not caller.may(kind.permission):
            raise JobKindNotAllowed(f"It needs {kind.permission}.")
        return kind

    def cancel(self, tx: Transaction, asked: Sequence[Asked[Named]]) -> Sequence[JobState | Refusal]:
        """Cancel each job: at once while it waits, and through its worker while it runs."""

        def cancelled(job: JobState, one: Asked[Named]) -> JobState:
            return job.unwanted(one.at)

        return self._each(tx, asked, cancelled)

    def retry(self, tx: Transaction, asked: Sequence[Asked[Named]]) -> Sequence[JobState | Refusal]:
        """Let each job that failed or was cancelled wait again, as if it had never been tried."""

        def retried(job: JobState, one: Asked[Named]) -> JobState:
            return job.retried(one.at)

        return self._each(tx, asked, retried)

    def forget(self, tx: Transaction, asked: Sequence[Instant]) -> Sequence[int]:
        """Remove a few of the jobs that ended before each instant; return how many. What was told of them stays."""
        return [JobRepository(tx, self._queues).forget(before, _AT_ONCE) for before in asked]

    def _each(
        self, tx: Transaction, asked: Sequence[Asked[Named]], act: Callable[[JobState, Asked[Named]], JobState]
    ) -> Sequence[JobState | Refusal]:
        """Let `act` change each job, in the order of asking, and keep it where it belongs."""
        jobs = JobRepository(tx, self._queues)
        held = jobs.queued({one.wanted.job_id for one in asked})
        before = dict(held)
        outcomes: list[JobState | Refusal] = []
        for one in asked:
            try:
                held[one.wanted.job_id] = job = act(_seen(held.get(one.wanted.job_id), one.caller), one)
            except Refusal as refusal:
                outcomes.append(refusal)
                continue
            outcomes.append(job)
            if job.told > before[job.id].told:
                tx.tell([job.fact(one.at, one.origin)])
        changed = [job for job in held.values() if job is not before[job.id]]
        now = max(one.at for one in asked)
        jobs.take_off([job.id for job in changed if before[job.id].active and not job.active])
        jobs.queue([job for job in changed if job.active and not before[job.id].active], now)
        jobs.change(changed)
        return outcomes


def _seen(job: JobState | None, caller: Principal) -> JobState:
    if job is None:
        raise JobNotFound
    if not job.visible_to(caller):
        raise JobNotFound.of_anothers()
    return job
