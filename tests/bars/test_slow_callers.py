"""Bar 21, slow connections: callers who begin and do not go on keep nobody else waiting, and are let go."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from bench.servers import Product
from orderhouse.assembly.process import may_open_many_files
from tests.bars.counts import count
from tests.bars.defects import HURRIED_S
from tests.installation import Installation
from tests.integration.orders_world import order

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

SLOW = count(200, 1_000)
GOOD = 100
HEAD = b"POST /v1/orders HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """One database serves for both: who is slow gets as far as none."""
    return Installation(tmp_path / "data", "")


async def connected(product: Product, begun: bytes) -> Connection:
    address = urlsplit(product.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(begun)
    return reader, writer


@asynccontextmanager
async def slow_callers(product: Product) -> AsyncIterator[list[Connection]]:
    """Yield connections of callers who said nothing, began a head, or sent half of a body."""
    may_open_many_files()
    waiting = HEAD + f"Authorization: Bearer {product.token()}\r\nContent-Length: 100\r\n\r\n{{".encode()
    begun = [b"", HEAD, waiting]
    callers = await asyncio.gather(*(connected(product, begun[n % len(begun)]) for n in range(SLOW)))
    yield callers
    for _, writer in callers:
        writer.close()
    await asyncio.gather(*(writer.wait_closed() for _, writer in callers), return_exceptions=True)


async def let_go(callers: list[Connection], within_s: float) -> int:
    """Return how many of them the server closed."""

    async def closed(reader: asyncio.StreamReader) -> bool:
        try:
            async with asyncio.timeout(within_s):
                await reader.read()
        except TimeoutError:
            return False
        except ConnectionResetError:
            return True
        return True

    return sum(await asyncio.gather(*(closed(reader) for reader, _ in callers)))


async def placed(product: Product) -> int:
    """Return how many of some orders were placed."""
    async with httpx2.AsyncClient(base_url=product.url, timeout=5) as client:
        bearer = {"Authorization": f"Bearer {product.token()}"}

        async def post(path: str, key: str, body: object) -> httpx2.Response:
            return await client.post(path, json=body, headers={**bearer, "Idempotency-Key": key})

        customer = (await post("/v1/customers", "ada", {"name": "Ada"})).json()["id"]
        answers = [await post("/v1/orders", str(n), order(customer)) for n in range(GOOD)]
    return sum(answer.status_code == 201 for answer in answers)


async def test_bar_21_slow_callers_keep_nobody_waiting_and_are_let_go(installation: Installation) -> None:
    with installation.started("waits_shortly") as product:
        async with slow_callers(product) as slow:
            assert await placed(product) == GOOD
            assert await let_go(slow, within_s=10 * HURRIED_S) == SLOW


async def test_bar_21_control_a_server_that_waits_for_ever_is_caught(installation: Installation) -> None:
    with installation.started("waits_for_ever") as product:
        async with slow_callers(product) as slow:
            assert await let_go(slow, within_s=2 * HURRIED_S) == 0


async def test_bar_21_a_head_that_drips_is_let_go(installation: Installation) -> None:
    with installation.started("waits_shortly") as product:
        reader, writer = await connected(product, HEAD)
        ended = asyncio.create_task(reader.read())
        until = time.monotonic() + 10 * HURRIED_S
        while not ended.done():
            assert time.monotonic() < until
            writer.write(b"x")
            await asyncio.wait([ended], timeout=HURRIED_S / 10)
        writer.close()


async def test_bar_21_a_body_that_comes_slowly_is_waited_for(installation: Installation) -> None:
    with installation.started("waits_shortly") as product:
        token = product.token()

        async def slowly() -> AsyncIterator[bytes]:
            for part in (b"{", *[b" "] * 8, b'"name": "Ada"}'):
                yield part
                await asyncio.sleep(HURRIED_S / 4)

        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Idempotency-Key": "ada"}
        async with httpx2.AsyncClient(base_url=product.url, timeout=60) as client:
            answer = await client.post("/v1/customers", content=slowly(), headers=headers)
        assert answer.status_code == 201
