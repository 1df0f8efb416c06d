"""What becomes of schedules, and of the jobs they ask for: one for each time, however many look at the clock."""

from collections.abc import Callable, Sequence
from typing import TypeVar
from uuid import UUID

from orderhouse.jobs import contract
from orderhouse.jobs.errors import (
    JobAlreadyQueued,
    ScheduleMovedOn,
    ScheduleNotFound,
)
from orderhouse.jobs.kind import Kinds
from orderhouse.jobs.models.jobs import JobState
from orderhouse.jobs.models.schedules import ScheduleState
from orderhouse.jobs.repository import ScheduleRepository
from orderhouse.jobs.schemas import AddSchedule, ScheduleChange, ScheduleSeen
from orderhouse.jobs.service.jobs import JobService
from orderhouse.kernel import clock
from orderhouse.kernel.clock import Clock
from orderhouse.kernel.errors import Refusal
from orderhouse.kernel.events import Origin
from orderhouse.kernel.principal import Principal
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.once import Asked

A = TypeVar("A")

_AT_ONCE = 50


class ScheduleService:
    """Decides what becomes of schedules; what it returns is kept when the transaction is."""

    def __init__(self, kinds: Kinds, time_zone: str = "UTC", *, now: Clock = clock.now) -> None:
        """Ask for jobs of `kinds`, by the clocks of `time_zone` where a schedule names no other."""
        self._time_zone = time_zone
        self._now = now
        self._jobs = JobService(kinds)

    def add(self, tx: Transaction, asked: Sequence[Asked[AddSchedule]]) -> Sequence[ScheduleState | Refusal]:
        """Add each schedule, or say why not."""

        def added(one: Asked[AddSchedule]) -> ScheduleState:
            self._check(one.wanted.kind, one.wanted.argument, one.caller)
            zone = self._time_zone if one.wanted.time_zone is None else one.wanted.time_zone
            schedule = ScheduleState.added(one.wanted, zone, one.caller, one.at)
            ScheduleRepository(tx).add([schedule])
            tx.tell([schedule.fact(contract.SCHEDULE_ADDED, one.origin, one.at)])
            return schedule

        return [_decided(added, one) for one in asked]

    def change(self, tx: Transaction, asked: Sequence[Asked[ScheduleChange]]) -> Sequence[ScheduleState | Refusal]:
        """Change what is named about each schedule, or say why not."""
        schedules = ScheduleRepository(tx)
        held = schedules.held({one.wanted.schedule_id for one in asked})

        def changed(one: Asked[ScheduleChange]) -> ScheduleState:
            schedule = _seen(held, one.wanted.schedule_id, one.wanted.version)
            schedule = schedule.changed(one.wanted.wanted, one.caller, one.at)
            self._check(schedule.kind, schedule.argument, one.caller)
            held[schedule.id] = schedule
            tx.tell([schedule.fact(contract.SCHEDULE_CHANGED, one.origin, one.at)])
            return schedule

        outcomes = [_decided(changed, one) for one in asked]
        latest = {one.id: one for one in outcomes if isinstance(one, ScheduleState)}
        schedules.change(latest.values())
        return outcomes

    def remove(self, tx: Transaction, asked: Sequence[Asked[ScheduleSeen]]) -> Sequence[ScheduleState | Refusal]:
        """Remove each schedule, or say why not; its jobs stay."""
        schedules = ScheduleRepository(tx)
        held = schedules.held({one.wanted.schedule_id for one in asked})

        def removed(one: Asked[ScheduleSeen]) -> ScheduleState:
            schedule = _seen(held, one.wanted.schedule_id, one.wanted.version)
            schedules.remove([held.pop(schedule.id).id])
            tx.tell([schedule.fact(contract.SCHEDULE_REMOVED, one.origin, one.at)])
            return schedule

        return [_decided(removed, one) for one in asked]

    def fire(self, tx: Transaction, asked: Sequence[None]) -> Sequence[list[JobState]]:
        """Ask for the jobs whose time has come. Nobody else does meanwhile, so each time comes once.

        What came due while nobody looked is asked for once, and not while the job before still waits or runs.
        """
        return [self._fired(tx) for _ in asked]

    def _fired(self, tx: Transaction) -> list[JobState]:
        now, schedules = self._now(), ScheduleRepository(tx)
        found = schedules.due(now, _AT_ONCE)
        schedules.change([one.begun(now) for one in found if not one.next_at])
        due = [one for one in found if one.next_at]
        asked = [Asked(one.wanted, one.caller, now, Origin(one.owner, f"schedule {one.id}")) for one in due]
        outcomes = self._jobs.ask(tx, asked)
        schedules.change(map(_after, due, outcomes, [now] * len(due)))
        return [outcome for outcome in outcomes if isinstance(outcome, JobState)]

    def _check(self, kind: str, argument: object, caller: Principal) -> None:
        """Raise why `caller` may not have such jobs, now rather than at each of their times."""
        self._jobs.kind_for(kind, caller).parsed(argument)


def _decided(decide: Callable[[A], ScheduleState], one: A) -> ScheduleState | Refusal:
    try:
        return decide(one)
    except Refusal as refusal:
        return refusal


def _seen(held: dict[UUID, ScheduleState], schedule_id: UUID, version: int | None) -> ScheduleState:
    schedule = held.get(schedule_id)
    if schedule is None:
        raise ScheduleNotFound
    if version is not None and schedule.version != version:
        raise ScheduleMovedOn
    return schedule


def _after(schedule: ScheduleState, outcome: JobState | Refusal, now: int) -> ScheduleState:
    if isinstance(outcome, JobState):
        return schedule.fired(outcome.id, None, now)
    # That the job before still runs is nothing to be told of; what else it is refused for lasts.
    why = None if isinstance(outcome, JobAlreadyQueued) else outcome.code
    return schedule.fired(None, why, now)
