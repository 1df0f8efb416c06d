"""The worker: claims jobs, runs them, holds them while they run, and keeps what they come to.

Several share the work, in one process or many: a claim is a lease, and a worker that is lost lets it run out, upon
which another takes the job up. A bell wakes it; what nobody rang for it sees at its next look.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import structlog

from orderhouse.jobs import reads
from orderhouse.jobs.errors import JobBroke
from orderhouse.jobs.kind import Control, Progress, Stop
from orderhouse.jobs.models.jobs import JobState, problem_of
from orderhouse.jobs.service.claims import Beat, Claimed, ClaimService, Ended, Failed, Outcome, Stopped
from orderhouse.jobs.service.schedules import ScheduleService
from orderhouse.kernel import clock
from orderhouse.kernel.clock import Clock, Instant
from orderhouse.runtime.database.database import Database
from orderhouse.runtime.queue import LeaseLost, next_due
from orderhouse.runtime.waiting import PASSING, pause_s, rung

log = structlog.get_logger(__name__)

_SECOND = 1_000_000


class Runner(Protocol):
    """Where jobs are run."""

    @property
    def free(self) -> int:
        """How many more jobs it would run at once."""

    def start(self, claimed: Claimed, control: Control) -> "asyncio.Future[Outcome]":
        """Run a job; the future holds what it came to, whatever that is."""


@dataclass(slots=True, eq=False)
class _Running:
    """A job that runs here."""

    claimed: Claimed
    control: Control
    outcome: "asyncio.Future[Outcome]"
    until: Instant
    """When its time is up."""
    held_at: Instant
    shown: Progress
    stopped_at: Instant = 0


class Worker:
    """Does jobs for as long as it runs."""

    POLL_S = 0.1
    """How long what another process put may lie unseen, where it is not heard."""
    BEAT_S = 0.5
    """How often running jobs are looked after: progress kept, leases held, what was cancelled stopped."""
    LOOK_S = 1.0
    """How long a schedule may have been changed before it is noticed."""
    GRACE_S = 5.0
    """How long a job that is to stop may take to; then it is given up, and its end kept without it."""

    def __init__(
        self,
        database: Database,
        claims: ClaimService,
        runner: Runner,
        schedules: ScheduleService | None = None,
        *,
        now: Clock = clock.now,
    ) -> None:
        """Do jobs of `database` in `runner`, and ask for those of `schedules` at their times."""
        self._database = database
        self._claims = claims
        self._runner = runner
        self._schedules = schedules
        self._now = now
        self._hold_every = min(queue.lease for queue in claims.queues) // 4
        self._bell = database.bell()
        self._running: dict[UUID, _Running] = {}
        self._tending: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until cancelled; then no job is claimed any more, and those that run are waited for or put back."""
        beside = [asyncio.create_task(self._beats(), name="job beats")]
        if self._schedules is not None:
            beside.append(asyncio.create_task(self._times(self._schedules), name="job schedules"))
        failures = 0
        try:
            while True:
                try:
                    await self._turn()
                    failures = 0
                except Exception as error:  # noqa: BLE001 - a worker outlives whatever its database suffers
                    failures += 1
                    level = log.warning if isinstance(error, PASSING) else log.exception
                    level("worker_waits", failures=failures, error=type(error).__name__)
                    await asyncio.sleep(pause_s(failures))
        finally:
            await self._leave()
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    async def _turn(self) -> None:
        """Claim what is due, as much as there is room for, and otherwise wait until something may be."""
        self._bell.clear()
        free, due = self._runner.free, None
        if free > 0:
            due = await self._database.read(next_due, self._claims.queues)
            if due is not None and due <= self._now():
                claimed = await self._database.write(self._claims.claim, free)
                for one in claimed:
                    self._start(one)
                if claimed:
                    return
        wait_s = self._database.patience_s(self.POLL_S)
        if due is not None:
            wait_s = min(wait_s, max(0.001, (due - self._now()) / _SECOND))
        await rung(self._bell, wait_s)

    def _start(self, claimed: Claimed) -> None:
        now, control = self._now(), Control()
        until = now + int(claimed.kind.time_limit_s * _SECOND)
        if claimed.job.deadline is not None:
            until = min(until, claimed.job.deadline)
        outcome = self._runner.start(claimed, control)
        running = _Running(claimed, control, outcome, until, now, control.progress)
        self._running[claimed.job.id] = running
        task = asyncio.create_task(self._tend(running))
        self._tending.add(task)
        task.add_done_callback(self._tending.discard)

    async def _tend(self, running: _Running) -> None:
        """Wait for a job's end, and keep it."""
        try:
            outcome = await running.outcome
            if running.control.reason != "lost":
                await self._keep(Ended(running.claimed, outcome))
        finally:
            if self._running.get(running.claimed.job.id) is running:
                del self._running[running.claimed.job.id]
            self._bell.set()

    async def _keep(self, ended: Ended) -> None:
        """Keep what a job came to, as long as it is ours and however long the database takes."""
        failures = 0
        while True:
            try:
                _told(await self._database.write(self._claims.end, ended))
                return
            except LeaseLost:
                log.warning("job_lease_lost", job=str(ended.claimed.job.id), kind=ended.claimed.kind.name)
                return
            except PASSING:
                failures += 1
                await asyncio.sleep(pause_s(failures))
            except Exception:  # its end cannot be kept as it is, and must be told all the same
                log.exception("job_end_not_kept", job=str(ended.claimed.job.id), kind=ended.claimed.kind.name)
                if isinstance(ended.outcome, Failed):
                    return
                ended = Ended(ended.claimed, Failed(problem_of(JobBroke()), lasts=False))

    async def _times(self, schedules: ScheduleService) -> None:
        """Ask for jobs of schedules when their time has come. All workers look; whoever comes first asks."""
        while True:
            try:
                at = await self._database.read(reads.next_time)
                if at is not None and at <= self._now():
                    for job in await self._database.write(schedules.fire, None):
                        log.info("job_scheduled", job=str(job.id), kind=job.kind)
                    at = await self._database.read(reads.next_time)
            except Exception as error:  # noqa: BLE001 - the next look may reach the database again
                log.warning("schedules_not_looked_at", error=type(error).__name__)
                at = None
            left_s = self.LOOK_S if at is None else (at - self._now()) / _SECOND
            # Somebody may change a schedule meanwhile: a second is as exact as cron is.
            await asyncio.sleep(min(self.LOOK_S, max(0.01, left_s)))

    async def _beats(self) -> None:
        """Look after what runs, again and again."""
        while True:
            await asyncio.sleep(self.BEAT_S)
            try:
                await self._beat()
            except Exception as error:  # noqa: BLE001 - the next beat may reach the database again
                log.warning("worker_beat_missed", error=type(error).__name__)

    async def _beat(self) -> None:
        now = self._now()
        for running in self._running.values():
            if now > running.until:
                self._stop(running, "deadline" if running.until == running.claimed.job.deadline else "too_slow")
            if running.stopped_at and now > running.stopped_at + self.GRACE_S * _SECOND and not running.outcome.done():
                # Its thread goes on for as long as it likes; nothing that it does is kept here.
                log.error("job_does_not_stop", job=str(running.claimed.job.id), kind=running.claimed.kind.name)
                running.outcome.set_result(Stopped(running.control.reason or "lost"))
        held = [one for one in self._running.values() if now - one.held_at > self._hold_every or self._moved(one)]
        for running, outcome in zip(held, await self._held(held), strict=True):
            if isinstance(outcome, LeaseLost):
                self._stop(running, "lost")
            elif isinstance(outcome, JobState) and outcome.cancelling:
                self._stop(running, "cancelled")
        if others := [job_id for job_id, one in self._running.items() if one not in held]:
            for job_id in await self._database.read(reads.cancelling, others):
                if job_id in self._running:
                    self._stop(self._running[job_id], "cancelled")

    async def _held(self, held: Sequence[_Running]) -> Sequence[object]:
        if not held:
            return []
        now = self._now()
        beats = [Beat(one.claimed.leased, one.control.progress) for one in held]
        outcomes = await self._database.write_many(self._claims.beat, beats)
        for running, beat in zip(held, beats, strict=True):
            running.held_at, running.shown = now, beat.progress
        return outcomes

    def _moved(self, running: _Running) -> bool:
        return running.control.progress != running.shown

    def _stop(self, running: _Running, reason: Stop) -> None:
        running.control.stop(reason)
        running.stopped_at = running.stopped_at or self._now()

    async def _leave(self) -> None:
        """Let what runs come to its end, or stop; what does neither in time is left to its lease."""
        for running in self._running.values():
            self._stop(running, "leaving")
        if self._tending:
            await asyncio.wait(self._tending, timeout=self.GRACE_S)


def _told(job: JobState) -> None:
    """Log what became of a job."""
    level = log.info if job.state in ("done", "cancelled") else log.warning
    code = job.error["code"] if job.error else None
    level("job", job=str(job.id), kind=job.kind, state=job.state, attempt=job.attempt, error=code)
