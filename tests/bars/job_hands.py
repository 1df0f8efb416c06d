"""`python -m tests.bars.job_hands`: workers and callers of jobs that can be killed, paused and spoilt.

Each line of its input asks for a process, each line of its output is that process's id. What they need is loaded once
and forked.
"""

import asyncio
import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from pydantic import Field

from orderhouse.jobs import worker as workers
from orderhouse.jobs.kind import Argument, Job, JobKind, Kinds, Retry, job
from orderhouse.jobs.models.jobs import JobState
from orderhouse.jobs.repository import JobRepository
from orderhouse.jobs.schemas import AskJob
from orderhouse.jobs.service.claims import ClaimService
from orderhouse.jobs.service.jobs import JobService
from orderhouse.jobs.wiring import Jobs
from orderhouse.kernel.errors import Refusal
from orderhouse.kernel.events import Origin
from orderhouse.kernel.principal import Principal
from orderhouse.runtime import once
from orderhouse.runtime.database.database import Place
from orderhouse.runtime.database.errors import DatabaseBusy, StillRunning
from orderhouse.runtime.database.postgres import PostgresPlace
from orderhouse.runtime.once import Answer, OnceCall
from orderhouse.runtime.queue import Leased, Queue

OWNER = Principal("boss", "owner")
POINTS = ("claim not committed", "claimed", "before the effect", "after the effect", "end not committed", "ended")
"""Where a worker is killed: within and between everything that it does."""

_OFTEN = Retry(attempts=10_000, first_delay_s=0.01, longest_delay_s=0.01)


def written(place: Place) -> Any:
    """Return a place as it goes to such a process."""
    return [place.url, place.schema] if isinstance(place, PostgresPlace) else str(place)


def _place(where: Any) -> Place:
    return PostgresPlace(*where) if isinstance(where, list) else Path(where)


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


class Where(Argument):
    """Where what is done is seen."""

    folder: str
    name: str = Field("")


def kinds(point: str = "") -> Kinds:
    """Return what there is to be done, by a process that dies at `point`."""

    @job(retry=_OFTEN)
    def deed(argument: Where, running: Job) -> Mapping[str, Any]:
        """Have an effect under a name that can be said twice, and note each time that it was tried."""
        with (Path(argument.folder) / f"{running.id}.runs").open("ab") as runs:
            runs.write(b".")
        if point == "before the effect":
            _die()
        (Path(argument.folder) / f"{running.id}.effect").touch()
        if point == "after the effect":
            _die()
        return {"by": os.getpid()}

    @job(retry=_OFTEN)
    def hold(argument: Where, running: Job) -> Mapping[str, Any]:
        """Say that it has begun, and go on when told, whatever its worker says."""
        (Path(argument.folder) / f"{running.id}.begun.{os.getpid()}").touch()
        while not (Path(argument.folder) / f"go.{os.getpid()}").exists():
            time.sleep(0.002)
        return {"by": os.getpid()}

    made: tuple[JobKind, ...] = (deed, hold)
    return {kind.name: kind for kind in made}


def _dying(point: str) -> None:
    """Have this process die at `point` of what its worker does."""
    if point == "claim not committed":
        _then_die(ClaimService, "claim", when=any)
    elif point == "claimed":
        workers.Worker._start = lambda _self, _claimed: _die()  # type: ignore[assignment,method-assign]
    elif point == "end not committed":
        _then_die(ClaimService, "end", when=bool)
    elif point == "ended":
        keep = workers.Worker._keep

        async def kept(self: workers.Worker, ended: Any) -> None:
            await keep(self, ended)
            _die()

        workers.Worker._keep = kept  # type: ignore[method-assign]


def _then_die(owner: type, name: str, when: Callable[[Any], bool]) -> None:
    work = getattr(owner, name)

    def done(self: Any, tx: Any, asked: Sequence[Any]) -> Any:
        outcomes = work(self, tx, asked)
        if when(outcomes):
            _die()
        return outcomes

    setattr(owner, name, done)


def forgets_what_it_claims() -> None:
    """Take a job off the queue as soon as it is claimed."""
    claim = JobRepository.claim

    def forgetful(self: JobRepository, *what: Any) -> list[Leased]:
        claimed = claim(self, *what)
        self.take_off([leased.id for leased in claimed])
        return claimed

    JobRepository.claim = forgetful  # type: ignore[assignment,method-assign]
    Queue.held = lambda self, tx, leased: {one.id for one in leased}  # type: ignore[method-assign]


def looks_at_no_fence() -> None:
    """Take any lease of a job for the one that holds."""
    Queue.held = lambda self, tx, leased: {one.id for one in leased}  # type: ignore[method-assign]


def forgets_what_it_answered() -> None:
    """Look up no answer, and store none."""
    once._Kept.__call__ = lambda self, tx, asked: [  # type: ignore[method-assign]
        outcome if isinstance(outcome, Refusal) else self.answer(outcome)
        for outcome in self.work(tx, [one.asked for one in asked])
    ]


DEFECTS = {one.__name__: one for one in (forgets_what_it_claims, looks_at_no_fence, forgets_what_it_answered)}


async def _work(asked: dict[str, Any]) -> None:
    jobs = Jobs.opened(_place(asked["place"]), kinds=kinds(asked["point"]))
    worker = jobs.worker(Path(asked["folder"]), threads=asked["threads"], lease_s=asked["lease_s"])
    worker.POLL_S = 0.02
    # A worker that is paused must not be so within a transaction: on SQLite nobody else could write.
    worker.BEAT_S = asked["beat_s"]
    worker._schedules = None
    tend = worker._tend

    async def tended(running: Any) -> None:
        await tend(running)
        (Path(asked["folder"]) / f"{running.claimed.job.id}.over.{os.getpid()}").touch()

    worker._tend = tended  # type: ignore[method-assign]
    await worker.run()


async def _ask(asked: dict[str, Any]) -> None:
    """Ask for a job under each key, from many sides at once, and note every job that is told of."""
    jobs = Jobs.opened(_place(asked["place"]), kinds=kinds())
    service, heard = JobService(jobs.kinds), []

    async def client() -> None:
        for n in range(asked["keys"]):
            # Every other key is the house's own: not that of a request, but of what is wanted.
            unique = {"unique_key": f"k{n}"} if n % 2 else {}
            wanted = AskJob.model_validate({"kind": "deed", "argument": {"folder": asked["folder"]}, **unique})
            key = None if n % 2 else f"k{n}"
            call = OnceCall(
                jobs.database, caller=OWNER, origin=Origin("boss"), operation="ask", key=key, fingerprint=b"x"
            )
            while True:
                try:
                    heard.append((n, (await call(service.ask, wanted, answer=_told)).body.decode()))
                except (StillRunning, DatabaseBusy):
                    continue  # Told to come again, and does.
                except Refusal as refusal:
                    heard.append((n, refusal.code))
                break

    await asyncio.gather(*(client() for _ in range(asked["threads"])))
    await jobs.database.close()
    (Path(asked["folder"]) / f"heard.{os.getpid()}.part").write_text(json.dumps(heard))
    (Path(asked["folder"]) / f"heard.{os.getpid()}.part").rename(Path(asked["folder"]) / f"heard.{os.getpid()}")


def _told(job: JobState) -> Answer:
    return Answer(202, (), str(job.id).encode())


def _serve(asked: dict[str, Any]) -> NoReturn:
    status = 1
    try:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
        log = os.open(Path(asked["folder"]) / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for number in (1, 2):
            os.dup2(log, number)
        for defect in asked["defects"]:
            DEFECTS[defect]()
        _dying(asked["point"])
        asyncio.run(_work(asked) if asked["do"] == "work" else _ask(asked))
        status = 0
    finally:
        os._exit(status)


def main() -> None:
    """Make processes until nobody asks any more."""
    # Whoever ends is forgotten at once: its id is nobody's then.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _serve(asked)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
