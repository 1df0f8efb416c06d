"""Bar 6: who walks through the pages while others write sees everything that was there once, and nothing twice."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest

from orderhouse.assembly.contexts import Contexts
from orderhouse.kernel import clock
from orderhouse.kernel.events import Origin
from orderhouse.kernel.principal import Principal
from orderhouse.orders import reads, service
from orderhouse.orders.models import CustomerCard, Order
from orderhouse.orders.schemas import PlaceOrder
from orderhouse.runtime.once import Asked
from orderhouse.runtime.tokens import SigningKeys
from tests.bars.counts import count
from tests.installation import Installation
from tests.integration.orders_world import House, opened, order

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(3600)]

ROWS = count(2_000, 100_000)
PER_S = 200
AT_ONCE = 500
SAME_INSTANT = 7
"""So many orders share an instant: a cursor that names only the instant loses or repeats some of them."""

LONG_AGO = clock.now() - 3_600_000_000
CUSTOMER = UUID("01997a3e-5d2c-7f4a-8a3f-0c7d4e2b9f10")
CLERK = Principal("clerk", "clerk")


@pytest.fixture
async def filled(installation: Installation) -> set[str]:
    """The ids of the orders that are there before anybody looks."""
    contexts = Contexts.opened(installation.settings)
    try:
        await contexts.orders.database.write(service._keep_card, CustomerCard(CUSTOMER, True, "France", 1))
        there: set[str] = set()
        for start in range(0, ROWS, AT_ONCE):
            asked = [_asked(start + n) for n in range(AT_ONCE)]
            made = await contexts.orders.database.write_many(contexts.orders.service.place, asked)
            there |= {str(one.id) for one in made if isinstance(one, Order)}
    finally:
        await contexts.close()
    assert len(there) == ROWS
    return there


def _asked(number: int) -> Asked[PlaceOrder]:
    wanted = PlaceOrder.model_validate(order(str(CUSTOMER)))
    return Asked(wanted, CLERK, LONG_AGO + number // SAME_INSTANT, Origin(CLERK.subject))


class Remote(House):
    """The same over the network: in one process a walk that never waits would let nobody write."""

    def __init__(self, url: str, folder: Path) -> None:
        self._keys = SigningKeys(folder / "keys")
        self.client = httpx2.AsyncClient(base_url=url, timeout=30)


class Writers:
    """Place orders and change others, so many a second, until told to stop."""

    def __init__(self, house: House, there: set[str]) -> None:
        self._house = house
        self._to_change = sorted(there)
        self._versions: dict[str, int] = {}
        self.placed: set[str] = set()
        self.changed = 0

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        tasks: list[asyncio.Task[None]] = []
        try:
            while True:
                write = self._place if len(tasks) % 2 else self._change
                tasks.append(asyncio.create_task(write()))
                await asyncio.sleep(max(0.0, began + len(tasks) / PER_S - loop.time()))
        finally:
            await asyncio.gather(*tasks)

    async def _place(self) -> None:
        self.placed.add((await self._house.order(str(CUSTOMER)))["id"])

    async def _change(self) -> None:
        """Change an order's note, or give it to somebody else: its place in every list stays what it is."""
        chosen = random.choice(self._to_change)
        version = self._versions.get(chosen, 1)
        self._versions[chosen] = version + 1
        said: dict[str, Any] = {"note": f"{version}"} if version % 2 else {"assigned_to": f"somebody {version}"}
        answer = await self._house("PATCH", f"/v1/orders/{chosen}", said, if_match=f'"{version}"')
        assert answer.status_code in (200, 412), answer.text
        self.changed += answer.status_code == 200


@asynccontextmanager
async def written(house: House, there: set[str]) -> AsyncIterator[Writers]:
    """Write beside what is done here."""
    writers = Writers(house, there)
    task = asyncio.create_task(writers.run())
    try:
        yield writers
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if not task.cancelled() and (error := task.exception()):
            raise error


async def walked(house: House, path: str, **who: Any) -> tuple[list[str], int]:
    """Return the id of every order that the pages held, and how many pages there were."""
    seen: list[str] = []
    pages, following = 0, path
    while following:
        page: httpx2.Response = await house("GET", following, **who)
        assert page.status_code == 200, page.text
        seen += [one["id"] for one in page.json()["items"]]
        pages, following = pages + 1, page.json()["links"].get("next")
        assert pages <= 20 * ROWS, "the walk does not end"
    return seen, pages


WALKS: dict[str, tuple[str, dict[str, Any]]] = {
    "latest first": ("/v1/orders?limit=200", {}),
    "earliest first": ("/v1/orders?limit=200&sort=placed_at", {}),
    "by status": ("/v1/orders?limit=200&status=placed", {}),
    "by customer": (f"/v1/orders?limit=200&customer={CUSTOMER}", {}),
    "a clerk's own": ("/v1/orders?limit=200", {"role": "clerk", "subject": CLERK.subject}),
}


async def test_bar_6_nothing_is_missed_or_seen_twice_while_others_write(
    installation: Installation, filled: set[str]
) -> None:
    with installation.started() as product:
        house = Remote(product.url, installation.folder)
        async with house.client, written(house, filled) as writers:
            await _walks(house, writers, filled)
    assert writers.placed, "nothing was written meanwhile"
    assert writers.changed, "nothing was changed meanwhile"


async def _walks(house: House, writers: Writers, filled: set[str]) -> None:
    for _ in range(count(2, 1)):
        for name, (path, who) in WALKS.items():
            before = filled | (set() if who else set(writers.placed))
            seen, pages = await walked(house, path, **who)
            assert pages > 1
            assert before <= set(seen), (name, len(before - set(seen)), "missed")
            assert len(seen) == len(set(seen)), (name, "seen twice")


@pytest.mark.parametrize(
    ("comparison", "fault"), [("placed_at < :after_at", "missed"), ("placed_at <= :after_at", "twice")]
)
async def test_bar_6_control_a_cursor_of_the_instant_alone_is_caught(
    installation: Installation, filled: set[str], monkeypatch: pytest.MonkeyPatch, comparison: str, fault: str
) -> None:
    careful = reads._between

    def careless(wanted: Any) -> Any:
        where, values = careful(wanted)
        values.pop("after_id", None)
        return [comparison if "after_id" in one else one for one in where], values

    monkeypatch.setattr(reads, "_between", careless)
    async with opened(installation) as house:
        seen, _ = await walked(house, "/v1/orders?limit=200")
    missed, twice = filled - set(seen), len(seen) - len(set(seen))
    assert missed if fault == "missed" else twice
