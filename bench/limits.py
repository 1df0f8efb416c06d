"""What the product is measured against: the same transaction by a bare loop (SQLite) or by pgbench (PostgreSQL)."""

import json
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil
import psycopg

from bench import servers, wrk
from bench.servers import Server

LIMIT = Path(__file__).parent / "limit"
ROUNDS = int(os.environ.get("ORDERHOUSE_BENCH_ROUNDS", "5"))
SECONDS = int(os.environ.get("ORDERHOUSE_BENCH_SECONDS", "8"))


@dataclass(frozen=True)
class Figure:
    """One round: so many a second, and the quantiles of their latency.

    `cpu_us` is what the database used of the processor for each, and `server_us` what the server did, where known.
    """

    per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float | None = None
    server_us: float | None = None


def loop(what: str, file: Path, batch: int) -> Figure:
    """Return the figure of a bare loop on SQLite that is to "place" or "move" orders, and commits `batch` at a time."""
    command = [sys.executable, str(LIMIT / "sqlite_loop.py"), str(file), str(batch), str(SECONDS), what]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return Figure(told["orders_per_s"], told["p50_ms"], told["p99_ms"])


def schema(url: str) -> dict[str, str]:
    """Make the limit's tables on PostgreSQL, and return the settings that its figures stand on."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute((LIMIT / "schema_pg.sql").read_bytes())
        found = {
            name: connection.execute(f"SHOW {name}").fetchone()
            for name in ("server_version", "fsync", "synchronous_commit")
        }
    return {name: row[0] for name, row in found.items() if row}


def pgbench(url: str, script: str) -> Figure:
    """Return the figure of 32 clients that send one of the limit's scripts, prepared."""
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


def warmed(url: str, script: str) -> None:
    """Run a script once before it counts.

    The first load of all makes the server's files, and whoever is first pays for it. And how tables are read is planned
    once: what was planned while they were empty would stay a scan of all there is.
    """
    pgbench(url, script)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE")


def under_wrk(
    server: Server, script: str, *arguments: str, connections: int, seconds: int = SECONDS
) -> tuple[Figure, int]:
    """Return the figure of a script of wrk at `server`, and how many requests were answered; each has to be well."""
    before = server.cpu_s()
    told = wrk.run(script, server.url, *arguments, connections=connections, seconds=seconds)
    if told["errors"]:
        raise SystemExit(f"{told['errors']} requests to {server.name} were not answered well: {told}")
    answered = told["requests"]
    used = round((server.cpu_s() - before) / answered * 1e6, 1)
    return Figure(round(answered / told["seconds"]), told["p50_ms"], told["p99_ms"], server_us=used), answered


def with_cpu(url: str, run: Callable[[], Figure]) -> Figure:
    """Return the figure of `run` with what PostgreSQL's processes used of the processor for each."""
    with psycopg.connect(url) as connection:
        backend = connection.info.backend_pid
        server = psutil.Process(backend).parent()
    assert server is not None
    before = _used(server)
    figure = run()
    # What a backend used until it ended is its parent's children's.
    return replace(figure, cpu_us=round((_used(server) - before) / (figure.per_s * SECONDS) * 1e6, 1))


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


def beside_loops(what: str, file: Path, run: Callable[[int], Figure]) -> dict[str, object]:
    """Return what `run`, given connections, reached beside the bare loops that place or move, in turns."""
    loops = {"loop_1": 1, "loop_32": 32}
    rounds: dict[str, list[Figure]] = {name: [] for name in (*loops, "product_32", "product_1")}
    for _ in range(ROUNDS):
        for name, batch in loops.items():
            rounds[name].append(loop(what, file, batch))
        rounds["product_32"].append(run(32))
        rounds["product_1"].append(run(1))
    return told(rounds, "product_32", "loop_1")


def told(rounds: Mapping[str, Sequence[Figure]], product: str, limit: str) -> dict[str, object]:
    """Return the figures for the page, and what `product` reached of `limit` round by round."""
    ratios = [mine.per_s / theirs.per_s for mine, theirs in zip(rounds[product], rounds[limit], strict=True)]
    return {
        "rounds": {name: [asdict(figure) for figure in figures] for name, figures in rounds.items()},
        "ratio": {"of": limit, "rounds": [round(r, 2) for r in ratios], "median": round(statistics.median(ratios), 2)},
    }
