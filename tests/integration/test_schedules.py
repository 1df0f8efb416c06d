"""Schedules on SQLite and on PostgreSQL: kept by hand, and one job for each of their times however many look."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest

from orderhouse.jobs import reads
from orderhouse.jobs.models.schedules import ScheduleState
from orderhouse.jobs.schemas import AddSchedule, ListJobs
from orderhouse.jobs.service.schedules import ScheduleService
from orderhouse.kernel import clock
from orderhouse.kernel.clock import Instant
from orderhouse.kernel.principal import Principal
from orderhouse.runtime.database.database import Place
from tests.integration.jobs_world import OWNER, Api, World, asked, opened, served

pytestmark = [pytest.mark.anyio, pytest.mark.context("jobs")]

MINUTE = 60_000_000
PING = {"name": "Ping", "kind": "ping", "cron": "*/5 * * * *"}


@pytest.fixture
async def api(place: Place, tmp_path: Path) -> AsyncIterator[Api]:
    async with served(place, tmp_path) as api:
        yield api


def refused(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("/problems/")


async def added(world: World, at: Instant | None = None, caller: Principal = OWNER, **more: Any) -> UUID:
    wanted = AddSchedule.model_validate({**PING, **more})
    one = asked(wanted, caller)
    if at is not None:
        one = type(one)(one.wanted, one.caller, at, one.origin)
    made: ScheduleState = await world.jobs.database.write(ScheduleService(world.jobs.kinds).add, one)
    return made.id


async def fired(world: World, at: Instant) -> int:
    """Return how many jobs were asked for at `at`."""
    service = ScheduleService(world.jobs.kinds, now=lambda: at)
    return len(await world.jobs.database.write(service.fire, None))


async def jobs(world: World, kind: str = "ping") -> int:
    page = await world.jobs.database.read(reads.page, ListJobs(kind=kind, limit=200), OWNER)
    return len(page.jobs)


async def seen(world: World, schedule_id: UUID) -> ScheduleState:
    found = await world.jobs.database.read(reads.schedule, schedule_id)
    assert found is not None
    return found


async def test_a_time_comes_once_however_many_look(place: Place) -> None:
    async with AsyncExitStack() as stack:
        worlds = [await stack.enter_async_context(opened(place)) for _ in range(3)]
        begun = clock.now() // (5 * MINUTE) * 5 * MINUTE
        await added(worlds[0], at=begun)
        for turn in range(1, 6):
            counts = await asyncio.gather(*(fired(worlds[n % 3], begun + turn * 5 * MINUTE) for n in range(12)))
            assert sum(counts) == 1
            [latest, *_] = (await worlds[0].jobs.database.read(reads.page, ListJobs(kind="ping"), OWNER)).jobs
            await worlds[0].cancel(latest.id)
        assert await jobs(worlds[0]) == 5


async def test_its_job_is_not_asked_for_while_the_one_before_waits_and_what_was_missed_is_over(place: Place) -> None:
    async with opened(place) as world:
        begun = clock.now()
        schedule = await added(world, at=begun)
        assert await fired(world, begun + 60 * MINUTE) == 1
        assert await fired(world, begun + 120 * MINUTE) == 0
        found = await seen(world, schedule)
        assert found.refused is None
        assert found.next_at > begun + 120 * MINUTE
        assert await jobs(world) == 1


async def test_workers_look_at_the_clock_by_themselves(place: Place) -> None:
    async with opened(place) as world, opened(place) as elsewhere:
        schedule = await added(world, at=clock.now() - 10 * MINUTE)
        world.start()
        elsewhere.start()
        async with asyncio.timeout(10):
            while (last := (await seen(world, schedule)).last_job) is None:
                await asyncio.sleep(0.01)
        done = await world.once(last, "done")
        assert (done.owner, done.unique_key) == (OWNER.subject, f"schedule {schedule}")
        assert await jobs(world) == 1


async def test_a_house_comes_with_one_schedule_that_does_not_begin_with_a_job(place: Place) -> None:
    async with opened(place) as world:
        assert await fired(world, clock.now()) == 0
        [found] = await world.jobs.database.read(
            lambda reading: reading.rows("SELECT name, next_at, last_at FROM schedules")
        )
        assert found[0] == "Clean up every night"
        assert clock.now() < found[1] < clock.now() + 25 * 60 * MINUTE
        assert found[2] is None


async def test_a_schedule_whose_job_is_refused_says_why(place: Place) -> None:
    async with opened(place) as world:
        begun = clock.now()
        schedule = await added(world, at=begun, kind="note")
        world.jobs = type(world.jobs)(world.jobs.database, {})
        assert await fired(world, begun + 10 * MINUTE) == 0
        assert (await seen(world, schedule)).refused == "job_kind_unknown"


async def test_a_schedule_is_added_changed_and_removed(api: Api) -> None:
    made = await api("POST", "/v1/schedules", {**PING, "time_zone": "Europe/London"}, role="owner")
    assert made.status_code == 201, made.text
    path = made.headers["location"]
    assert made.json()["links"]["self"] == path
    assert clock.now() < clock.from_text(made.json()["next_at"]) <= clock.now() + 5 * MINUTE
    headers = {"If-Match": made.headers["etag"]}
    changed = await api("PATCH", path, {"enabled": False}, role="manager", subject="meg", headers=headers)
    told = changed.json()
    assert (told["enabled"], told["next_at"], told["owner"], told["version"]) == (False, None, "meg", 2)
    assert {name: told[name] for name in PING} == PING
    assert refused(await api("PATCH", path, {"enabled": True}, role="owner", headers=headers)) == (
        412,
        "schedule_moved_on",
    )
    assert refused(await api("PATCH", path, {"enabled": True}, role="owner")) == (428, "if_match_missing")
    assert await fired(api.world, clock.now() + 10 * MINUTE) == 0
    unchanged = await api("GET", path, role="owner", headers={"If-None-Match": changed.headers["etag"]})
    assert unchanged.status_code == 304
    listed = (await api("GET", "/v1/schedules?limit=1", role="owner")).json()
    assert ([one["id"] for one in listed["items"]], listed["next"] is None) == ([told["id"]], False)
    following = (await api("GET", listed["links"]["next"], role="owner")).json()
    assert [one["name"] for one in following["items"]] == ["Clean up every night"]
    assert (await api("DELETE", path, role="owner")).status_code == 204
    assert refused(await api("GET", path, role="owner")) == (404, "schedule_not_found")
    names = [fact.name for fact in await api.world.told()]
    assert names == ["ScheduleAdded", "ScheduleChanged", "ScheduleRemoved"]


@pytest.mark.parametrize(
    ("wrong", "status", "code"),
    [
        ({"cron": "* * * *"}, 422, "request_invalid"),
        ({"cron": "* * 30 2 *"}, 422, "cron_invalid"),
        ({"cron": "99 * * * *"}, 422, "cron_invalid"),
        ({"time_zone": "Mars/Base"}, 422, "schedule_zone_unknown"),
        ({"time_zone": ""}, 422, "schedule_zone_unknown"),
        ({"kind": "nothing"}, 422, "job_kind_unknown"),
        ({"argument": {"what": 1}}, 422, "job_argument_invalid"),
        ({"name": "Clean up every night"}, 409, "schedule_name_taken"),
    ],
)
async def test_a_schedule_that_cannot_be_is_refused_and_nothing_of_it_stays(
    api: Api, wrong: dict[str, Any], status: int, code: str
) -> None:
    assert refused(await api("POST", "/v1/schedules", {**PING, **wrong}, role="owner")) == (status, code)
    listed = (await api("GET", "/v1/schedules", role="owner")).json()
    assert [one["name"] for one in listed["items"]] == ["Clean up every night"]
    assert await api.world.told() == []


async def test_only_managers_keep_schedules(api: Api) -> None:
    for method, path in (("POST", "/v1/schedules"), ("GET", "/v1/schedules")):
        answer = await api(method, path, PING if method == "POST" else None)
        assert refused(answer) == (403, "permission_missing")
