"""Placing orders beside the limit: the same transaction written by a bare loop (SQLite) and by pgbench (PostgreSQL).

Limit and product take turns in one session, so that a noisy machine is noisy for both; the ratio of each round counts.
The product is whole: a documented route, a token, permissions, history, facts, a stored answer under a distinct
Idempotency-Key, three lines an order, and the analytics reading along.
"""

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import psycopg
from sqlalchemy.engine import make_url

from bench import servers
from bench.servers import Product
from bench.talk import call

LIMIT = Path(__file__).parent / "limit"
ROUNDS = int(os.environ.get("ORDERHOUSE_BENCH_ROUNDS", "5"))
SECONDS = int(os.environ.get("ORDERHOUSE_BENCH_SECONDS", "8"))
CUSTOMERS = 100


@dataclass(frozen=True)
class Figure:
    """One round: orders a second and the quantiles of their latency; `cpu_us` of the database per order, if known."""

    per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float | None = None


def measure() -> dict[str, object]:
    """Return the figures of both databases, round by round."""
    if not shutil.which("wrk"):
        raise SystemExit("placing is measured under wrk, which is not here: install it (Debian: wrk)")
    return {"sqlite": _sqlite(), "postgresql": _postgres()}


def _sqlite() -> dict[str, object]:
    with servers.folder() as folder, servers.product(Path(folder) / "data") as product:
        load = Load(product)
        limits = {"loop_1": 1, "loop_32": 32}
        rounds: dict[str, list[Figure]] = {name: [] for name in (*limits, "product_32", "product_1")}
        for _ in range(ROUNDS):
            for name, batch in limits.items():
                rounds[name].append(_loop(Path(folder) / "limit.sqlite3", batch))
            rounds["product_32"].append(load.run(32))
            rounds["product_1"].append(load.run(1))
        load.check()
    return _told(rounds, "product_32", "loop_1")


def _loop(file: Path, batch: int) -> Figure:
    command = [sys.executable, str(LIMIT / "sqlite_loop.py"), str(file), str(batch), str(SECONDS)]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return Figure(told["orders_per_s"], told["p50_ms"], told["p99_ms"])


def _postgres() -> dict[str, object]:
    with servers.postgres() as url, servers.folder() as folder:
        limit, mine = database_of_its_own(url), database_of_its_own(url)
        settings = _limit_schema(limit)
        with servers.product(Path(folder) / "data", mine) as product:
            load = Load(product)
            rounds: dict[str, list[Figure]] = {name: [] for name in ("cte", "sep", "product_32", "product_1")}
            # The first load of all makes the server's files, and whoever is first pays for it.
            _pgbench_run(limit, "cte")
            load.run(32, 2)
            for _ in range(ROUNDS):
                for name in ("cte", "sep"):
                    rounds[name].append(_cpu(limit, lambda name=name: _pgbench_run(limit, name)))  # type: ignore[misc]
                rounds["product_32"].append(_cpu(mine, lambda: load.run(32)))
                rounds["product_1"].append(load.run(1))
            load.check()
    return {**_told(rounds, "product_32", "cte"), "settings": settings}


def database_of_its_own(url: str) -> str:
    """Return the URL of a fresh database on the server at `url`."""
    name = f"bench_{uuid4().hex[:12]}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def _limit_schema(url: str) -> dict[str, str]:
    """Make the limit's tables, and return the settings that its figures stand on."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute((LIMIT / "schema_pg.sql").read_bytes())
        found = {
            name: connection.execute(f"SHOW {name}").fetchone()
            for name in ("server_version", "fsync", "synchronous_commit")
        }
    return {name: row[0] for name, row in found.items() if row}


def _pgbench_run(url: str, script: str) -> Figure:
    command = [servers.tool("pgbench"), "-n", "-M", "prepared", "-c", "32", "-j", "2", "-T", str(SECONDS)]
    with servers.folder() as logs:
        done = subprocess.run(
            [*command, "-l", "--log-prefix", f"{logs}/log", "-f", str(LIMIT / f"{script}.sql"), url],
            check=True,
            capture_output=True,
            text=True,
        )
        waits = sorted(
            int(line.split()[2]) for log in Path(logs).iterdir() for line in log.read_text().splitlines() if line
        )
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    assert found
    return Figure(float(found[1]), waits[len(waits) // 2] / 1e3, waits[int(len(waits) * 0.99)] / 1e3)


def _cpu(url: str, run: Callable[[], Figure]) -> Figure:
    """Return the figure of `run` with what PostgreSQL's processes used of the processor, per order."""
    with psycopg.connect(url) as connection:
        backend = connection.info.backend_pid
        server = psutil.Process(backend).parent()
    assert server is not None
    before = _used(server)
    figure = run()
    # What a backend used until it ended is its parent's children's.
    return Figure(
        figure.per_s, figure.p50_ms, figure.p99_ms, round((_used(server) - before) / (figure.per_s * SECONDS) * 1e6, 1)
    )


def _used(server: psutil.Process) -> float:
    own = server.cpu_times()
    total = float(own.user + own.system + own.children_user + own.children_system)
    for child in server.children():
        try:
            times = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


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
        told = self._sent(connections, seconds, look=False)
        if told["errors"]:
            raise SystemExit(f"{told['errors']} orders were not placed: {told}")
        self._placed += told["requests"]
        return Figure(round(told["requests"] / told["seconds"]), told["p50_ms"], told["p99_ms"])

    def storm(self, connections: int, seconds: int) -> dict[str, Any]:
        """Return how orders from that many connections were answered, whatever became of them."""
        told = self._sent(connections, seconds, look=True)
        self._placed += told["placed"]
        return told

    def _sent(self, connections: int, seconds: int, *, look: bool) -> dict[str, Any]:
        command = [
            "wrk",
            "-t",
            str(min(2, connections)),
            "-c",
            str(connections),
            "-d",
            f"{seconds}s",
            "--timeout",
            "30s",
        ]
        script = str(Path(__file__).with_name("load.lua"))
        done = subprocess.run(
            [*command, "-s", script, self.product.url, "--", "look" if look else "", self._token, *self._customers],
            check=True,
            capture_output=True,
            text=True,
        )
        found: dict[str, Any] = json.loads(re.findall(r"RESULT (.*)", done.stdout)[0])
        return found

    def check(self) -> None:
        """Count what is there: at least every order that was acknowledged."""
        path = "/v1/analytics/sales?by=status&from=2020-01-01&to=2029-12-31&currency=EUR"
        for _ in range(200):
            there = call(self.product.url, "GET", path, self._token)["totals"]["orders"]
            if there >= self._placed:
                return
        raise SystemExit(f"{self._placed} orders were acknowledged, {there} are there")


def _told(rounds: dict[str, list[Figure]], product: str, limit: str) -> dict[str, object]:
    ratios = [mine.per_s / theirs.per_s for mine, theirs in zip(rounds[product], rounds[limit], strict=True)]
    return {
        "rounds": {name: [figure.__dict__ for figure in figures] for name, figures in rounds.items()},
        "ratio": {"of": limit, "rounds": [round(r, 2) for r in ratios], "median": round(statistics.median(ratios), 2)},
    }
