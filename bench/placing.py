"""Placing orders beside the limit: the same transaction written by a bare loop (SQLite) and by pgbench (PostgreSQL).

Limit and product take turns in one session, so that a noisy machine is noisy for both; the ratio of each round counts.
The product is whole: a documented route, a token, permissions, history, facts, a stored answer under a distinct
Idempotency-Key, three lines an order, and the analytics reading along.
"""

from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from sqlalchemy.engine import make_url

from bench import limits, servers, wrk
from bench.limits import ROUNDS, SECONDS, Figure
from bench.servers import Product, Server
from bench.talk import call

CUSTOMERS = 100


def measure() -> dict[str, object]:
    """Return the figures of both databases, round by round."""
    wrk.required("placing")
    return {"sqlite": _sqlite(), "postgresql": _postgres()}


def _sqlite() -> dict[str, object]:
    with servers.folder() as folder, servers.product(Path(folder) / "data") as product:
        load = Load(product)
        found = limits.beside_loops("place", Path(folder) / "limit.sqlite3", load.run)
        load.check()
    return found


def _postgres() -> dict[str, object]:
    with servers.postgres() as url, servers.folder() as folder:
        limit, least, mine = (database_of_its_own(url) for _ in range(3))
        settings = limits.schema(limit)
        limits.schema(least)
        for database in (limit, least):
            limits.warmed(database, "cte")
        with servers.product(Path(folder) / "data", mine) as product, _bare(least, Path(folder)) as bare:
            load = Load(product)
            rounds: dict[str, list[Figure]] = {
                name: [] for name in ("cte", "sep", "bare_32", "product_32", "product_1")
            }
            load.run(32, 2)
            for _ in range(ROUNDS):
                for name in ("cte", "sep"):
                    run = partial(limits.pgbench, limit, name)
                    rounds[name].append(limits.with_cpu(limit, run))
                rounds["bare_32"].append(limits.with_cpu(least, lambda: load.elsewhere(bare, 32)))
                rounds["product_32"].append(limits.with_cpu(mine, lambda: load.run(32)))
                rounds["product_1"].append(load.run(1))
            load.check()
    return {**limits.told(rounds, "product_32", "cte"), "settings": settings}


def _bare(url: str, folder: Path) -> AbstractContextManager[Server]:
    """Run the server that does the least."""
    port = servers.free_port()
    command = ["bench.rivals.bare", str(port)]
    return servers.rival("bare", command, port, folder / "bare.log", BARE_DATABASE_URL=url)


def database_of_its_own(url: str) -> str:
    """Return the URL of a fresh database on the server at `url`."""
    name = f"bench_{uuid4().hex[:12]}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return make_url(url).set(database=name).render_as_string(hide_password=False)


class Load:
    """Orders by wrk, and the count that shows that every one of them is there."""

    def __init__(self, product: Product) -> None:
        """Make customers, and learn their ids."""
        self.product = product
        self._token = product.token()
        self._placed = 0
        self._customers = [
            call(product.url, "POST", "/v1/customers", self._token, {"name": f"Customer {n}", "country": "GB"})["id"]
            for n in range(CUSTOMERS)
        ]
        self.run(8, 2)

    def run(self, connections: int, seconds: int = SECONDS) -> Figure:
        """Return the figures of one round with that many connections; every order of it has to be placed."""
        figure, placed = self._figure(self.product.server, connections, seconds)
        self._placed += placed
        return figure

    def elsewhere(self, server: Server, connections: int) -> Figure:
        """Return the figures of such a round at another server."""
        return self._figure(server, connections, SECONDS)[0]

    def _figure(self, server: Server, connections: int, seconds: int) -> tuple[Figure, int]:
        arguments = self._arguments(look=False)
        return limits.under_wrk(server, "load.lua", *arguments, connections=connections, seconds=seconds)

    def storm(self, connections: int, seconds: int) -> dict[str, Any]:
        """Return how orders from that many connections were answered, whatever became of them."""
        arguments = self._arguments(look=True)
        told = wrk.run("load.lua", self.product.url, *arguments, connections=connections, seconds=seconds)
        self._placed += told["placed"]
        return told

    def _arguments(self, *, look: bool) -> list[str]:
        return ["look" if look else "", self._token, *self._customers]

    def check(self) -> None:
        """Count what is there: at least every order that was acknowledged."""
        path = "/v1/analytics/sales?by=status&from=2020-01-01&to=2029-12-31&currency=EUR"
        for _ in range(200):
            there = call(self.product.url, "GET", path, self._token)["totals"]["orders"]
            if there >= self._placed:
                return
        raise SystemExit(f"{self._placed} orders were acknowledged, {there} are there")
