"""A schedule: which job is wanted at which times, by a clock on a wall. And the table it is kept in."""

from dataclasses import dataclass, replace
from datetime import UTC
from typing import Any
from uuid import UUID

import orjson
from cronsim import CronSim, CronSimError
from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, SmallInteger, Table, Text

from orderhouse.jobs import contract
from orderhouse.jobs.errors import CronInvalid, ScheduleZoneUnknown
from orderhouse.jobs.models.jobs import tables
from orderhouse.jobs.schemas import PRIORITIES, AddSchedule, AskJob, ChangeSchedule
from orderhouse.kernel.clock import Instant, from_datetime
from orderhouse.kernel.events import NewFact, Origin
from orderhouse.kernel.ids import new_id
from orderhouse.kernel.principal import Principal
from orderhouse.kernel.zones import local, zone_names
from orderhouse.runtime.database.sql import Row, as_id, as_id_or_none
from orderhouse.runtime.database.tables import Id, Json, partial_index

_ENABLED = "enabled"

SCHEDULES = Table(
    "schedules",
    tables,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("argument", Json, nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("cron", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("owner", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    Column("last_at", BigInteger),
    Column("last_job", Id),
    Column("refused", Text),
    Column("version", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("schedules_name", "name", unique=True),
    # What is to be asked for next.
    partial_index("schedules_next", "next_at", where=_ENABLED),
)

SCHEDULE_COLUMNS = tuple(column.name for column in SCHEDULES.columns)
SCHEDULE_CHANGING = tuple(name for name in SCHEDULE_COLUMNS if name not in ("id", "kind", "created_at"))


def after(cron: str, time_zone: str, instant: Instant) -> Instant:
    """Return when `cron` next says so after an instant, by the clocks of `time_zone`; ScheduleZoneUnknown, CronInvalid.

    An hour that clocks show twice is taken once, and what falls into one they leave out comes right after it.
    """
    if time_zone not in zone_names():
        raise ScheduleZoneUnknown
    try:
        moment = local(instant, time_zone)
        return from_datetime(next(CronSim(cron, moment)).astimezone(UTC))
    except CronSimError as error:
        raise CronInvalid(f"{error}.") from None
    except StopIteration:
        raise CronInvalid("There is no such time.") from None


@dataclass(frozen=True, slots=True)
class ScheduleState:
    """A schedule at one version. Its jobs are asked for in the name and with the rights of who changed it last."""

    id: UUID
    name: str
    kind: str
    argument: Any
    priority: int
    cron: str
    time_zone: str
    enabled: bool
    owner: str
    role: str
    next_at: Instant
    last_at: Instant | None
    last_job: UUID | None
    refused: str | None
    version: int
    created_at: Instant
    updated_at: Instant

    @classmethod
    def added(cls, wanted: AddSchedule, zone: str, by: Principal, at: Instant) -> "ScheduleState":
        """Return a new schedule; CronInvalid."""
        return cls(
            id=new_id(),
            name=wanted.name,
            kind=wanted.kind,
            argument=wanted.argument,
            priority=PRIORITIES.index(wanted.priority),
            cron=wanted.cron,
            time_zone=zone,
            enabled=wanted.enabled,
            owner=by.subject,
            role=by.role,
            next_at=after(wanted.cron, zone, at),
            last_at=None,
            last_job=None,
            refused=None,
            version=1,
            created_at=at,
            updated_at=at,
        )

    @classmethod
    def of(cls, row: Row) -> "ScheduleState":
        """Return the schedule a row holds, which has every column."""
        values = dict(zip(SCHEDULE_COLUMNS, row, strict=True))
        values["id"], values["last_job"] = as_id(values["id"]), as_id_or_none(values["last_job"])
        values["argument"], values["enabled"] = orjson.loads(values["argument"]), bool(values["enabled"])
        return cls(**values)

    def stored(self, names: tuple[str, ...]) -> Row:
        """Return these columns of its row."""
        values = {name: getattr(self, name) for name in names}
        if "argument" in values:
            values["argument"] = orjson.dumps(self.argument).decode()
        return tuple(values.values())

    @property
    def caller(self) -> Principal:
        """In whose name its jobs are asked for."""
        return Principal(self.owner, self.role)

    @property
    def wanted(self) -> AskJob:
        """The job it asks for: not again while the one before waits or runs."""
        priority, alone = PRIORITIES[self.priority], f"schedule {self.id}"
        return AskJob.model_validate(
            {"kind": self.kind, "argument": self.argument, "priority": priority, "unique_key": alone}
        )

    def changed(self, wanted: ChangeSchedule, by: Principal, at: Instant) -> "ScheduleState":
        """Return its next version, whose next time is counted from now on; CronInvalid."""
        given = wanted.model_dump(exclude_unset=True)
        if "priority" in given:
            given["priority"] = PRIORITIES.index(given["priority"])
        new = replace(
            self, **given, owner=by.subject, role=by.role, refused=None, version=self.version + 1, updated_at=at
        )
        return replace(new, next_at=after(new.cron, new.time_zone, at))

    def fired(self, job: UUID | None, refused: str | None, at: Instant) -> "ScheduleState":
        """Return it after its time, with the job that came of it or why none did; what it missed before is over."""
        later = after(self.cron, self.time_zone, at)
        return replace(self, next_at=later, last_at=at, last_job=job or self.last_job, refused=refused)

    def begun(self, at: Instant) -> "ScheduleState":
        """Return it with its first time: one that a house comes with has none yet."""
        return replace(self, next_at=after(self.cron, self.time_zone, at))

    def fact(self, name: str, origin: Origin, at: Instant) -> NewFact:
        """Return what there is to tell of it at this version."""
        told = self.version + (name == contract.SCHEDULE_REMOVED)
        return NewFact(name, self.id, told, {"kind": self.kind, "enabled": self.enabled}, at, origin)
