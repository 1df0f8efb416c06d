"""What an order costs the interpreter, counted: unlike time, calls come to the same on every machine."""

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from uuid import uuid4

import orjson
import pytest
from starlette.types import Message

import orderhouse
from orderhouse.runtime import registry
from tests.integration.orders_world import House, order

pytestmark = pytest.mark.anyio

OURS = str(Path(orderhouse.__file__).parent)
CALLERS, EACH = 32, 10
MOST = 115
"""Calls of functions of ours for an order and for what follows its fact: there are 100 or so."""


@contextmanager
def counted() -> Iterator[Counter[CodeType]]:
    """Count the calls of each function in this thread; a coroutine or generator that goes on is called again."""
    calls: Counter[CodeType] = Counter()

    def count(frame: FrameType, event: str, _arg: object) -> None:
        if event == "call":
            calls[frame.f_code] += 1

    sys.setprofile(count)
    try:
        yield calls
    finally:
        sys.setprofile(None)


def is_ours(file: str) -> bool:
    # The registry is left out: tests have it look at every fact, which a server does not.
    return file.startswith(OURS) and file != registry.__file__


async def placed(house: House, headers: list[tuple[bytes, bytes]], body: bytes) -> int:
    """Place an order as a server hands a request on, without a client's own calls; return the status."""
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/orders",
        "raw_path": b"/v1/orders",
        "query_string": b"",
        "headers": [*headers, (b"idempotency-key", uuid4().hex.encode()), (b"content-length", b"%d" % len(body))],
    }
    said: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    async def send(message: Message) -> None:
        said.append(message)

    await house.front(scope, receive, send)
    return int(said[0]["status"])


async def test_an_order_costs_no_more_calls_than_it_did(house: House) -> None:
    lines = [{"sku": f"SKU-{n}", "description": "Tea", "quantity": 2, "unit_price": "19.99"} for n in range(3)]
    body = orjson.dumps({**order(await house.customer()), "lines": lines})
    token = house.bearer()["Authorization"].encode()
    headers = [(b"host", b"here"), (b"authorization", token), (b"content-type", b"application/json")]

    async def caller() -> None:
        for _ in range(EACH):
            assert await placed(house, headers, body) == 201

    await caller()
    with counted() as calls:
        await asyncio.gather(*(caller() for _ in range(CALLERS)))
    ours = {code: n for code, n in calls.items() if is_ours(code.co_filename)}
    each = {code.co_qualname: round(n / (CALLERS * EACH), 1) for code, n in ours.items()}
    assert sum(ours.values()) / (CALLERS * EACH) <= MOST, sorted(each.items(), key=lambda one: -one[1])[:40]
