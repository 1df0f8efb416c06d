"""Bar 20, first half: offered five times what it can do, the server goes on doing what it can, and says no to the rest.

`python -m bench overload` measures it at full speed. Here every order takes long, so that few clients are too many, and
waits are judged by what most had: a machine that is busy with something else delays a few whatever the server does.
"""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import httpx2
import pytest

from bench.servers import Product
from tests.bars.counts import count
from tests.installation import Installation
from tests.integration.orders_world import order

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(3600)]

QUEUE = 8
BUSY = QUEUE
STORM = 10 * QUEUE
COMES_AGAIN_S = 0.25
"""Sooner than it was told to, and rarely enough that sending is cheaper than serving: six times too much."""
SECONDS = count(4, 30)
KEPT = 0.8
TOLD_WITHIN_S = 1.5
USUAL_AGAIN_S = 10.0


def key() -> dict[str, str]:
    return {"Idempotency-Key": uuid4().hex}


@dataclass
class Heard:
    """How a crowd was answered."""

    placed: list[str] = field(default_factory=list)
    refused: int = 0
    bare: int = 0
    wrong: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def take(self, answer: httpx2.Response, seconds: float) -> None:
        self.waits.append(seconds)
        if answer.status_code == 201:
            self.placed.append(answer.json()["id"])
        elif answer.status_code == 503:
            self.refused += 1
            self.bare += "retry-after" not in answer.headers
        else:
            self.wrong.append(answer.text)


class Crowd:
    """Clients that send one order after the other, and hardly rest when they are told to."""

    def __init__(self, client: httpx2.AsyncClient, customer: str) -> None:
        self._client = client
        self._customer = customer
        self.all: list[Heard] = []

    async def run(self, clients: int, seconds: float) -> Heard:
        heard, until = Heard(), time.monotonic() + seconds
        await asyncio.gather(*(self._one(heard, until) for _ in range(clients)))
        self.all.append(heard)
        return heard

    async def _one(self, heard: Heard, until: float) -> None:
        while (began := time.monotonic()) < until:
            answer = await self._client.post("/v1/orders", json=order(self._customer), headers=key())
            heard.take(answer, time.monotonic() - began)
            if answer.status_code == 503:
                await asyncio.sleep(COMES_AGAIN_S)

    async def usual_again(self, usual_s: float) -> float:
        """Return how long it takes until a lone client waits no longer than before."""
        began = time.monotonic()
        while time.monotonic() - began < USUAL_AGAIN_S:
            if statistics.median((await self.run(1, 0.2)).waits) <= usual_s:
                break
        return time.monotonic() - began

    async def there(self) -> set[str]:
        found: set[str] = set()
        following: str | None = "/v1/orders?limit=200"
        while following:
            page = (await self._client.get(following)).json()
            found |= {one["id"] for one in page["items"]}
            following = page["links"].get("next")
        return found


@asynccontextmanager
async def crowd(product: Product) -> AsyncIterator[Crowd]:
    limits = httpx2.Limits(max_connections=STORM)
    headers = {"Authorization": f"Bearer {product.token()}"}
    async with httpx2.AsyncClient(base_url=product.url, headers=headers, timeout=60, limits=limits) as client:
        made = await client.post("/v1/customers", json={"name": "Ada"}, headers=key())
        yield Crowd(client, made.json()["id"])


async def findings(product: Product) -> tuple[list[str], Crowd]:
    """Return what is wrong with how a storm is served."""
    async with crowd(product) as people:
        usual = statistics.median((await people.run(1, 1)).waits)
        peak = len((await people.run(BUSY, SECONDS)).placed)
        storm = await people.run(STORM, SECONDS)
        back_after = await people.usual_again(2 * usual)
        lost = {one for heard in people.all for one in heard.placed} - await people.there()
    wrong = list(storm.wrong)
    if not storm.refused:
        wrong.append("nobody was refused: whatever comes is queued")
    if storm.bare:
        wrong.append(f"{storm.bare} of {storm.refused} were not told when to come again")
    if len(storm.placed) < KEPT * peak:
        wrong.append(f"{len(storm.placed)} orders were placed in the storm, {peak} before it")
    if (waited := statistics.quantiles(storm.waits, n=20)[-1]) > TOLD_WITHIN_S:
        wrong.append(f"one in twenty waited for more than {waited:.1f} s")
    if back_after >= USUAL_AGAIN_S:
        wrong.append("the storm was over, and it was not as before")
    if lost:
        wrong.append(f"{len(lost)} acknowledged orders are not there")
    return wrong, people


async def test_bar_20_what_is_too_much_is_refused_and_the_rest_is_served_as_before(installation: Installation) -> None:
    with installation.started("writes_slowly", ORDERHOUSE_WRITE_QUEUE=str(QUEUE)) as product:
        wrong, _ = await findings(product)
    assert wrong == []


async def test_bar_20_control_a_queue_without_an_end_is_caught(installation: Installation) -> None:
    defects = ("writes_slowly", "queues_without_end")
    with installation.started(*defects, ORDERHOUSE_WRITE_QUEUE=str(QUEUE)) as product:
        wrong, people = await findings(product)
    assert not any(heard.refused for heard in people.all), "the defect is not seeded"
    assert "nobody was refused: whatever comes is queued" in wrong
