"""What a kind of job is: an ordinary function with a typed argument, and what its author says of it.

An attempt can be lost after the function's last line and before what came of it is kept, and then there is another.
So what a function does to others it does under a name that can be said twice: the job's id, a document's reference.
What it returns is kept once, in the transaction that ends the job.
"""

import asyncio
import concurrent.futures
import importlib
import pkgutil
import random
import shutil
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar, get_type_hints
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError

from orderhouse.jobs.errors import JobArgumentInvalid
from orderhouse.jobs.neighbours import Neighbours
from orderhouse.kernel.principal import PERMISSIONS, Principal

R = TypeVar("R")
M = TypeVar("M", bound=BaseModel)

Stop = Literal["cancelled", "deadline", "too_slow", "lost", "leaving"]
"""Why a running job is asked to stop: somebody cancelled it, its time is up, its lease is lost, its worker leaves."""

_SECOND = 1_000_000


class Argument(BaseModel):
    """The argument of a kind: nothing unknown in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NoArgument(Argument):
    """Nothing is to be said."""


class JobStopped(Exception):
    """The job is to stop; its function lets this pass."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is: so much of so much, in whatever its kind counts, and what it does at the moment."""

    done: int = 0
    total: int | None = None
    note: str = ""


@dataclass(slots=True, eq=False)
class Control:
    """What a running job and its worker tell each other; each looks when it likes."""

    progress: Progress = field(default_factory=Progress)
    reason: Stop | None = None
    stopped: threading.Event = field(default_factory=threading.Event)
    _to_call: list[Callable[[], object]] = field(default_factory=list)

    def stop(self, reason: Stop) -> None:
        """Ask the job to stop; the first reason stands."""
        self.reason = self.reason or reason
        self.stopped.set()
        for call in tuple(self._to_call):
            call()

    @contextmanager
    def calling(self, call: Callable[[], object]) -> Iterator[None]:
        """Have `call` made, from another thread, if the job is asked to stop meanwhile or was already."""
        self._to_call.append(call)
        try:
            if self.stopped.is_set():
                call()
            yield
        finally:
            self._to_call.remove(call)


class FileStore(Protocol):
    """The files of the house, as a job reaches them."""

    async def fetch(self, file_id: UUID, caller: Principal, to: Path) -> None:
        """Write the content of a file to `to`; a refusal when there is none that `caller` may read."""

    async def keep(self, made: Path, name: str, caller: Principal) -> Mapping[str, Any]:
        """Keep what is in `made` as a file of the caller's, and return what a job's result says of it."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a worker gives each job it runs."""

    loop: asyncio.AbstractEventLoop
    files: FileStore
    folder: Path
    """Where a job may write while it runs."""
    neighbours: Neighbours | None = None


class Job:
    """The running job, as its function knows it."""

    def __init__(
        self, job_id: UUID, caller: Principal, attempt: int, control: Control, surroundings: Surroundings
    ) -> None:
        """Work for `caller`."""
        self.id = job_id
        self.caller = caller
        self.attempt = attempt
        self._control = control
        self._surroundings = surroundings
        self._folder: Path | None = None

    def progress(self, done: int, total: int | None = None, note: str = "") -> None:
        """Say how far it is. Costs nothing to say often; it is shown within a second."""
        self._control.progress = Progress(done, total, note[:200])

    @property
    def stopped(self) -> bool:
        """Whether it is to stop."""
        return self._control.stopped.is_set()

    def check(self) -> None:
        """Raise JobStopped when it is to stop: to be called between one piece of work and the next."""
        if self.stopped:
            raise JobStopped

    def rest(self, seconds: float) -> None:
        """Wait, and raise JobStopped as soon as it is to stop."""
        if self._control.stopped.wait(seconds):
            raise JobStopped

    def wait_for(self, call: Coroutine[Any, Any, R]) -> R:
        """Return what a neighbour answers: it is asked in the event loop, and this thread waits.

        Raises JobStopped, with the call broken off, as soon as the job is to stop.
        """
        future = asyncio.run_coroutine_threadsafe(call, self._surroundings.loop)
        with self._control.calling(future.cancel):
            try:
                return future.result()
            except concurrent.futures.CancelledError:
                self.check()
                raise

    @property
    def neighbours(self) -> Neighbours:
        """Whom it may ask."""
        if self._surroundings.neighbours is None:
            raise LookupError("this worker was given no neighbours")
        return self._surroundings.neighbours

    @property
    def folder(self) -> Path:
        """Where it may write what is gone when it ends."""
        if self._folder is None:
            self._surroundings.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder = Path(tempfile.mkdtemp(prefix="job-", dir=self._surroundings.folder))
        return self._folder

    def leave(self) -> None:
        """Remove what it wrote."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def fetch(self, file_id: UUID, name: str) -> Path:
        """Return a copy of a file, called `name`; a refusal when whom it works for may not read it."""
        to = self.folder / name
        self.wait_for(self._surroundings.files.fetch(file_id, self.caller, to))
        return to

    def keep(self, made: Path) -> Mapping[str, Any]:
        """Keep a file it has made, for whom it works for; return what its result is to say of it."""
        return self.wait_for(self._surroundings.files.keep(made, made.name, self.caller))


Function = Callable[[Any, Job], Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a job is attempted, and how long it waits in between: doubling, and spread."""

    attempts: int = 3
    first_delay_s: float = 5
    longest_delay_s: float = 600

    def delay(self, attempt: int) -> int:
        """Return how many microseconds to wait after `attempt`."""
        longest: float = min(self.longest_delay_s, self.first_delay_s * 2 ** (attempt - 1))
        # Spread, so that many that failed together do not come back together.
        return int(random.uniform(0.5, 1.0) * longest * _SECOND)  # noqa: S311 - nothing secret about it


@dataclass(frozen=True, slots=True)
class JobKind:
    """A kind of job."""

    name: str
    summary: str
    argument: type[BaseModel]
    function: Function
    permission: str
    retry: Retry
    time_limit_s: float
    at_home: bool

    def parsed(self, argument: object) -> BaseModel:
        """Return the argument as its type has it; JobArgumentInvalid says where it does not fit."""
        return fitting(self.argument, argument)


def fitting(model: type[M], argument: object) -> M:
    """Return an argument as `model` has it; JobArgumentInvalid says where it does not fit."""
    try:
        return model.model_validate(argument)
    except ValidationError as error:
        found = [
            {"pointer": "/".join(("/argument", *map(str, one["loc"]))), "detail": str(one["msg"])[:200]}
            for one in error.errors(include_url=False, include_input=False, include_context=False)[:20]
        ]
        raise JobArgumentInvalid(errors=found) from None


Kinds = Mapping[str, JobKind]
"""Kinds by name."""


def job(
    *, permission: str = "jobs:start", retry: Retry = Retry(), time_limit_s: float = 3600, at_home: bool = False
) -> Callable[[Function], JobKind]:
    """Make a kind of a function: named after it, described by its docstring, typed by its first parameter.

    Whoever starts one needs `permission`. An attempt that fails is followed by others as `retry` says, unless the
    refusal is about what was asked and not about the moment; one that takes longer than the limit has failed. One that
    is done `at_home` is done by the process that serves the product, whose own files it is about, and by no worker.
    """
    if permission not in PERMISSIONS:
        raise LookupError(f"nobody defined the permission {permission}")

    def made(function: Function) -> JobKind:
        argument = next(iter(get_type_hints(function).values()))
        if not issubclass(argument, BaseModel):
            raise TypeError(f"{function.__name__}: the first parameter is the argument, and a model")
        return JobKind(
            name=function.__name__.replace("_", "-"),
            summary=(function.__doc__ or "").strip().splitlines()[0],
            argument=argument,
            function=function,
            permission=permission,
            retry=retry,
            time_limit_s=time_limit_s,
            at_home=at_home,
        )

    return made


def discovered(package: str = "orderhouse.jobs.kinds") -> Kinds:
    """Return every kind in the files of `package`; LookupError when two are called the same."""
    found: dict[str, JobKind] = {}
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        for one in vars(importlib.import_module(f"{package}.{module.name}")).values():
            if isinstance(one, JobKind) and found.setdefault(one.name, one) is not one:
                raise LookupError(f"two kinds of job are called {one.name}")
    return found
