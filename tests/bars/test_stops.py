"""Bar 21, stops: a server that is told to end under load answers every request that reached it, and then ends well."""

import asyncio
import random
import signal
from dataclasses import dataclass, field
from uuid import uuid4

import httpx2
import pytest

from tests.bars.counts import count
from tests.installation import Installation
from tests.integration.orders_world import order

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(1200)]

CALLERS = 32
ENDS_WITHIN_S = 5


@dataclass
class Round:
    """What callers heard until nobody was there to be called."""

    placed: set[str] = field(default_factory=set)
    failed: list[str] = field(default_factory=list)
    until: int = field(default_factory=lambda: random.randint(CALLERS, 10 * CALLERS))
    """How many orders are placed before the server is told: it may be anywhere in what it does."""
    well_under_way: asyncio.Event = field(default_factory=asyncio.Event)

    async def call(self, url: str, headers: dict[str, str], customer: str) -> None:
        """Place one order after the other on a connection that is kept, and anew where it was ended in good form."""
        async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=30) as client:
            while True:
                key = {"Idempotency-Key": uuid4().hex}
                try:
                    answer = await client.post("/v1/orders", json=order(customer), headers=key)
                except httpx2.ConnectError:
                    return  # Nobody took the call: it was never sent.
                except httpx2.TransportError as error:
                    self.failed.append(repr(error))
                    return
                if answer.status_code == 201:
                    self.placed.add(answer.json()["id"])
                    if len(self.placed) >= self.until:
                        self.well_under_way.set()
                else:
                    self.failed.append(answer.text)


def bearer(installation: Installation) -> dict[str, str]:
    return {"Authorization": f"Bearer {installation.token()}"}


async def stopped(installation: Installation, customer: str, *defects: str) -> Round:
    """Start a server, call until it is told to end and has ended, and return what was heard."""
    heard = Round()
    with installation.started(*defects) as product:
        headers = bearer(installation)
        async with asyncio.TaskGroup() as group:
            for _ in range(CALLERS):
                group.create_task(heard.call(product.url, headers, customer))
            await heard.well_under_way.wait()
            product.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(product.process.wait, ENDS_WITHIN_S) == -signal.SIGTERM
    return heard


@pytest.fixture
def customer(installation: Installation) -> str:
    with installation.started() as product:
        headers = {**bearer(installation), "Idempotency-Key": "ada"}
        return str(httpx2.post(f"{product.url}/v1/customers", json={"name": "Ada"}, headers=headers).json()["id"])


async def there(installation: Installation) -> set[str]:
    """Return every order."""
    found: set[str] = set()
    with installation.started() as product:
        async with httpx2.AsyncClient(base_url=product.url, headers=bearer(installation), timeout=30) as client:
            following: str | None = "/v1/orders?limit=200"
            while following:
                page = (await client.get(following)).json()
                found |= {one["id"] for one in page["items"]}
                following = page["links"].get("next")
    return found


async def test_bar_21_a_server_told_to_end_under_load_fails_nobody(installation: Installation, customer: str) -> None:
    heard = [await stopped(installation, customer) for _ in range(count(2, 20))]
    assert [failed for one in heard for failed in one.failed] == []
    placed = {order_id for one in heard for order_id in one.placed}
    assert await there(installation) == placed, "nothing is there that was not told, and nothing told is missing"


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_bar_21_control_a_server_that_hangs_up_at_once_is_caught(
    installation: Installation, customer: str
) -> None:
    for _ in range(10):
        if (await stopped(installation, customer, "hangs_up_at_once")).failed:
            return
    pytest.fail("the defect was not caught")
