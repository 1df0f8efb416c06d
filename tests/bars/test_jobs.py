"""Bars 3, 10 and 11 for jobs: asked for once, done once, by nobody who was late."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from orderhouse.jobs import reads
from orderhouse.jobs.models.jobs import LEASE_S as USUAL_S
from orderhouse.jobs.models.jobs import JobState
from orderhouse.jobs.schemas import AskJob
from orderhouse.jobs.service.jobs import JobService
from orderhouse.jobs.wiring import Jobs
from orderhouse.runtime.database.database import Place
from tests.bars import job_hands
from tests.bars.counts import count
from tests.bars.job_hands import OWNER, POINTS
from tests.integration.jobs_world import asked, opened

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(3600), pytest.mark.context("jobs")]

LEASE_S = 0.5
WAIT_S = 30


class Hands:
    """Processes that work on jobs or ask for them, all on one place."""

    def __init__(self, place: Place, folder: Path) -> None:
        self.place = place
        self.folder = folder
        root = Path(__file__).parents[2]
        command = [sys.executable, "-m", "tests.bars.job_hands"]
        self._maker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root, text=True)

    def start(self, do: str = "work", *defects: str, point: str = "", **more: Any) -> int:
        """Start one, and return its id."""
        told = {"threads": 1, "lease_s": LEASE_S, "beat_s": 0.05, **more}
        said = {"do": do, "place": job_hands.written(self.place), "folder": str(self.folder), "point": point}
        assert self._maker.stdin is not None
        assert self._maker.stdout is not None
        self._maker.stdin.write(json.dumps({**said, "defects": defects, **told}) + "\n")
        self._maker.stdin.flush()
        return int(self._maker.stdout.readline())

    def ended(self, pid: int) -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        until(lambda: self.ended(pid))

    def close(self) -> None:
        self._maker.kill()
        self._maker.wait()

    def seen(self, pattern: str) -> list[Path]:
        return list(self.folder.glob(pattern))


def until(holds: Callable[[], object], within_s: float = WAIT_S) -> None:
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.002)


@pytest.fixture
def hands(place: Place, tmp_path: Path) -> Iterator[Hands]:
    (tmp_path / "seen").mkdir()
    made = Hands(place, tmp_path / "seen")
    yield made
    made.close()


async def ask(jobs: Jobs, kind: str, folder: Path, many: int) -> list[UUID]:
    service = JobService(job_hands.kinds())
    wanted = AskJob.model_validate({"kind": kind, "argument": {"folder": str(folder)}})
    made = await jobs.database.write_many(service.ask, [asked(wanted) for _ in range(many)])
    return [job.id for job in made if isinstance(job, JobState)]


async def found(jobs: Jobs, ids: list[UUID]) -> Mapping[UUID, JobState]:
    told = [await jobs.database.read(reads.one, job_id, OWNER) for job_id in ids]
    return {job.id: job for job in told if job is not None}


async def killed_at_every_point(hands: Hands, *defects: str, rounds: int, within_s: float = WAIT_S) -> dict[str, Any]:
    """Have jobs done by workers that are killed at each point in turn, and by one that is not; tell what came of it."""
    async with opened(hands.place) as world:
        ids: list[UUID] = []
        for _ in range(rounds):
            ids += await ask(world.jobs, "deed", hands.folder, len(POINTS) + 2)
            for point in POINTS:
                pid = hands.start("work", *defects, point=point)
                until(lambda pid=pid: hands.ended(pid))  # type: ignore[misc]  # bound now
        killed_at = time.time()
        last = hands.start("work", *defects)
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            jobs = await found(world.jobs, ids)
            if all(job.state == "done" for job in jobs.values()):
                break
            time.sleep(0.02)
        hands.kill(last)
        again = [job.started_at / 1e6 - killed_at for job in jobs.values() if job.attempt > 1 and job.started_at]
        told = Counter(fact.name for fact in await world.told())
    return {
        "asked": len(ids),
        "done": sum(job.state == "done" for job in jobs.values()),
        "told": told["JobDone"],
        "effects": len(hands.seen("*.effect")),
        "runs": sum(len(file.read_bytes()) for file in hands.seen("*.runs")),
        "again": max(again, default=0.0),
    }


async def test_bar_10_a_job_is_done_once_wherever_its_worker_is_killed(hands: Hands) -> None:
    rounds = count(2, 200)
    came = await killed_at_every_point(hands, rounds=rounds, within_s=WAIT_S + 2 * rounds)
    assert came["done"] == came["told"] == came["effects"] == came["asked"]
    assert came["runs"] > came["asked"], "nobody was killed between a run and its end"
    # With the lease that the product has, and everything else that took its time here.
    assert came["again"] - LEASE_S + USUAL_S < 60


async def test_bar_10_control_a_job_that_is_off_the_queue_too_early_is_caught(hands: Hands) -> None:
    came = await killed_at_every_point(hands, "forgets_what_it_claims", rounds=1, within_s=3)
    assert came["done"] < came["asked"]


async def paused_past_the_lease(hands: Hands, *defects: str, batches: int) -> int:
    """Pause workers past their leases, let others take up their jobs, resume; return how much of the late was kept."""
    stale, many = 0, 4
    async with opened(hands.place) as world:
        for _ in range(batches):
            ids = await ask(world.jobs, "hold", hands.folder, many)
            late = hands.start("work", *defects, threads=many, beat_s=60)
            until(lambda late=late: len(hands.seen(f"*.begun.{late}")) == many)  # type: ignore[misc]  # bound now
            os.kill(late, signal.SIGSTOP)
            other = hands.start("work", threads=many)
            until(lambda other=other: len(hands.seen(f"*.begun.{other}")) == many)  # type: ignore[misc]  # bound now
            (hands.folder / f"go.{late}").touch()
            os.kill(late, signal.SIGCONT)
            until(lambda late=late: len(hands.seen(f"*.over.{late}")) == many)  # type: ignore[misc]  # bound now
            stale += sum(job.state != "running" for job in (await found(world.jobs, ids)).values())
            hands.kill(late)
            (hands.folder / f"go.{other}").touch()
            until(lambda other=other: len(hands.seen(f"*.over.{other}")) == many)  # type: ignore[misc]  # bound now
            jobs = (await found(world.jobs, ids)).values()
            stale += sum(job.result != {"by": other} or job.attempt != 2 for job in jobs)
            hands.kill(other)
        told = Counter(fact.name for fact in await world.told())
    return stale + abs(told["JobDone"] - batches * many)


async def test_bar_11_a_worker_that_was_paused_past_its_lease_ends_nothing(hands: Hands) -> None:
    assert await paused_past_the_lease(hands, batches=count(2, 50)) == 0


async def test_bar_11_control_a_fence_that_nobody_looks_at_is_caught(hands: Hands) -> None:
    assert await paused_past_the_lease(hands, "looks_at_no_fence", batches=1) > 0


async def raced(hands: Hands, *defects: str) -> tuple[int, int, int]:
    """Ask in two processes, from many sides, for a job under each key; tell how many keys, jobs and runs there are."""
    keys = count(20, 500)
    asking = [hands.start("ask", *defects, keys=keys, threads=count(10, 100)) for _ in range(2)]
    until(lambda: all(hands.seen(f"heard.{pid}") for pid in asking), within_s=600)
    heard: dict[int, set[str]] = {}
    for pid in asking:
        for n, said in json.loads((hands.folder / f"heard.{pid}").read_text()):
            heard.setdefault(n, set()).add(said)
    assert heard.keys() == set(range(keys))
    jobs = {said for said_of in heard.values() for said in said_of} - {"job_already_queued"}
    last = hands.start("work", threads=8)
    async with opened(hands.place) as world:
        ids = [UUID(one) for one in jobs]
        until_done = time.monotonic() + WAIT_S * count(1, 10)
        while any(job.state != "done" for job in (await found(world.jobs, ids)).values()):
            assert time.monotonic() < until_done
        [(there,)] = await world.jobs.database.read(lambda reading: reading.rows("SELECT count(*) FROM jobs"))
        assert there == len(jobs)
    hands.kill(last)
    return keys, len(jobs), sum(len(file.read_bytes()) for file in hands.seen("*.runs"))


async def test_bar_3_jobs_asked_for_under_one_key_are_one_and_run_once(hands: Hands) -> None:
    keys, jobs, runs = await raced(hands)
    assert jobs == runs == keys


async def test_bar_3_control_jobs_whose_answers_are_forgotten_are_caught(hands: Hands) -> None:
    keys, jobs, _ = await raced(hands, "forgets_what_it_answered")
    assert jobs > keys
