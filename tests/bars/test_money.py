"""Bar 7: whatever is done to orders, analytics adds up to what a ledger beside it says, to the last digit."""

import asyncio
import random
from collections import Counter
from fractions import Fraction
from typing import Any

import pytest

from orderhouse.analytics import changes
from orderhouse.kernel import clock, money
from tests.bars.counts import count
from tests.integration.orders_world import House, order

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(3600)]


class Ledger:
    """What should be there, in exact fractions."""

    def __init__(self) -> None:
        self.amounts: dict[str, Fraction] = {}
        self.cancelled: set[str] = set()

    def counted(self) -> list[Fraction]:
        return [amount for order_id, amount in self.amounts.items() if order_id not in self.cancelled]


def lines(draw: random.Random) -> list[dict[str, Any]]:
    return [
        {
            "sku": "X",
            "quantity": draw.randint(1, 999),
            "unit_price": f"{draw.randint(0, 9999)}.{draw.randint(0, 999999):06}",
        }
        for _ in range(draw.randint(1, 4))
    ]


async def operate(house: House, ledger: Ledger, customers: list[str], draw: random.Random) -> None:
    """Place an order, or cancel one, or try what must be refused."""
    kind = draw.random()
    if kind < 0.7 or not ledger.amounts:
        wanted = lines(draw)
        made = await house.order(draw.choice(customers), lines=wanted)
        exact = sum((Fraction(line["unit_price"]) * line["quantity"] for line in wanted), Fraction(0))
        assert Fraction(made["amount"]) == exact
        ledger.amounts[made["id"]] = exact
    elif kind < 0.9:
        chosen = draw.choice(list(ledger.amounts))
        answer = await house("POST", f"/v1/orders/{chosen}/transitions", {"to": "cancelled"})
        assert answer.status_code == (409 if chosen in ledger.cancelled else 201)
        ledger.cancelled.add(chosen)
    else:
        huge = [{"sku": "X", "quantity": 1_000_000, "unit_price": "999999999999"}]
        assert (await house("POST", "/v1/orders", order(customers[0], lines=huge))).status_code == 422


async def difference(house: House, operations: int) -> dict[str, Any]:
    """Return how analytics differs from the ledger after so many random operations; nothing is right."""
    draw, ledger = random.Random(7), Ledger()
    customers = [await house.customer() for _ in range(3)]
    for _ in range(operations // 10):
        await asyncio.gather(*(operate(house, ledger, customers, draw) for _ in range(10)))
    counted = ledger.counted()
    total = int(sum(counted, Fraction(0)) * money.SCALE)
    expected = {"orders": len(counted), "net": money.rounded_text(total, "GBP")}
    done = clock.as_text(clock.now())
    async with asyncio.timeout(30):
        while (answer := await house.sales(by="day"))["fresh_as_of"] < done:
            await asyncio.sleep(0.05)
    told = answer["totals"]
    cells = Counter[str]()
    for cell in (await house.sales(by="customer"))["items"]:
        cells["orders"] += cell["orders"]
    found = {"orders": told["orders"], "net": told["net"]}
    assert cells["orders"] == len(counted)
    return {} if found == expected else {"found": found, "expected": expected}


async def test_bar_7_analytics_equal_the_ledger(house: House) -> None:
    assert await difference(house, count(300, 100_000)) == {}


async def test_bar_7_control_an_amount_that_went_through_a_float_is_caught(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Careless:
        exact = staticmethod(lambda text: int(round(float(text), 1) * money.SCALE))

    monkeypatch.setattr(changes, "money", Careless)
    assert await difference(house, 100) != {}
