"""Moving orders beside the limit: the same transaction written by a bare loop (SQLite) and by pgbench (PostgreSQL).

As placing is measured: in turns, and whole, with a token, permissions, history, facts and a stored answer under a
distinct Idempotency-Key. Orders go the way they usually go: confirmed, packed, shipped, delivered.
"""

from itertools import islice
from pathlib import Path
from typing import Any

import psycopg

from bench import limits, servers, wrk
from bench.limits import ROUNDS, SECONDS, Figure
from bench.placing import Load, database_of_its_own
from bench.servers import Product
from bench.talk import call

ORDERS = {32: 2_500 * SECONDS, 1: 500 * SECONDS}
"""How many are moved in a round, by connections: each goes four steps, and none is to be delivered before the end."""


def measure() -> dict[str, object]:
    """Return the figures of both databases, round by round."""
    wrk.required("moving")
    return {"sqlite": _sqlite(), "postgresql": _postgres()}


def _sqlite() -> dict[str, object]:
    with servers.folder() as folder, servers.product(Path(folder) / "data") as product:
        moves = Moves(product, Path(folder))
        found = limits.beside_loops("move", Path(folder) / "limit.sqlite3", moves.run)
        moves.check()
    return found


def _postgres() -> dict[str, object]:
    with servers.postgres() as url, servers.folder() as folder:
        limit, mine = database_of_its_own(url), database_of_its_own(url)
        settings = limits.schema(limit)
        with psycopg.connect(limit, autocommit=True) as connection:
            connection.execute(
                "INSERT INTO orders (customer_id, user_id, currency, total_minor) "
                "SELECT 1, 1, 'EUR', 17991 FROM generate_series(1, 20000)"
            )
        with servers.product(Path(folder) / "data", mine) as product:
            moves = Moves(product, Path(folder))
            rounds: dict[str, list[Figure]] = {name: [] for name in ("move", "product_32", "product_1")}
            limits.warmed(limit, "move")
            for _ in range(ROUNDS):
                rounds["move"].append(limits.with_cpu(limit, lambda: limits.pgbench(limit, "move")))
                rounds["product_32"].append(limits.with_cpu(mine, lambda: moves.run(32)))
                rounds["product_1"].append(moves.run(1))
            moves.check()
    return {**limits.told(rounds, "product_32", "move"), "settings": settings}


class Moves:
    """Moves by wrk, of orders that were not moved in an earlier round, and the count that shows that each is there."""

    def __init__(self, product: Product, folder: Path) -> None:
        """Place as many orders as all rounds take."""
        self._product = product
        self._file = folder / "orders"
        self._token = product.token()
        load, placed = Load(product), 0
        while placed < ROUNDS * sum(ORDERS.values()) + ORDERS[32]:
            placed += round(load.run(32, 2).per_s) * 2
        self._moved = 0
        self._ids = iter([order["id"] for order in self._all()])
        self.run(32)

    def run(self, connections: int) -> Figure:
        """Return the figures of one round with that many connections; every move of it has to be made."""
        self._file.write_text("".join(f"{order}\n" for order in islice(self._ids, ORDERS[connections])))
        arguments = [self._token, str(self._file), str(min(2, connections))]
        figure, moved = limits.under_wrk(self._product.server, "moving.lua", *arguments, connections=connections)
        self._moved += moved
        return figure

    def check(self) -> None:
        """Count what is there: each move made a version, and those under way at the end of a round are not told."""
        there = sum(order["version"] - 1 for order in self._all())
        if there < self._moved:
            raise SystemExit(f"{self._moved} moves were acknowledged, {there} are there")

    def _all(self) -> list[dict[str, Any]]:
        orders: list[dict[str, Any]] = []
        following = "/v1/orders?limit=200"
        while following:
            page = call(self._product.url, "GET", following, self._token)
            orders += page["items"]
            following = page["links"].get("next", "")
        return orders
