"""What belongs to a task, on both databases: comments, checklists, its history; and how much there is to do."""

from pathlib import Path
from typing import Any

import pytest

from orderhouse.kernel.ids import new_id
from orderhouse.runtime.database.database import Place
from orderhouse.tasks.schemas.checklists import MOST_ITEMS
from tests.integration.tasks_world import Api, code, served, together, told

pytestmark = [pytest.mark.anyio, pytest.mark.context("tasks")]


async def walked(api: Api, path: str) -> list[Any]:
    items: list[Any] = []
    following = path
    while following:
        page = (await api("GET", following)).json()
        items += page["items"]
        following = page["links"].get("next", "")
    return items


async def test_what_is_said_about_a_task_is_kept_in_order_and_does_not_change_it(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        task = await api.task()
        made = [
            await api.made(task["links"]["comments"], {"text": f"Call {n}:\nnobody there."}, subject=f"clerk-{n}")
            for n in range(5)
        ]
        assert await walked(api, f"{task['links']['comments']}?limit=2") == made
        assert [(one["author"], one["version"]) for one in made[:2]] == [("clerk-0", 1), ("clerk-1", 1)]
        found = await api("GET", made[0]["links"]["self"])
        assert (found.json(), found.headers["etag"]) == (made[0], '"1"')
        assert (await api("GET", made[0]["links"]["self"], headers={"If-None-Match": '"1"'})).status_code == 304
        assert (await api("GET", task["links"]["self"])).json() == task


async def test_only_who_said_it_says_it_differently(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        task = await api.task()
        comment = await api.made(task["links"]["comments"], {"text": "Nobody there."}, subject="ada")
        path, match = comment["links"]["self"], {"If-Match": '"1"'}
        assert code(await api("PATCH", path, {"text": "No."}, subject="ben", headers=match)) == (
            403,
            "comment_not_yours",
        )
        boss = await api("PATCH", path, {"text": "No."}, role="owner", subject="boss", headers=match)
        assert code(boss) == (403, "comment_not_yours")
        changed = await api("PATCH", path, {"text": "She was there."}, subject="ada", headers=match)
        assert (changed.status_code, changed.json()["text"], changed.json()["version"]) == (200, "She was there.", 2)
        late = await api("PATCH", path, {"text": "Late."}, subject="ada", headers=match)
        assert code(late) == (412, "comment_changed")
        assert code(await api("DELETE", path, subject="ben")) == (403, "comment_not_yours")
        assert (await api("DELETE", path, role="manager", subject="boss")).status_code == 204
        assert code(await api("GET", path)) == (404, "comment_not_found")
        own = await api.made(task["links"]["comments"], {"text": "Mine."}, subject="ada")
        assert (await api("DELETE", own["links"]["self"], subject="ada")).status_code == 204
        assert await walked(api, task["links"]["comments"]) == []
        parts = [fact for fact in await told(api.tasks.database) if "Comment" in fact.name]
        assert [(part.data["task_id"], part.sequence) for part in parts] == [(task["id"], n) for n in (1, 2, 3, 1, 2)]
        assert "there" not in str(await told(api.tasks.database))


async def test_a_checklist_is_ticked_off_by_many_at_once(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        task = await api.task()
        items = [await api.made(task["links"]["checklist"], {"text": f"Step {n}"}) for n in range(8)]

        async def tick(number: int) -> int:
            path = items[number % 8]["links"]["self"]
            answer = await api("PATCH", path, {"done": True}, headers={"If-Match": '"1"'})
            return answer.status_code

        statuses = await together(16, tick)
        assert sorted(statuses) == [200] * 8 + [412] * 8
        whole = (await api("GET", task["links"]["checklist"])).json()
        assert [(one["text"], one["done"], one["version"]) for one in whole["items"]] == [
            (f"Step {n}", True, 2) for n in range(8)
        ]
        assert whole["done"] == 8
        assert (await api("GET", task["links"]["self"])).json() == task
        first = items[0]["links"]["self"]
        again = await api("PATCH", first, {"text": "Ask", "done": False}, headers={"If-Match": '"2"'})
        assert (again.json()["text"], again.json()["done"]) == ("Ask", False)
        assert code(await api("DELETE", first, headers={"If-Match": '"2"'})) == (412, "item_changed")
        assert (await api("DELETE", first)).status_code == 204
        assert code(await api("GET", first)) == (404, "item_not_found")
        assert code(await api("DELETE", first)) == (404, "item_not_found")


async def test_a_checklist_that_is_full_takes_no_more_whoever_races(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        task = await api.task()
        path = task["links"]["checklist"]
        answers = await together(MOST_ITEMS + 5, lambda n: api("POST", path, {"text": f"Step {n}"}))
        assert sorted(answer.status_code for answer in answers) == [201] * MOST_ITEMS + [409] * 5
        assert code(await api("POST", path, {"text": "One more"})) == (409, "checklist_full")
        assert len((await api("GET", path)).json()["items"]) == MOST_ITEMS


async def test_what_belongs_to_no_task_is_not_taken_and_goes_with_its_task(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        nowhere = f"/v1/tasks/{new_id()}"
        for part in ("comments", "checklist"):
            assert code(await api("POST", f"{nowhere}/{part}", {"text": "T"})) == (404, "task_not_found")
        for part in ("comments", "checklist", "history"):
            assert code(await api("GET", f"{nowhere}/{part}")) == (404, "task_not_found")
        task = await api.task()
        comment = await api.made(task["links"]["comments"], {"text": "T"})
        item = await api.made(task["links"]["checklist"], {"text": "T", "done": True})
        assert (await api("DELETE", task["links"]["self"], role="owner")).status_code == 204
        assert code(await api("GET", comment["links"]["self"])) == (404, "comment_not_found")
        assert code(await api("GET", item["links"]["self"])) == (404, "item_not_found")


async def test_what_does_not_fit_is_refused(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        task = await api.task()
        for part, body in (
            ("comments", {}),
            ("comments", {"text": ""}),
            ("comments", {"text": "a\x00b"}),
            ("comments", {"text": "T", "author": "ada"}),
            ("checklist", {"text": " "}),
            ("checklist", {"text": "a\nb"}),
            ("checklist", {"text": "T", "done": "yes"}),
        ):
            assert (await api("POST", task["links"][part], body)).status_code in (400, 422), (part, body)
        assert code(await api("GET", f"{task['links']['history']}?cursor=abc")) == (422, "cursor_invalid")
        assert [fact.name for fact in await told(api.tasks.database)] == ["TaskAdded"]


async def test_the_history_of_a_task_tells_who_did_what(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        task = await api.task()
        for status in ("in_progress", "completed", "pending"):
            task = await api.changed(task, status=status, priority="high")
        happened = await walked(api, f"{task['links']['history']}?limit=3")
        assert [(one["sequence"], one["name"]) for one in happened] == [
            (4, "TaskChanged"),
            (3, "TaskChanged"),
            (2, "TaskChanged"),
            (1, "TaskAdded"),
        ]
        assert {one["actor"] for one in happened} == {"clerk-7"}
        assert (happened[2]["data"]["status"], sorted(happened[2]["data"]["changed"])) == (
            "in_progress",
            ["priority", "status"],
        )


async def test_the_statistics_say_how_much_there_is_to_do(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        empty = (await api("GET", "/v1/task-statistics")).json()
        assert (empty["open"], empty["overdue"], empty["unassigned"], empty["people"]) == (0, 0, 0, [])
        assert set(empty["by_status"].values()) == set(empty["open_by_priority"].values()) == {0}
        await api.task(assigned_to="ada", due_on="2020-01-01", priority="urgent")
        await api.task(assigned_to="ada", due_on="2199-01-01")
        await api.task(assigned_to="ben", status="in_progress")
        await api.task(assigned_to="ben", status="completed", due_on="2020-01-01")
        await api.task(due_on="2020-01-01", priority="low")
        told_of = (await api("GET", "/v1/task-statistics", role="analyst")).json()
        assert told_of == {
            "by_status": {"pending": 3, "in_progress": 1, "completed": 1, "cancelled": 0},
            "open_by_priority": {"low": 1, "medium": 2, "high": 0, "urgent": 1},
            "open": 4,
            "overdue": 2,
            "unassigned": 1,
            "people": [
                {"assigned_to": "ada", "open": 2, "overdue": 1},
                {"assigned_to": "ben", "open": 1, "overdue": 0},
            ],
        }
