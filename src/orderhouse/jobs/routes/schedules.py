"""Schedules over HTTP."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query

from orderhouse.jobs import reads, schemas
from orderhouse.jobs.errors import (
    CronInvalid,
    JobArgumentInvalid,
    JobKindNotAllowed,
    JobKindUnknown,
    ScheduleMovedOn,
    ScheduleNameTaken,
    ScheduleNotFound,
    ScheduleZoneUnknown,
)
from orderhouse.jobs.models.schedules import ScheduleState
from orderhouse.jobs.schemas import (
    PRIORITIES,
    AddSchedule,
    ChangeSchedule,
    ListSchedules,
    ScheduleChange,
    ScheduleOut,
    SchedulePage,
    ScheduleSeen,
)
from orderhouse.jobs.service.schedules import ScheduleService
from orderhouse.kernel.clock import as_text
from orderhouse.kernel.pages import CursorInvalid
from orderhouse.runtime.database.database import Database
from orderhouse.runtime.once import Answer
from orderhouse.runtime.web import links
from orderhouse.runtime.web.answers import done, etag, json_answer, unchanged
from orderhouse.runtime.web.fastapi_edge import Edge, IfMatch, IfMatchMaybe, IfNoneMatch, Once, needs

_REFUSES = (CronInvalid, ScheduleZoneUnknown, JobKindUnknown, JobKindNotAllowed, JobArgumentInvalid, ScheduleNameTaken)


def routes(edge: Edge, database: Database, service: ScheduleService) -> APIRouter:
    """Return the schedules' routes."""
    router = edge.router(schemas.SCHEDULES, "schedules")

    @router.post("", status_code=201, response_model=ScheduleOut, **needs("jobs:manage", *_REFUSES, key=True))
    async def add_schedule(wanted: AddSchedule, once: Once) -> Answer:
        """Add a schedule: its jobs are asked for at its times, in your name and with what you may do."""
        return await once(service.add, wanted, answer=_added)

    @router.get("", response_model=SchedulePage, **needs("jobs:manage", CursorInvalid))
    async def list_schedules(wanted: Annotated[ListSchedules, Query()]) -> Answer:
        """List all schedules, a page at a time; the latest first."""
        page = await database.read(reads.schedules, wanted)
        return json_answer(
            {
                "items": [_shown(schedule) for schedule in page.schedules],
                "next": page.next,
                "links": links.of_page(schemas.SCHEDULES, wanted, page.next),
            }
        )

    @router.get(
        "/{schedule_id}",
        response_model=ScheduleOut,
        **needs("jobs:manage", ScheduleNotFound),
    )
    async def get_schedule(schedule_id: UUID, unless: IfNoneMatch) -> Answer:
        """Get a schedule: when its next job is asked for, and what came of the last time."""
        schedule = await database.read(reads.schedule, schedule_id)
        if schedule is None:
            raise ScheduleNotFound
        # Its times go on without a new version: that is of what is wanted.
        return unchanged(etag(schedule.version), unless) or _changed(schedule)

    @router.patch(
        "/{schedule_id}",
        response_model=ScheduleOut,
        **needs("jobs:manage", ScheduleNotFound, ScheduleMovedOn, *_REFUSES),
    )
    async def change_schedule(schedule_id: UUID, wanted: ChangeSchedule, match: IfMatch, once: Once) -> Answer:
        """Change what the body names about a schedule; it is yours from then on."""
        return await once(service.change, ScheduleChange(schedule_id, wanted, match), answer=_changed)

    @router.delete(
        "/{schedule_id}",
        status_code=204,
        response_model=None,
        **needs("jobs:manage", ScheduleNotFound, ScheduleMovedOn),
    )
    async def remove_schedule(schedule_id: UUID, match: IfMatchMaybe, once: Once) -> Answer:
        """Remove a schedule; its jobs stay."""
        return await once(service.remove, ScheduleSeen(schedule_id, match), answer=done)

    return router


def _added(schedule: ScheduleState) -> Answer:
    where = ("location", schemas.SCHEDULE.format(schedule.id))
    return json_answer(_shown(schedule), where, etag(schedule.version), status=201)


def _changed(schedule: ScheduleState) -> Answer:
    return json_answer(_shown(schedule), etag(schedule.version))


def _shown(schedule: ScheduleState) -> dict[str, Any]:
    last = {"last_job": schemas.SELF.format(schedule.last_job)} if schedule.last_job else {}
    return {
        "id": schedule.id,
        "name": schedule.name,
        "kind": schedule.kind,
        "argument": schedule.argument,
        "priority": PRIORITIES[schedule.priority],
        "cron": schedule.cron,
        "time_zone": schedule.time_zone,
        "enabled": schedule.enabled,
        "owner": schedule.owner,
        "next_at": as_text(schedule.next_at) if schedule.enabled and schedule.next_at else None,
        "last_at": as_text(schedule.last_at) if schedule.last_at else None,
        "refused": schedule.refused,
        "version": schedule.version,
        "created_at": as_text(schedule.created_at),
        "updated_at": as_text(schedule.updated_at),
        "links": {"self": schemas.SCHEDULE.format(schedule.id), **last},
    }
