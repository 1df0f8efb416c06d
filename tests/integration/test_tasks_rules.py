"""Rules that raise tasks and close them, on both databases: by facts, by the clock, and by what people change."""

import asyncio
from collections.abc import Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from orderhouse.kernel.events import Fact, Origin
from orderhouse.kernel.ids import new_id
from orderhouse.runtime.database.database import Place
from orderhouse.tasks.contract import DeadLetter
from orderhouse.tasks.models.due import HOUR
from orderhouse.tasks.timekeeper import Timekeeper
from tests.integration.tasks_world import Api, code, served, told

pytestmark = [pytest.mark.anyio, pytest.mark.context("tasks")]

NOW = 1_800_000_000_000_000
ON_HOLD = {"kind": "order_on_hold", "after_hours": 48}
OVER_500 = {"kind": "credit_over", "amount": "500.00", "currency": "GBP"}


class Shop:
    """Tasks that follow orders which only facts tell of, at a time that is set."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.now = NOW
        self.letters: list[DeadLetter] = []
        self.sink = api.tasks.order_reader()
        self.keeper: Timekeeper = api.tasks.timekeeper(self, now=lambda: self.now)
        self._position = 0
        self._sequences: dict[UUID, int] = {}

    async def dead(self) -> Sequence[DeadLetter]:
        return self.letters

    def fact(self, order: UUID, name: str, at: int = 0, **data: Any) -> Fact:
        self._position += 1
        sequence = self._sequences[order] = self._sequences.get(order, 0) + 1
        return Fact(self._position, new_id(), name, 1, order, sequence, data, at or self.now, Origin("clerk-7"))

    async def tell(self, *facts: Fact) -> None:
        await self.sink.take(facts)
        await self.keeper.turn()

    async def move(self, order: UUID, before: str, after: str) -> None:
        way: dict[str, Any] = {"from": before, "to": after}
        await self.tell(self.fact(order, "OrderMoved", **way))

    async def document(self, order: UUID, name: str, amount: str, kind: str = "credit", **more: Any) -> None:
        await self.tell(self.fact(order, name, **document(amount, kind, **more)))

    async def later(self, hours: float) -> None:
        self.now += int(hours * HOUR)
        await self.keeper.turn()

    async def rule(self, when: dict[str, Any], **more: Any) -> dict[str, Any]:
        return await self.api.made("/v1/task-rules", {"title": "Look at it", "when": when, **more}, role="manager")

    async def only(self, when: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Return the only rule there is from now on."""
        for rule in (await self.api("GET", "/v1/task-rules")).json()["items"]:
            assert (await self.api("DELETE", rule["links"]["self"], role="owner")).status_code == 204
        return await self.rule(when, **more)

    async def changed(self, rule: dict[str, Any], **said: Any) -> dict[str, Any]:
        headers = {"If-Match": f'"{rule["version"]}"'}
        answer = await self.api("PATCH", rule["links"]["self"], said, role="manager", headers=headers)
        assert answer.status_code == 200, answer.text
        await self.keeper.turn()
        found: dict[str, Any] = answer.json()
        return found

    async def tasks(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.api("GET", "/v1/tasks?sort=created_at&limit=200")).json()["items"]
        return found

    async def statuses(self) -> list[str]:
        return [task["status"] for task in await self.tasks()]


def document(amount: str, kind: str = "credit", *, currency: str = "GBP", status: str = "placed") -> dict[str, Any]:
    return {
        "kind": kind,
        "status": status,
        "currency": currency,
        "customer_id": None,
        "country": None,
        "owner_id": None,
        "placed_at": NOW,
        "amount": amount,
        "total": amount,
        "lines": 1,
        "source": "shop",
        "external_reference": None,
    }


@asynccontextmanager
async def opened(place: Place, folder: Path) -> Any:
    async with served(place, folder) as api:
        yield Shop(api)


async def test_an_order_that_stays_on_hold_raises_one_task_and_its_release_closes_it(
    place: Place, tmp_path: Path
) -> None:
    async with opened(place, tmp_path) as shop:
        rule = await shop.only(ON_HOLD, assigned_to="ada", due_in_days=1, priority="urgent")
        order = new_id()
        await shop.move(order, "placed", "on_hold")
        await shop.later(47.9)
        assert await shop.tasks() == []
        await shop.later(0.2)
        [task] = await shop.tasks()
        assert (task["title"], task["status"], task["priority"]) == ("Look at it", "pending", "urgent")
        assert (task["order_id"], task["rule_id"], task["assigned_to"]) == (str(order), rule["id"], "ada")
        assert (task["created_by"], task["due_on"]) == (f"rule:{rule['id']}", "2027-01-18")
        assert task["links"]["rule"] == rule["links"]["self"]
        await shop.later(500)
        assert await shop.statuses() == ["pending"]
        await shop.move(order, "on_hold", "confirmed")
        assert await shop.statuses() == ["completed"]
        facts = [fact for fact in await told(shop.api.tasks.database) if fact.name in ("TaskAdded", "TaskChanged")]
        assert [(fact.name, fact.origin.actor) for fact in facts] == [
            ("TaskAdded", f"rule:{rule['id']}"),
            ("TaskChanged", f"rule:{rule['id']}"),
        ]
        listed = (await shop.api("GET", rule["links"]["tasks"])).json()["items"]
        assert [one["id"] for one in listed] == [task["id"]]


async def test_who_is_released_in_time_raises_nothing_and_each_hold_counts_anew(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as shop:
        await shop.only(ON_HOLD)
        order = new_id()
        for _ in range(3):
            await shop.move(order, "placed", "on_hold")
            await shop.later(40)
            await shop.move(order, "on_hold", "placed")
        assert await shop.tasks() == []
        for _ in range(2):
            await shop.move(order, "placed", "on_hold")
            await shop.later(48)
            await shop.move(order, "on_hold", "placed")
        assert await shop.statuses() == ["completed", "completed"]


async def test_what_somebody_did_about_it_stands(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as shop:
        await shop.only({"kind": "order_on_hold", "after_hours": 0})
        first, second, third = new_id(), new_id(), new_id()
        for order in (first, second, third):
            await shop.move(order, "placed", "on_hold")
        done, gone, begun = await shop.tasks()
        await shop.api.changed(done, status="cancelled")
        assert (await shop.api("DELETE", gone["links"]["self"], role="owner")).status_code == 204
        await shop.api.changed(begun, status="in_progress")
        await shop.later(100)
        assert await shop.statuses() == ["cancelled", "in_progress"], "nobody is asked twice"
        for order in (first, second, third):
            await shop.move(order, "on_hold", "confirmed")
        assert await shop.statuses() == ["cancelled", "completed"]


async def test_a_credit_over_the_amount_raises_a_task_until_it_is_over_no_more(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as shop:
        await shop.only(OVER_500)
        large, exact, dollars, sale = new_id(), new_id(), new_id(), new_id()
        await shop.document(large, "OrderPlaced", "-500.01")
        await shop.document(exact, "OrderPlaced", "-500.00")
        await shop.document(dollars, "OrderPlaced", "-900.00", currency="USD")
        await shop.document(sale, "OrderPlaced", "900.00", "sale")
        assert [task["order_id"] for task in await shop.tasks()] == [str(large)]
        await shop.document(large, "OrderReplaced", "-600.00")
        assert await shop.statuses() == ["pending"], "it is the same credit"
        await shop.document(large, "OrderReplaced", "-400.00")
        assert await shop.statuses() == ["completed"]


async def test_credits_from_before_the_rule_raise_nothing(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as shop:
        await shop.tell(shop.fact(new_id(), "OrderPlaced", at=NOW - 400 * 24 * HOUR * 100, **document("-900.00")))
        rule = await shop.only(OVER_500)
        await shop.changed(rule, when={**OVER_500, "amount": "1.00"})
        assert await shop.tasks() == []


async def test_a_rule_that_is_changed_sees_what_there_is_as_it_is_now(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as shop:
        rule = await shop.only(ON_HOLD)
        first, second = new_id(), new_id()
        await shop.move(first, "placed", "on_hold")
        await shop.later(10)
        await shop.move(second, "placed", "on_hold")
        rule = await shop.changed(rule, when={"kind": "order_on_hold", "after_hours": 8})
        assert [task["order_id"] for task in await shop.tasks()] == [str(first)]
        rule = await shop.changed(rule, title="Renamed", assigned_to="ada")
        assert await shop.statuses() == ["pending"]
        rule = await shop.changed(rule, enabled=False)
        assert await shop.statuses() == ["cancelled"]
        await shop.later(100)
        assert await shop.statuses() == ["cancelled"], "a rule that is switched off sees nothing"
        rule = await shop.changed(rule, enabled=True, when={"kind": "order_on_hold", "after_hours": 48})
        assert await shop.statuses() == ["cancelled", "pending", "pending"]
        assert {task["title"] for task in (await shop.tasks())[1:]} == {"Renamed"}
        assert (await shop.api("DELETE", rule["links"]["self"], role="owner")).status_code == 204
        await shop.keeper.turn()
        assert await shop.statuses() == ["cancelled"] * 3
        assert code(await shop.api("GET", rule["links"]["self"])) == (404, "rule_not_found")


async def test_a_new_rule_sees_what_is_on_hold_already(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as shop:
        await shop.move(new_id(), "placed", "on_hold")
        await shop.later(1)
        await shop.only({"kind": "order_on_hold", "after_hours": 1})
        await shop.keeper.turn()
        assert await shop.statuses() == ["pending"]


async def test_a_dead_letter_raises_a_task_until_it_is_mended(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as shop:
        await shop.only({"kind": "dead_letter", "reader": "orders.customers"})
        mine, other = new_id(), new_id()
        shop.letters = [DeadLetter(mine, "orders.customers", NOW), DeadLetter(other, "analytics.orders", NOW)]
        await shop.later(0.1)
        [task] = await shop.tasks()
        assert (task["description"], task["order_id"]) == (f"/v1/dead-letters/{mine}", None)
        await shop.later(1)
        assert await shop.statuses() == ["pending"]
        shop.letters = []
        await shop.later(0.1)
        assert await shop.statuses() == ["completed"]


async def test_two_timekeepers_raise_each_task_once(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as shop, served(place, tmp_path) as elsewhere:
        await shop.only({"kind": "order_on_hold", "after_hours": 48})
        facts = [shop.fact(new_id(), "OrderMoved", **{"from": "placed", "to": "on_hold"}) for _ in range(120)]
        await shop.sink.take(facts)
        shop.now += 48 * HOUR
        other = elsewhere.tasks.timekeeper(now=lambda: shop.now)
        await asyncio.gather(*(keeper.turn() for keeper in (shop.keeper, other) * 3))
        await shop.keeper.turn()
        raised = [task["order_id"] for task in await shop.tasks()]
        assert len(raised) == len(set(raised)) == 120


async def test_rules_are_resources_at_a_version(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as shop:
        there = (await shop.api("GET", "/v1/task-rules")).json()["items"]
        assert [(rule["when"]["kind"], rule["enabled"]) for rule in there] == [
            ("order_on_hold", True),
            ("dead_letter", True),
        ]
        made = await shop.rule(OVER_500, priority="low")
        path = made["links"]["self"]
        assert (made["when"], made["version"]) == (OVER_500, 1)
        found = await shop.api("GET", path)
        assert (found.json(), found.headers["etag"]) == (made, '"1"')
        assert (await shop.api("GET", path, headers={"If-None-Match": '"1"'})).status_code == 304
        again = await shop.changed(made, priority="low", when=OVER_500)
        assert again["version"] == 1
        changed = await shop.changed(made, when=ON_HOLD, due_in_days=3)
        assert (changed["when"], changed["due_in_days"], changed["version"]) == (ON_HOLD, 3, 2)
        for method in ("PATCH", "DELETE"):
            stale = await shop.api(method, path, {"title": "X"}, role="owner", headers={"If-Match": '"1"'})
            assert code(stale) == (412, "rule_changed")
        assert code(await shop.api("POST", "/v1/task-rules", {"title": "R", "when": ON_HOLD})) == (
            403,
            "permission_missing",
        )
        for when in (
            {"kind": "nothing"},
            {"kind": "order_on_hold", "after_hours": -1},
            {"kind": "credit_over", "amount": 500, "currency": "GBP"},
            {"kind": "credit_over", "amount": "1e3", "currency": "GBP"},
            {"kind": "credit_over", "amount": "5.00", "currency": "XXX"},
            {"kind": "dead_letter", "after_hours": 1},
        ):
            refused = await shop.api("POST", "/v1/task-rules", {"title": "R", "when": when}, role="owner")
            assert code(refused) == (422, "request_invalid"), when


async def test_there_are_only_so_many_rules(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as shop:
        for _ in range(48):
            await shop.rule({"kind": "dead_letter", "reader": "none"}, enabled=False)
        refused = await shop.api("POST", "/v1/task-rules", {"title": "R", "when": ON_HOLD}, role="owner")
        assert code(refused) == (409, "rules_full")
