"""Whatever order facts come in, and however often: what is to be done in the end is the same, on both databases."""

import asyncio
from collections.abc import Iterator, Sequence, Set
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orderhouse.kernel.events import Fact, Origin
from orderhouse.kernel.ids import new_id
from orderhouse.runtime.database.database import Place
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.tasks import reads
from orderhouse.tasks.models.due import HOUR
from orderhouse.tasks.models.marks import OrderMark
from orderhouse.tasks.readers import OrderFacts, matters
from orderhouse.tasks.schemas.rules import AddRule
from orderhouse.tasks.schemas.shared import Target
from orderhouse.tasks.schemas.tasks import ListTasks
from orderhouse.tasks.service.rules import RuleService
from orderhouse.tasks.wiring import Tasks
from tests.integration.tasks_world import SHOP, asked
from tests.integration.test_tasks_rules import NOW, document

pytestmark = pytest.mark.context("tasks")

BEGIN = NOW * 2
"""Later than the rules are added."""

WAIT_HOURS = 2


@pytest.fixture
def shop(place: Place) -> Iterator["Shop"]:
    with asyncio.Runner() as runner:
        opened = Shop(runner, runner.run(_opened(place)))
        runner.run(opened.ruled())
        yield opened
        runner.run(opened.tasks.database.close())


async def _opened(place: Place) -> Tasks:
    return Tasks.opened(place, time_zone=SHOP)


class Shop:
    """Tasks with a rule of each kind, which every example brings orders of its own to."""

    def __init__(self, runner: asyncio.Runner, tasks: Tasks) -> None:
        self.run = runner.run
        self.tasks = tasks

    async def ruled(self) -> None:
        database, service = self.tasks.database, RuleService(self.tasks.causes)
        for rule in await database.read(reads.rules):
            await database.write(service.remove, asked(Target(rule.id, None)))
        for when in (
            {"kind": "order_on_hold", "after_hours": WAIT_HOURS},
            {"kind": "credit_over", "amount": "500", "currency": "GBP"},
        ):
            await database.write(service.add, asked(AddRule.model_validate({"title": when["kind"], "when": when})))

    async def open_after(
        self, facts: Sequence[Fact], ticks: Set[int], now: int, orders: Set[UUID]
    ) -> set[tuple[str, UUID]]:
        """Return what is to be done after `facts` as they come, with the clock seen to in between and at the end."""
        keeper = self.tasks.timekeeper(now=lambda: now)
        batch: list[Fact] = []
        for number, fact in enumerate(facts):
            batch.append(fact)
            if number in ticks:
                await self._take(batch)
                await keeper.turn()
                batch = []
        await self._take(batch)
        await keeper.turn()
        found = set()
        for order in orders:
            page = await self.tasks.database.read(reads.page, ListTasks(order_id=order, open="true", limit=200))
            kinds = [task.title for task in page.tasks]
            assert len(kinds) == len(set(kinds)), "nothing is to be done twice"
            found |= {(kind, order) for kind in kinds}
        return found

    async def _take(self, facts: Sequence[Fact]) -> None:
        effect = OrderFacts(self.tasks.causes)

        def work(tx: Transaction, _asked: Sequence[None]) -> list[None]:
            effect(tx, [fact for fact in facts if matters(fact)])
            return [None]

        await self.tasks.database.write_many(work, [None])


STEPS = ("hold", "release", "pack", "400", "600", "900", "note")


class Story:
    """What happened to one order, in order: each step is a fact an hour after the one before."""

    def __init__(self, kind: str, steps: Sequence[str]) -> None:
        self.id = new_id()
        self.facts = [self._fact("OrderPlaced", document("-600.00", kind))]
        self.held_since: int | None = None
        self.credit = 600 if kind == "credit" else 0
        for step in steps:
            self._happen(step, kind)

    def _happen(self, step: str, kind: str) -> None:
        held = self.held_since is not None
        if step == "hold" and not held:
            self.facts.append(self._fact("OrderMoved", {"from": "placed", "to": "on_hold"}))
            self.held_since = self.facts[-1].at
        elif step == "release" and held:
            self.facts.append(self._fact("OrderMoved", {"from": "on_hold", "to": "confirmed"}))
            self.held_since = None
        elif step == "pack" and not held:
            self.facts.append(self._fact("OrderMoved", {"from": "confirmed", "to": "packed"}))
        elif step == "note":
            self.facts.append(self._fact("OrderNoteChanged", {}))
        elif step.isdigit():
            status = "on_hold" if held else "placed"
            self.facts.append(self._fact("OrderReplaced", document(f"-{step}.00", kind, status=status)))
            self.credit = int(step) if kind == "credit" else 0

    def _fact(self, name: str, data: dict[str, Any]) -> Fact:
        sequence = len(self.facts) + 1 if hasattr(self, "facts") else 1
        return Fact(0, new_id(), name, 1, self.id, sequence, data, BEGIN + sequence * HOUR, Origin("x"))

    def to_be_done(self, now: int) -> set[tuple[str, UUID]]:
        """Return what is to be done in the end, told from the story alone."""
        found = set()
        if self.held_since is not None and self.held_since + WAIT_HOURS * HOUR <= now:
            found.add(("order_on_hold", self.id))
        if self.credit > 500:
            found.add(("credit_over", self.id))
        return found


stories = st.lists(
    st.builds(Story, st.sampled_from(["credit", "sale"]), st.lists(st.sampled_from(STEPS), max_size=8)),
    min_size=1,
    max_size=3,
)


@settings(
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(told=stories, data=st.data())
def test_facts_that_come_twice_or_in_another_order_lead_to_the_same_tasks(
    shop: Shop, told: list[Story], data: st.DataObject
) -> None:
    facts = [fact for story in told for fact in story.facts]
    again = data.draw(st.lists(st.sampled_from(facts), max_size=6))
    mixed = data.draw(st.permutations(facts + again))
    ticks = data.draw(st.sets(st.integers(0, len(mixed)), max_size=3))
    now = max(fact.at for fact in facts) + HOUR
    wanted = set().union(*(story.to_be_done(now) for story in told))
    assert shop.run(shop.open_after(mixed, ticks, now, {story.id for story in told})) == wanted


def test_control_who_believes_the_fact_that_came_last_is_caught(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story("sale", ["hold", "release"])
    now = story.facts[-1].at + 9 * HOUR
    backwards = story.facts[::-1]
    assert shop.run(shop.open_after(backwards, set(), now, {story.id})) == story.to_be_done(now) == set()
    monkeypatch.setattr(OrderMark, "standing", lambda mark, _sequence, held_since: mark._replace(held_since=held_since))
    another = Story("sale", ["hold", "release"])
    found = shop.run(shop.open_after(another.facts[::-1], set(), now, {another.id}))
    assert found == {("order_on_hold", another.id)} != another.to_be_done(now)
