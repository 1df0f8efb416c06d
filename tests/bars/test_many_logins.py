"""Bar 20, second half: when everybody signs in at once, memory stays bounded, the excess is told when to come again.

Whoever wants something else hardly notices.
"""

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import httpx2
import psutil
import pytest

from bench.servers import Product
from tests.bars.counts import count
from tests.installation import Installation

pytestmark = pytest.mark.timeout(900)

LOGINS = count(1000, 10_000)
MEMORY = 512 * 2**20
USUAL = 500
TIMES = 3.0
# Of a wait of a millisecond, three times is a matter of who was scheduled.
AT_LEAST_S = 0.1


@dataclass
class Crowd:
    """What a crowd heard."""

    heard: Counter[int]
    told_when: int


def come(url: str, logins: int) -> Crowd:
    """Let so many sign in at once, from a process of their own: what it does takes no time from whoever watches."""
    return asyncio.run(_come(url, logins))


async def _come(url: str, logins: int) -> Crowd:
    limits = httpx2.Limits(max_connections=logins)
    async with httpx2.AsyncClient(base_url=url, timeout=300, limits=limits) as client:

        async def comes(n: int) -> httpx2.Response:
            return await client.post("/v1/auth/sessions", json={"email": f"{n}@example.com", "password": "x" * 20})

        answers = await asyncio.gather(*(comes(n) for n in range(logins)))
    told = sum(answer.status_code in (429, 503) and "retry-after" in answer.headers for answer in answers)
    return Crowd(Counter(answer.status_code for answer in answers), told)


def watched(client: httpx2.Client, process: psutil.Process, over: Callable[[int], bool]) -> tuple[list[float], int]:
    """Ask for something else, one after the other, until it is over; return the waits, and the most memory."""
    waits: list[float] = []
    most = 0
    while not over(len(waits)):
        began = time.perf_counter()
        answer = client.get("/v1/customers?limit=1")
        waits.append(time.perf_counter() - began)
        assert answer.status_code == 200
        most = max(most, process.memory_info().rss)
    return waits, most


def stormed(product: Product) -> tuple[list[str], Crowd]:
    """Let so many sign in at once; return what is wrong with how it went, and what they heard."""
    wrong: list[str] = []
    process = psutil.Process(product.process.pid)
    bearer = {"Authorization": f"Bearer {product.token()}"}
    with (
        httpx2.Client(base_url=product.url, headers=bearer, timeout=60) as other,
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as elsewhere,
    ):
        # What takes long to start has started before it is watched.
        elsewhere.submit(come, product.url, 1).result()
        usual, _ = watched(other, process, lambda count: count >= USUAL)
        crowd = elsewhere.submit(come, product.url, LOGINS)
        waits, most = watched(other, process, lambda _: crowd.done())
        found = crowd.result()
    if set(found.heard) - {401, 429, 503}:
        wrong.append(f"heard {dict(found.heard)}")
    if found.told_when < found.heard[429] + found.heard[503]:
        wrong.append("some were not told when to come again")
    if most > MEMORY:
        wrong.append(f"{most // 2**20} MiB")
    before, during = (statistics.quantiles(some, n=100)[-1] for some in (usual, waits))
    if during > max(TIMES * before, AT_LEAST_S):
        wrong.append(f"others waited {during * 1000:.0f} ms, {before * 1000:.0f} ms before")
    return wrong, found


def test_bar_20_so_many_logins_at_once_hurt_nobody_else(installation: Installation) -> None:
    with installation.started() as product:
        wrong, crowd = stormed(product)
    assert wrong == []
    assert crowd.heard[503] + crowd.heard[429] > crowd.heard[401] > 0


def test_bar_20_control_hashing_whatever_comes_is_caught(tmp_path: Path) -> None:
    installation = Installation(tmp_path / "data", "")
    with installation.started("hashes_whatever_comes") as product:
        wrong, _ = stormed(product)
    assert wrong
