"""Tasks over HTTP, on both databases: what the caller hears, in success and in every refusal."""

from pathlib import Path
from typing import Any

import pytest

from orderhouse.kernel.ids import new_id
from orderhouse.runtime.database.database import Place
from tests.integration.tasks_world import code, served, together, told

pytestmark = [pytest.mark.anyio, pytest.mark.context("tasks")]


# What the edge decides before a database is asked, it decides alike on both.
on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


async def test_a_task_is_added_and_found_where_it_is_said_to_be(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        order, customer = str(new_id()), str(new_id())
        wanted = {
            "title": "Call about the address",
            "description": "It came back twice.\nAsk for the floor.",
            "status": "in_progress",
            "priority": "urgent",
            "tags": ["address", "returns"],
            "assigned_to": "clerk-7",
            "watchers": ["boss", "clerk-8"],
            "due_on": "2026-03-28",
            "time_zone": "Europe/Berlin",
            "order_id": order,
            "customer_id": customer,
        }
        answer = await api("POST", "/v1/tasks", wanted)
        made = answer.json()
        assert (answer.status_code, answer.headers["etag"]) == (201, '"1"')
        assert {name: made[name] for name in wanted} == wanted
        assert (made["due_at"], made["closed_at"]) == ("2026-03-28T23:00:00.000000Z", None)
        assert (made["version"], made["created_by"]) == (1, "clerk-7")
        assert made["links"]["order"] == f"/v1/orders/{order}"
        assert made["links"]["customer"] == f"/v1/customers/{customer}"
        found = await api("GET", answer.headers["location"])
        assert (found.status_code, found.headers["etag"], found.json()) == (200, '"1"', made)
        unchanged = await api("GET", answer.headers["location"], headers={"If-None-Match": '"1"'})
        assert (unchanged.status_code, unchanged.content) == (304, b"")


async def test_what_is_left_out_is_as_a_new_task_is(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        made = await api.task()
        assert (made["status"], made["priority"], made["tags"], made["watchers"]) == ("pending", "medium", [], [])
        assert (made["due_on"], made["due_at"], made["time_zone"]) == (None, None, "Europe/London")
        assert (made["assigned_to"], made["order_id"], made["customer_id"], made["description"]) == (
            None,
            None,
            None,
            "",
        )


async def test_a_request_sent_again_hears_the_same_and_adds_nothing(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        key = {"Idempotency-Key": "k1"}
        answers = await together(8, lambda _: api("POST", "/v1/tasks", {"title": "Call"}, headers=key))
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.content for answer in answers}) == 1
        assert code(await api("POST", "/v1/tasks", {"title": "Other"}, headers=key)) == (422, "idempotency_key_reused")
        assert len((await api("GET", "/v1/tasks")).json()["items"]) == 1


async def test_a_change_says_what_is_to_change_and_the_rest_stays(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        made = await api.task(tags=["a", "b"], due_on="2026-07-01", assigned_to="clerk-7", watchers=["boss"])
        changed = await api.changed(made, status="completed", tags=["b", "c"], due_on=None, title="Call Ben")
        assert (changed["status"], changed["tags"], changed["due_on"], changed["due_at"]) == (
            "completed",
            ["b", "c"],
            None,
            None,
        )
        assert (changed["title"], changed["assigned_to"], changed["watchers"]) == ("Call Ben", "clerk-7", ["boss"])
        assert (changed["version"], changed["closed_at"]) == (2, changed["updated_at"])
        again = await api.changed(changed, status="pending", time_zone="Asia/Tokyo", due_on="2026-07-01")
        assert (again["closed_at"], again["due_at"]) == (None, "2026-07-01T15:00:00.000000Z")
        assert (await api("GET", made["links"]["self"])).json() == again


async def test_a_replacement_is_all_of_the_task(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        made = await api.task(tags=["a"], assigned_to="clerk-7", due_on="2026-07-01", time_zone="Asia/Tokyo")
        path, match = made["links"]["self"], {"If-Match": '"1"'}
        replaced = (await api("PUT", path, {"title": "Write", "priority": "low"}, headers=match)).json()
        fresh = await api.task("Write", priority="low")
        own = {"id", "version", "created_at", "updated_at", "links"}
        assert {k: v for k, v in replaced.items() if k not in own} == {k: v for k, v in fresh.items() if k not in own}
        assert (replaced["id"], replaced["version"]) == (made["id"], 2)
        assert code(await api("PUT", path, {"priority": "low"}, headers={"If-Match": '"2"'})) == (
            422,
            "request_invalid",
        )


async def test_what_makes_no_difference_is_no_change(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        made = await api.task(tags=["a"], due_on="2026-07-01")
        assert await api.changed(made, tags=["a"], status="pending", title=made["title"]) == made
        assert [fact.name for fact in await told(api.tasks.database)] == ["TaskAdded"]


async def test_a_change_needs_the_version_last_seen(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        made = await api.task()
        path = made["links"]["self"]
        for method, body in (("PATCH", {"title": "B"}), ("PUT", {"title": "B"})):
            assert code(await api(method, path, body)) == (428, "if_match_missing")
        await api.changed(made, title="C")
        stale = await api("PATCH", path, {"title": "Late"}, headers={"If-Match": '"1"'})
        assert code(stale) == (412, "task_changed")
        assert stale.json()["current"] == 2
        assert code(await api("DELETE", path, role="owner", headers={"If-Match": '"1"'})) == (412, "task_changed")
        assert (await api("GET", path)).json()["title"] == "C"


async def test_a_status_that_is_not_next_is_refused_with_what_is_and_nothing_is_kept(
    place: Place, tmp_path: Path
) -> None:
    async with served(place, tmp_path) as api:
        made = await api.task(status="completed")
        refused = await api(
            "PATCH", made["links"]["self"], {"title": "New", "status": "cancelled"}, headers={"If-Match": '"1"'}
        )
        assert code(refused) == (409, "task_status_not_allowed")
        assert refused.json()["allowed"] == ["pending", "in_progress"]
        assert (await api("GET", made["links"]["self"])).json() == made


async def test_what_is_removed_is_gone_and_its_facts_stay(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        made = await api.task("Call", tags=["a"], watchers=["boss"])
        path = made["links"]["self"]
        assert code(await api("DELETE", path)) == (403, "permission_missing")
        gone = await api("DELETE", path, role="manager")
        assert (gone.status_code, gone.content) == (204, b"")
        for answer in (await api("GET", path), await api("DELETE", path, role="manager")):
            assert code(answer) == (404, "task_not_found")
        for query in ("", "?tag=a", "?watcher=boss", "?search=call"):
            assert (await api("GET", f"/v1/tasks{query}")).json()["items"] == []
        facts = await told(api.tasks.database)
        assert [(fact.name, fact.sequence) for fact in facts] == [("TaskAdded", 1), ("TaskRemoved", 2)]


async def test_a_zone_nobody_knows_is_refused(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        refused = await api("POST", "/v1/tasks", {"title": "Call", "due_on": "2026-07-01", "time_zone": "Moon/Crater"})
        assert code(refused) == (422, "time_zone_unknown")
        made = await api.task(due_on="2026-07-01")
        wanted = {"title": "New", "time_zone": "Moon/Crater"}
        refused = await api("PATCH", made["links"]["self"], wanted, headers={"If-Match": '"1"'})
        assert code(refused) == (422, "time_zone_unknown")
        assert (await api("GET", "/v1/tasks")).json()["items"] == [made]


MISFITS: list[tuple[dict[str, Any], str]] = [
    ({}, "/title"),
    ({"title": " "}, "/title"),
    ({"title": "a\nb"}, "/title"),
    ({"title": "T", "status": "done"}, "/status"),
    ({"title": "T", "priority": "HIGH"}, "/priority"),
    ({"title": "T", "tags": ["A b"]}, "/tags/0"),
    ({"title": "T", "tags": ["a", "a"]}, "/tags"),
    ({"title": "T", "watchers": ["x", "x"]}, "/watchers"),
    ({"title": "T", "due_on": "2026-02-30"}, "/due_on"),
    ({"title": "T", "due_on": "2026-02-01T00:00:00"}, "/due_on"),
    ({"title": "T", "due_on": 20260201}, "/due_on"),
    ({"title": "T", "order_id": "7"}, "/order_id"),
    ({"title": "T", "version": 7}, "/version"),
    ({"title": "T", "closed_at": None}, "/closed_at"),
]


@on_sqlite
async def test_what_does_not_fit_is_refused_and_said_where(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        for body, pointer in MISFITS:
            refused = await api("POST", "/v1/tasks", body)
            assert code(refused) == (422, "request_invalid"), body
            assert [error["pointer"] for error in refused.json()["errors"]] == [pointer], body
        assert (await api("GET", "/v1/tasks")).json()["items"] == []


async def test_lists_are_filtered_by_whatever_is_asked(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        order, customer = str(new_id()), str(new_id())
        late = await api.task("Late", due_on="2026-01-01", priority="high", assigned_to="ada", order_id=order)
        soon = await api.task("Soon", due_on="2199-12-31", tags=["vip"], watchers=["ben"], customer_id=customer)
        done = await api.task("Done", due_on="2026-01-02", status="completed", assigned_to="ada", tags=["vip"])

        async def titles(**query: str) -> list[str]:
            answer = await api("GET", "/v1/tasks", params=query)
            assert answer.status_code == 200, answer.text
            return [one["title"] for one in answer.json()["items"]]

        assert await titles() == ["Done", "Soon", "Late"]
        assert await titles(status="completed") == ["Done"]
        assert await titles(open="true") == ["Soon", "Late"]
        assert await titles(open="false") == ["Done"]
        assert await titles(priority="high") == ["Late"]
        assert await titles(tag="vip") == ["Done", "Soon"]
        assert await titles(tag="vip", open="true", sort="due") == ["Soon"]
        assert await titles(assigned_to="ada") == ["Done", "Late"]
        assert await titles(assigned_to="none") == ["Soon"]
        assert await titles(watcher="ben") == ["Soon"]
        assert await titles(order_id=order) == ["Late"]
        assert await titles(customer_id=customer) == ["Soon"]
        assert await titles(due_before="2026-06-01T00:00:00Z", open="true") == ["Late"]
        assert await titles(search="so") == ["Soon"]
        assert await titles(tag="nobody") == await titles(order_id=str(new_id())) == []
        assert late["id"] < soon["id"] < done["id"]


@on_sqlite
async def test_a_filter_that_is_none_is_refused(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        for query in ("status=done", "open=yes", "tag=A", "due_before=monday", "sort=title", "limit=0", "unknown=1"):
            assert code(await api("GET", f"/v1/tasks?{query}")) == (422, "request_invalid"), query


async def test_pages_lead_to_one_another(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        made = [(await api.task(f"T {n}", due_on=f"2026-07-{1 + n % 3:02}"))["id"] for n in range(7)]
        following, seen = "/v1/tasks?sort=due&limit=3", []
        while following:
            page = (await api("GET", following)).json()
            seen += [one["id"] for one in page["items"]]
            following = page["links"].get("next", "")
        assert sorted(seen) == sorted(made)
        assert len(seen) == 7
        counted = (await api("GET", "/v1/tasks?offset=5&limit=3")).json()
        assert (len(counted["items"]), counted["total"]) == (2, 7)
        both = await api("GET", f"/v1/tasks?offset=0&cursor={page['next'] or 'x'}")
        assert code(both) == (422, "pages_do_not_combine")
