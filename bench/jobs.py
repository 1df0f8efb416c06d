"""Jobs: how soon one begins, how many a worker finishes, and what ten reports leave for whoever places orders.

A job here does nothing, so what is measured is everything around it: claimed under a lease, run in a thread, its end
kept with its fact, durably, each by itself as far as anybody can tell. The rivals do the same with what they have: a
job of theirs is acknowledged when it is done, and their stores are told to sync as they come.
"""

import asyncio
import random
import signal
import statistics
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import rivals_of_jobs, servers, wrk
from bench.placing import Load, database_of_its_own
from bench.talk import call
from orderhouse.assembly import places
from orderhouse.jobs import reads
from orderhouse.jobs.schemas import AskJob
from orderhouse.jobs.service.jobs import JobService
from orderhouse.jobs.wiring import Jobs
from orderhouse.kernel import clock
from orderhouse.kernel.events import Origin
from orderhouse.kernel.principal import Principal
from orderhouse.runtime.database.transaction import Reading
from orderhouse.runtime.once import Asked
from orderhouse.runtime.settings import Settings

JOBS = 5_000
ROUNDS = 3
PLACING_ROUNDS = 7
THREADS = 64
"""Of the worker that finds many jobs waiting: what does nothing waits for the disk alone."""
ASKED = 100
PAUSE_S = (0.05, 0.15)
"""Between one job and the next that is asked for: nothing else is done meanwhile."""
REPORTS = 10
OWNER = Principal("bench", "owner")


def measure() -> dict[str, object]:
    """Return the figures of both databases, and of the rivals beside them."""
    with servers.folder() as folder:
        sqlite = _measured(Path(folder), "")
    with servers.postgres() as url, servers.folder() as folder:
        postgresql = _measured(Path(folder), database_of_its_own(url))
        rivals = rivals_of_jobs.measured(JOBS, ROUNDS, [database_of_its_own(url) for _ in range(ROUNDS)])
    return {
        "jobs": JOBS,
        "threads": THREADS,
        "asked": ASKED,
        "sqlite": sqlite,
        "postgresql": postgresql,
        "rivals": rivals,
    }


def _measured(folder: Path, url: str) -> dict[str, object]:
    done = [asyncio.run(_done(folder / f"round-{n}", url)) for n in range(ROUNDS)]
    return {
        "per_s": {"rounds": done, "median": statistics.median(done)},
        "begun_ms": {
            "in the server": _begun(folder / "inside", url, beside=False),
            "in a worker beside it": _begun(folder / "beside", url, beside=True),
        },
        "placing": _placing(folder / "placing", url) if wrk.there() else None,
    }


async def _done(data: Path, url: str) -> float:
    """Return how many jobs a second one worker process finishes that finds them waiting."""
    environment = servers.environment(data, url, ORDERHOUSE_LOG_LEVEL="warning")
    jobs = await asyncio.to_thread(_opened, data, url)
    try:
        await asked(jobs, JOBS)
        with worker(environment, "--threads", str(THREADS)):
            await _until_done(jobs)
        first, last, count = await jobs.database.read(_span)
    finally:
        await jobs.database.close()
    return round(count / ((last - first) / 1e6), 0)


def _opened(data: Path, url: str) -> Jobs:
    settings = Settings(data_dir=data, database_url=url, _env_file=None)
    places.migrate_all(settings)
    return Jobs.opened(places.place_of("jobs", settings))


async def asked(jobs: Jobs, count: int) -> None:
    """Ask for so many jobs that do nothing."""
    service = JobService(jobs.kinds)
    wanted = AskJob.model_validate({"kind": "ping"})
    for _ in range(count // 500):
        now = clock.now()
        await jobs.database.write_many(service.ask, [Asked(wanted, OWNER, now, Origin("bench"))] * 500)


async def _until_done(jobs: Jobs) -> None:
    async with asyncio.timeout(300):
        while await jobs.database.read(reads.waiting):
            await asyncio.sleep(0.1)


def _span(reading: Reading) -> tuple[int, int, int]:
    """Return when the first job that is the latest round's began, when the last ended, and how many they were."""
    found = reading.rows(
        "SELECT started_at, ended_at FROM jobs WHERE state = 'done' ORDER BY id DESC LIMIT :count", count=JOBS
    )
    return min(row[0] for row in found), max(row[1] for row in found), len(found)


@contextmanager
def worker(environment: dict[str, str], *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Have a worker of its own run meanwhile."""
    process = subprocess.Popen([str(servers.PROGRAM), "worker", *arguments], env=environment, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _begun(data: Path, url: str, *, beside: bool) -> dict[str, float]:
    """Return how long after it was asked for a job begins, one at a time."""
    quiet = {"ORDERHOUSE_LOG_LEVEL": "warning"}
    with servers.product(data, url, **quiet, **({"ORDERHOUSE_JOB_THREADS": "0"} if beside else {})) as product:
        token = product.token()

        def once() -> float:
            made = call(product.url, "POST", "/v1/jobs", token, {"kind": "ping"})
            while (job := call(product.url, "GET", made["links"]["self"], token))["ended_at"] is None:
                time.sleep(0.01)
            return (clock.from_text(job["started_at"]) - clock.from_text(job["created_at"])) / 1000

        def times() -> list[float]:
            once()
            taken = []
            for _ in range(ASKED):
                time.sleep(random.uniform(*PAUSE_S))
                taken.append(once())
            return taken

        if not beside:
            found = times()
        else:
            with worker(product.environment | {"ORDERHOUSE_JOB_THREADS": "8"}):
                found = times()
    cuts = statistics.quantiles(found, n=100)
    return {"p50": round(statistics.median(found), 1), "p99": round(cuts[98], 1)}


def _placing(data: Path, url: str) -> dict[str, Any]:
    """Return p99 of placing without and with ten reports being made, in turns, in a worker beside the server."""
    quiet = {"ORDERHOUSE_LOG_LEVEL": "warning", "ORDERHOUSE_JOB_THREADS": "0"}
    alone, busy = [], []
    with servers.product(data, url, **quiet) as product, ThreadPoolExecutor(1) as beside:
        load, token = Load(product), product.token()
        load.run(8, 5)
        with worker(product.environment | {"ORDERHOUSE_JOB_THREADS": str(REPORTS)}):
            _reports(product.url, token)
            for _ in range(PLACING_ROUNDS):
                alone.append(load.run(8, 5).p99_ms)
                going = beside.submit(_keep_ten_going, product.url, token, 5)
                busy.append(load.run(8, 5).p99_ms)
                going.result()
        load.check()
    ratio = statistics.median(busy) / statistics.median(alone)
    return {"alone_p99_ms": alone, "with_reports_p99_ms": busy, "ratio": round(ratio, 2), "reports": REPORTS}


def _reports(url: str, token: str) -> None:
    """Have ten reports made, and wait for them."""
    wanted = {"kind": "sales-report", "argument": {"first_day": "2026-01-01", "last_day": "2027-12-31"}}
    jobs = [call(url, "POST", "/v1/jobs", token, wanted)["links"]["self"] for _ in range(REPORTS)]
    while any(call(url, "GET", job, token)["ended_at"] is None for job in jobs):
        time.sleep(0.5)


def _keep_ten_going(url: str, token: str, seconds: float) -> None:
    """Have reports made, ten at a time, for so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        _reports(url, token)
