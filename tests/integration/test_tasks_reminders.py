"""Reminders, on both databases: told once, when they are due, of what is still to be done."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from orderhouse.kernel.clock import from_text
from orderhouse.runtime.database.database import Place
from orderhouse.tasks.contract import REMINDER_DUE, ReminderData
from orderhouse.tasks.models.due import HOUR
from tests.integration.tasks_world import Api, code, served, told

pytestmark = [pytest.mark.anyio, pytest.mark.context("tasks")]

DUE_ON = "2190-07-01"
DUE_AT = from_text("2190-07-02T00:00:00+01:00")


async def reminded(api: Api, hours_before: float) -> list[tuple[str, int]]:
    """Return of which tasks somebody was reminded by then, and how many hours before their end."""
    now = DUE_AT - int(hours_before * HOUR)
    await api.tasks.timekeeper(now=lambda: now).turn()
    facts = [fact for fact in await told(api.tasks.database) if fact.name == REMINDER_DUE]
    data = [ReminderData.model_validate(fact.data) for fact in facts]
    return [(one.task_id, one.hours_before) for one in data]


async def test_who_is_to_do_it_is_reminded_once_each_time(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        task = await api.task(due_on=DUE_ON, remind_hours_before=[24, 1], assigned_to="ada")
        assert task["remind_hours_before"] == [1, 24]
        assert await reminded(api, 24.1) == []
        assert await reminded(api, 24) == [(task["id"], 24)]
        assert await reminded(api, 23) == [(task["id"], 24)]
        assert await reminded(api, 0.5) == [(task["id"], 24), (task["id"], 1)]
        assert await reminded(api, -100) == [(task["id"], 24), (task["id"], 1)]
        fact = (await told(api.tasks.database))[-1]
        assert ReminderData.model_validate(fact.data) == ReminderData(
            task_id=task["id"], hours_before=1, due_at=DUE_AT, assigned_to="ada"
        )
        assert (await api("GET", task["links"]["self"])).json() == task


async def test_nobody_is_reminded_of_what_is_done_or_due_at_another_time(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        done, moved, opened, gone, dateless = [
            await api.task(f"T{n}", due_on=DUE_ON, remind_hours_before=[24]) for n in range(5)
        ]
        await api.changed(done, status="completed")
        await api.changed(moved, due_on="2190-08-01")
        await api.changed(await api.changed(opened, status="cancelled"), status="pending")
        assert (await api("DELETE", gone["links"]["self"], role="owner")).status_code == 204
        await api.changed(dateless, due_on=None)
        assert await reminded(api, 1) == [(opened["id"], 24)]
        assert await reminded(api, -24 * 31) == [(opened["id"], 24), (moved["id"], 24)]


async def test_a_reminder_whose_time_has_passed_is_not_told(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        await api.task(due_on="2020-01-01", remind_hours_before=[24])
        assert await reminded(api, 0) == []


async def test_several_who_look_at_once_tell_each_reminder_once(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api, served(place, tmp_path) as elsewhere:
        made = [(await api.task(due_on=DUE_ON, remind_hours_before=[24]))["id"] for _ in range(30)]
        found: Any = await asyncio.gather(*(reminded((api, elsewhere)[n % 2], 1) for n in range(6)))
        assert sorted(found[0] and await reminded(api, 1)) == sorted((one, 24) for one in made)


async def test_reminders_that_are_none_are_refused(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        for wrong in ([-1], [1, 1], [9000], [1.5], ["1"], [1, 2, 3, 4, 5, 6], 24):
            refused = await api("POST", "/v1/tasks", {"title": "T", "due_on": DUE_ON, "remind_hours_before": wrong})
            assert code(refused) == (422, "request_invalid"), wrong
