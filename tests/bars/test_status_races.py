"""Bar 4: of many who move one order at once, one wins; whatever happens, no order goes where it may not."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest

from orderhouse.orders import models, service
from orderhouse.orders.models import Order
from orderhouse.orders.repository import OrderRepository
from orderhouse.runtime.once import Asked
from tests.bars.counts import count
from tests.installation import Installation
from tests.integration.orders_world import House, opened

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(3600)]

AT_ONCE = 50
FIRST_MOVES = models.MOVES["placed"]


@pytest.fixture
async def houses(installation: Installation) -> AsyncIterator[Sequence[House]]:
    """On PostgreSQL two servers on one database; on SQLite the one that may serve from a folder."""
    async with AsyncExitStack() as stack:
        servers = [installation]
        if installation.database_url:
            servers.append(Installation(installation.folder.with_name("other"), installation.database_url))
        yield [await stack.enter_async_context(opened(one)) for one in servers]


async def raced(houses: Sequence[House], orders: int) -> list[tuple[Counter[int], bool]]:
    """Race so many for each order, from every house; return how often each status was told, and if all was legal."""
    customer = await houses[0].customer()
    found = []
    for n in range(orders):
        placed = (await houses[0].order(customer))["links"]["self"]
        # Some say which version they saw and want different things; some want the same, whatever they saw.
        seen: dict[str, Any] = {"if_match": '"1"'} if n % 2 else {}
        wanted = [{"to": random.choice(FIRST_MOVES) if seen else "confirmed"} for _ in range(AT_ONCE)]
        answers = await asyncio.gather(
            *(houses[i % len(houses)]("POST", f"{placed}/transitions", body, **seen) for i, body in enumerate(wanted))
        )
        told = Counter(answer.status_code for answer in answers)
        found.append((told, legal(await the_history(houses[0], placed))))
    return found


async def the_history(house: House, path: str) -> list[dict[str, Any]]:
    history: list[dict[str, Any]] = (await house("GET", path)).json()["history"]
    return history


def legal(history: Sequence[dict[str, Any]]) -> bool:
    """Return whether every move of an order's history starts where the last one ended, and was allowed."""
    at = "placed"
    for number, fact in enumerate(history, 1):
        if fact["sequence"] != number:
            return False
        if number > 1:
            moved = fact["data"]
            if moved["from"] != at or moved["to"] not in models.MOVES[at]:  # type: ignore[index]  # a status
                return False
            at = moved["to"]
    return True


async def test_bar_4_exactly_one_of_fifty_wins_and_the_others_are_told(houses: Sequence[House]) -> None:
    for answered, all_legal in await raced(houses, count(10, 1000)):
        assert all_legal
        assert answered[201] == 1, answered
        assert answered[409] + answered[412] == AT_ONCE - 1, answered


async def test_bar_4_whoever_moves_orders_about_at_random_takes_none_where_it_may_not_go(
    houses: Sequence[House],
) -> None:
    customer = await houses[0].customer()
    paths = [(await houses[0].order(customer))["links"]["self"] for _ in range(count(5, 200))]

    async def wander(house: House) -> Counter[int]:
        told: Counter[int] = Counter()
        for _ in range(20):
            body = {"to": random.choice(list(models.MOVES))}
            told[(await house("POST", f"{random.choice(paths)}/transitions", body)).status_code] += 1
        return told

    told = sum(await asyncio.gather(*(wander(houses[i % len(houses)]) for i in range(AT_ONCE))), Counter())
    assert set(told) <= {201, 409}, told
    histories = [await the_history(houses[0], path) for path in paths]
    assert all(map(legal, histories))
    assert sum(len(history) - 1 for history in histories) == told[201], "a move was told and not kept, or kept twice"


async def test_bar_4_control_a_status_machine_without_rules_is_caught(
    houses: Sequence[House], monkeypatch: pytest.MonkeyPatch
) -> None:
    everywhere = dict.fromkeys(models.MOVES, tuple(models.MOVES))
    with monkeypatch.context() as broken:
        broken.setattr(models, "MOVES", everywhere)
        ((answered, _),) = await raced(houses, 1)
    assert answered[201] > 1


async def test_bar_4_control_a_service_that_ignores_the_version_is_caught(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    careful = service._seen

    def careless(orders: OrderRepository, order: Order | None, asked: Asked[Any]) -> Order:
        return careful(orders, order, asked._replace(wanted=asked.wanted._replace(version=None)))

    monkeypatch.setattr(service, "_seen", careless)
    customer = await house.customer()
    path = (await house.order(customer))["links"]["self"]
    first = await house("POST", f"{path}/transitions", {"to": "on_hold"}, if_match='"1"')
    second = await house("POST", f"{path}/transitions", {"to": "confirmed"}, if_match='"1"')
    assert (first.status_code, second.status_code) == (201, 201), "two winners: the bar would say so"
