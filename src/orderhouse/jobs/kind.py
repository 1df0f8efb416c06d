"""What a kind of job is: an ordinary function with a typed argument, and what its author says of it.

An attempt can be lost after the function's last line and before what came of it is kept, and then there is another.
So what a function does to others it does under a name that can be said twice: the job's id, a document's reference.
What it returns is kept once, in the transaction that ends the job.
"""

import asyncio
import importlib
import pkgutil
import random
import threading
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, get_type_hints
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError

from orderhouse.jobs.errors import JobArgumentInvalid
from orderhouse.kernel.principal import PERMISSIONS, Principal

R = TypeVar("R")

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

    def stop(self, reason: Stop) -> None:
        """Ask the job to stop; the first reason stands."""
        self.reason = self.reason or reason
        self.stopped.set()


class Job:
    """The running job, as its function knows it."""

    def __init__(
        self, job_id: UUID, caller: Principal, attempt: int, control: Control, loop: asyncio.AbstractEventLoop
    ) -> None:
        """Work for `caller`, and let `loop` ask neighbours."""
        self.id = job_id
        self.caller = caller
        self.attempt = attempt
        self._control = control
        self._loop = loop

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
        """Return what a neighbour answers: it is asked in the event loop, and this thread waits."""
        return asyncio.run_coroutine_threadsafe(call, self._loop).result()


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

    def parsed(self, argument: object) -> BaseModel:
        """Return the argument as its type has it; JobArgumentInvalid says where it does not fit."""
        try:
            return self.argument.model_validate(argument)
        except ValidationError as error:
            found = [
                {"pointer": "/".join(("/argument", *map(str, one["loc"]))), "detail": str(one["msg"])[:200]}
                for one in error.errors(include_url=False, include_input=False, include_context=False)[:20]
            ]
            raise JobArgumentInvalid(errors=found) from None


Kinds = Mapping[str, JobKind]
"""Kinds by name."""


def job(
    *, permission: str = "jobs:start", retry: Retry = Retry(), time_limit_s: float = 3600
) -> Callable[[Function], JobKind]:
    """Make a kind of a function: named after it, described by its docstring, typed by its first parameter.

    Whoever starts one needs `permission`. An attempt that fails is followed by others as `retry` says, unless the
    refusal is about what was asked and not about the moment; one that takes longer than the limit has failed.
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
