"""What the database makes certain of, on SQLite and on PostgreSQL: lists by an index, one winner, no drift."""

from collections import Counter
from typing import Any

import pytest
from pydantic import TypeAdapter

from orderhouse.kernel.pages import CursorInvalid, cursor_of
from orderhouse.runtime import migrate
from orderhouse.runtime.database.database import Place
from orderhouse.runtime.database.transaction import Reading
from orderhouse.tasks import reads
from orderhouse.tasks.contract import FACT_KINDS, ChangedData, TaskData
from orderhouse.tasks.errors import TaskMovedOn, TaskNotFound
from orderhouse.tasks.models.due import NEVER
from orderhouse.tasks.models.tasks import TaskState
from orderhouse.tasks.schemas.shared import Target
from orderhouse.tasks.schemas.tasks import AddTask, Change, ChangeTask, ListTasks
from orderhouse.tasks.wiring import SCHEMA, Tasks
from tests.integration.tasks_world import added, asked, opened, together, told

pytestmark = [pytest.mark.anyio, pytest.mark.context("tasks")]

LIST = TypeAdapter(ListTasks)
SORTS = ["-created_at", "created_at", "due", "priority"]


async def listed(tasks: Tasks, **wanted: Any) -> reads.Page:
    return await tasks.database.read(reads.page, LIST.validate_strings({n: str(v) for n, v in wanted.items()}))


async def filled(tasks: Tasks, many: int) -> list[TaskState]:
    """Add tasks of all sorts, some without a due date and many with the same."""
    wanted = [
        AddTask.model_validate(
            {
                "title": f"Task {n} {'zoe' if n % 50 == 0 else 'call'}",
                "status": ("pending", "in_progress", "completed", "cancelled")[n % 4],
                "priority": ("low", "medium", "high", "urgent")[n % 3],
                "tags": [f"t{n % 40}"],
                "watchers": [f"w{n % 40}"],
                "assigned_to": f"clerk-{n % 30}" if n % 3 else None,
                "due_on": f"2026-07-{1 + n % 9:02}" if n % 4 else None,
            }
        )
        for n in range(many)
    ]
    outcomes = await tasks.database.write_many(tasks.service.add, [asked(one) for one in wanted])
    return [one for one in outcomes if isinstance(one, TaskState)]


async def change(tasks: Tasks, task: TaskState, **said: Any) -> TaskState:
    wanted = Change(task.id, ChangeTask.model_validate(said), task.version)
    return await tasks.database.write(tasks.service.change, asked(wanted))


@pytest.mark.parametrize("sort", SORTS)
async def test_pages_miss_and_repeat_nothing(place: Place, sort: str) -> None:
    async with opened(place) as tasks:
        made = await filled(tasks, 25)
        walked: list[TaskState] = []
        page = await listed(tasks, sort=sort, limit=7)
        while True:
            walked += page.tasks
            if page.next is None:
                break
            page = await listed(tasks, sort=sort, limit=7, cursor=page.next)
        by_offset = [one for at in (0, 10, 20) for one in (await listed(tasks, sort=sort, limit=10, offset=at)).tasks]
        assert walked == by_offset
        urgency = {"urgent": 0, "high": 1, "medium": 2, "low": 3}
        keys = {
            "created_at": lambda one: one.id,
            "due": lambda one: (one.due_at or NEVER, one.id),
            "priority": lambda one: (urgency[one.priority], one.due_at or NEVER, one.id),
        }
        assert walked == sorted(made, key=keys[sort.removeprefix("-")], reverse=sort.startswith("-"))


async def test_a_cursor_is_for_its_own_list_and_one_that_is_forged_ends_it(place: Place) -> None:
    async with opened(place) as tasks:
        made = await filled(tasks, 3)
        cursor = (await listed(tasks, limit=1)).next
        with pytest.raises(CursorInvalid):
            await listed(tasks, cursor=cursor, sort="due")
        forged = cursor_of("tasks priority", 2**62, 2**62, made[0].id)
        assert (await listed(tasks, sort="priority", cursor=forged)).tasks == []


async def test_what_is_searched_for_is_found_by_the_beginnings_of_words(place: Place) -> None:
    async with opened(place) as tasks:
        await added(tasks, "Call Zoë's café", description="About the ÅNGSTRÖM lamp")
        await added(tasks, "Write to Ben", description="About 10% off_")

        async def found(search: str) -> list[str]:
            return [one.title[:4] for one in (await listed(tasks, search=search)).tasks]

        for search in ("zoë", "ZOË caf", "ångström call", "lamp"):
            assert await found(search) == ["Call"], search
        assert await found("about") == ["Writ", "Call"]
        for search in ("alë", "call ben", "%", "---"):
            assert await found(search) == [], search


async def test_what_is_called_something_else_is_found_by_that_alone(place: Place) -> None:
    async with opened(place) as tasks:
        task = await added(tasks, "Call Byron")
        await change(tasks, task, title="Call Lovelace")
        assert [one.id for one in (await listed(tasks, search="call love")).tasks] == [task.id]
        assert (await listed(tasks, search="byron")).tasks == []


LISTS: list[dict[str, str]] = [
    {"sort": "-created_at"},
    {"sort": "due"},
    {"sort": "priority"},
    {"open": "true"},
    {"open": "true", "sort": "due"},
    {"open": "true", "sort": "priority"},
    {"open": "true", "sort": "due", "due_before": "2026-07-02T00:00:00Z"},
    {"status": "completed"},
    {"status": "completed", "sort": "due"},
    {"status": "completed", "sort": "priority"},
    {"assigned_to": "clerk-7", "open": "true", "sort": "due"},
    {"assigned_to": "clerk-7"},
    {"tag": "t7"},
    {"watcher": "w7"},
    {"order_id": "0197f0e2-7b7a-7c3a-9f52-6f1d2b3c4d5e"},
    {"customer_id": "0197f0e2-7b7a-7c3a-9f52-6f1d2b3c4d5e"},
    {"search": "zoe task"},
    {"search": "zo", "offset": "0"},
]


async def test_every_list_is_read_by_an_index(place: Place) -> None:
    async with opened(place) as tasks:
        await filled(tasks, 300)
        for wanted in LISTS:
            plans = await tasks.database.read(_plans, wanted)
            for plan in plans:
                walked = [line for line in plan if "Seq Scan" in line or ("SCAN" in line and "INDEX" not in line)]
                assert walked == [], (wanted, plan)
            if not {"assigned_to", "tag", "watcher", "search"} & set(wanted):
                assert not [line for line in plans[0] if "Sort" in line or "TEMP B-TREE" in line], (wanted, plans[0])


def _plans(reading: Reading, wanted: dict[str, str]) -> list[list[str]]:
    """Return the plan of each statement the list asks."""
    plans: list[list[str]] = []
    if reading.dialect == "postgresql":
        # On so few rows reading all of them would be cheaper; whether an index could be read is what is asked here.
        reading.rows("SELECT set_config('enable_seqscan', 'off', false)")
        reading.rows("SELECT set_config('enable_bitmapscan', 'off', false)")

    class Explaining:
        def rows(self, sql: str, **values: object) -> Any:
            how = "EXPLAIN" if reading.dialect == "postgresql" else "EXPLAIN QUERY PLAN"
            lines = [str(row[-1]).strip().removeprefix("->").strip() for row in reading.rows(f"{how} {sql}", **values)]
            plans.append([line for line in lines if "counted" not in line])
            return reading.rows(sql, **values)

        def row(self, sql: str, **values: object) -> Any:
            return self.rows(sql, **values)[0]

    reads.page(Explaining(), LIST.validate_strings(wanted))  # type: ignore[arg-type]  # all a list needs of it
    return plans


async def test_facts_tell_ids_and_words_of_ours_and_never_what_somebody_wrote(place: Place) -> None:
    async with opened(place) as tasks:
        task = await added(tasks, "Canary title", description="Canary text", tags=["canary-tag"], watchers=["canary-w"])
        await change(tasks, task, status="in_progress", title="Canary again", priority="high")
        first, second = await told(tasks.database)
        assert "anary" not in str(first) + str(second)
        assert TaskData.model_validate(first.data).status == "pending"
        changed = ChangedData.model_validate(second.data)
        assert (changed.status, changed.priority, sorted(changed.changed)) == (
            "in_progress",
            "high",
            ["priority", "status", "title"],
        )
        assert {first.name, second.name} <= {kind.name for kind in FACT_KINDS}


async def test_one_of_many_that_race_to_change_wins_and_no_change_is_lost(place: Place) -> None:
    async with opened(place) as tasks, opened(place) as elsewhere:
        task = await added(tasks)
        outcomes = await together(
            20, lambda n: change((tasks, elsewhere)[n % 2], task, title=f"Call {n}", tags=[f"t{n}"])
        )
        assert Counter(type(outcome) for outcome in outcomes) == {TaskState: 1, TaskMovedOn: 19}
        [winner] = [outcome for outcome in outcomes if isinstance(outcome, TaskState)]
        assert await tasks.database.read(reads.one, task.id) == winner
        assert [fact.sequence for fact in await told(tasks.database)] == [1, 2]


async def test_what_fails_half_way_leaves_nothing_behind(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(place) as tasks:
        task = await added(tasks, tags=["a"])

        def broken(*_: object) -> None:
            raise RuntimeError("half-way")

        monkeypatch.setattr("orderhouse.tasks.service.tasks.changed_by", broken)
        with pytest.raises(RuntimeError, match="half-way"):
            await change(tasks, task, title="New", tags=["b"])
        assert await tasks.database.read(reads.one, task.id) == task
        assert len(await told(tasks.database)) == 1


async def test_only_the_bad_one_of_many_fails(place: Place) -> None:
    async with opened(place) as tasks:
        good, gone = await added(tasks, "A"), await added(tasks, "B")
        await tasks.database.write(tasks.service.remove, asked(Target(gone.id, None)))
        wanted = [asked(Change(one.id, ChangeTask(title="New"), 1)) for one in (gone, good)]
        outcomes = await tasks.database.write_many(tasks.service.change, wanted)
        assert [type(outcome) for outcome in outcomes] == [TaskNotFound, TaskState]


async def test_the_migrated_schema_is_the_one_the_code_knows(place: Place) -> None:
    assert migrate.drift(SCHEMA, place) == []


async def test_a_migration_can_be_taken_back_and_made_again(place: Place) -> None:
    migrate.migrate(SCHEMA, place, "base")
    assert migrate.drift(SCHEMA, place) != []
    migrate.migrate(SCHEMA, place)
    assert migrate.drift(SCHEMA, place) == []
    async with opened(place) as tasks:
        await added(tasks)
