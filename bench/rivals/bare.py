"""The least a server in Python can do for an order: parse it, write it with its neighbours, answer it.

No token, no validation, no history, no stored answer, no log; on the limit's tables, and in its shape. What the product
takes more of a processor than this is what it does more. Run as `python -m bench.rivals.bare PORT`; BARE_DATABASE_URL
says on what.
"""

import asyncio
import os
import sys
from collections import deque
from contextlib import suppress
from itertools import count
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it ships no types
import orjson
import uvicorn
from starlette.types import Receive, Scope, Send

_LANES = 2
_WORTH_ANOTHER = 16
_CUSTOMERS = 10_000
_DIGEST = b"0" * 32
_WRITE = """
WITH k AS (
    INSERT INTO idem (user_id, key, req_hash, order_id) SELECT 1, * FROM unnest($1::text[], $2::bytea[], $3::bigint[])
), o AS (
    INSERT INTO orders (id, customer_id, user_id, currency, total_minor)
    SELECT id, customer, 1, currency, total
    FROM unnest($3::bigint[], $4::bigint[], $5::text[], $6::bigint[]) AS o(id, customer, currency, total)
), l AS (
    INSERT INTO order_lines SELECT * FROM unnest($7::bigint[], $8::int[], $9::text[], $10::int[], $11::bigint[])
)
INSERT INTO outbox (topic, aggregate_id, payload) SELECT 'order.created', * FROM unnest($3::bigint[], $12::jsonb[])
"""


class Lane:
    """Writes what waits, all of it at once, over one of two connections."""

    def __init__(self) -> None:
        """Hold nothing."""
        self._waiting: deque[tuple[str, Any, asyncio.Future[bytes]]] = deque()
        self._something = asyncio.Event()
        self._busy = 0
        # Far from those that pgbench gives.
        self._ids = count(10**9)

    def put(self, key: str, wanted: Any) -> "asyncio.Future[bytes]":
        """Queue an order; the future holds its answer."""
        answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting.append((key, wanted, answered))
        if self._enough:
            self._something.set()
        return answered

    @property
    def _enough(self) -> bool:
        return len(self._waiting) >= (_WORTH_ANOTHER if self._busy else 1)

    async def run(self) -> None:
        """Write for ever."""
        connection = await asyncpg.connect(
            os.environ["BARE_DATABASE_URL"], server_settings={"plan_cache_mode": "force_generic_plan"}
        )
        while True:
            if not self._enough:
                self._something.clear()
                await self._something.wait()
                continue
            batch = list(self._waiting)
            self._waiting.clear()
            self._busy += 1
            arrays, answers = self._decided([(key, wanted) for key, wanted, _ in batch])
            await connection.execute(_WRITE, *arrays)
            self._busy -= 1
            self._something.set()
            for (_, _, answered), answer in zip(batch, answers, strict=True):
                answered.set_result(answer)

    def _decided(self, asked: list[tuple[str, Any]]) -> tuple[list[list[Any]], list[bytes]]:
        orders, lines, answers = [], [], []
        for key, wanted in asked:
            order, total = next(self._ids), 0
            for line, one in enumerate(wanted["lines"], 1):
                price = int(float(one["unit_price"]) * 100)
                total += price * one["quantity"]
                lines.append((order, line, one["sku"], one["quantity"], price))
            answer = orjson.dumps({**wanted, "id": order, "status": "pending", "total_minor": total})
            answers.append(answer)
            customer = order % _CUSTOMERS + 1
            orders.append((key, _DIGEST, order, customer, wanted["currency"], total, answer.decode()))
        *columns, payloads = map(list, zip(*orders, strict=True))
        return [*columns, *map(list, zip(*lines, strict=True)), payloads], answers


_lane = Lane()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Place whatever is posted, wherever to."""
    if scope["type"] == "lifespan":
        await receive()
        lanes = [asyncio.create_task(_lane.run()) for _ in range(_LANES)]
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for lane in lanes:
            lane.cancel()
            with suppress(asyncio.CancelledError):
                await lane
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["method"] != "POST":
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body"})
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    key = next((value for name, value in scope["headers"] if name == b"idempotency-key"), b"")
    answer = await _lane.put(key.decode(), orjson.loads(body))
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False, log_level="warning")
