"""Lanes: where writes wait together, and are kept together.

A lane takes all that queued up for the same function while its last commit ran, calls it once, commits once, and then
answers everybody. There is no timer, so a lone caller waits for nobody. A batch that fails is replayed one by one, so
that only what is bad fails. Nobody is answered before the commit, and who goes away does not cancel what was queued.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, TypeVar

from orderhouse.kernel.errors import Refusal
from orderhouse.runtime.database.errors import DatabaseBusy, DatabaseUnavailable
from orderhouse.runtime.database.sql import Row
from orderhouse.runtime.database.transaction import ConstraintBroken, Performed, Transaction, Work

R = TypeVar("R")

MOST_AT_ONCE = 256
"""How many things one transaction decides at most: enough that a commit is shared, few enough that it stays short."""

_WORTH_ANOTHER = 16
"""How many are worth a transaction of their own while another one is under way."""

_KEPT_MEANWHILE = "answers_pkey"

_WARY_FOR = 64
"""For how many transactions work looks first, after one was taken back: who retries is seldom alone."""


class Perform(Protocol):
    """Runs a function in one durable transaction; answers its result and what it told."""

    def __call__(self, work: Callable[[Transaction], R], *, briefly: bool) -> Awaitable[Performed[R]]:
        """Run `work`; `briefly` says that it is a few small things."""


@dataclass(slots=True, eq=False)
class _Waiting:
    work: Work[Any, Any]
    asked: Sequence[Any]
    answered: "asyncio.Future[list[Any]]"
    alone: bool


_Settled = list[tuple["asyncio.Future[list[Any]]", "list[Any] | BaseException"]]


class Lane:
    """A bounded queue of writes, and a task for each connection they go to.

    While one of them waits for its commit, another decides and writes what came meanwhile.
    """

    def __init__(
        self,
        performs: Sequence[Perform],
        *,
        bound: int,
        refusals: Mapping[str, type[Refusal]],
        told: Callable[[Sequence[Row]], None],
    ) -> None:
        """Write through each of `performs`, and hold up to `bound` meanwhile.

        `refusals` say what a broken constraint means; `told` hears of facts that were, as the log has them.
        """
        self._performs = performs
        self._bound = bound
        self._refusals = refusals
        self._told = told
        self._waiting: deque[_Waiting] = deque()
        self._closed = False
        self._wary = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._busy = 0
        self._something = asyncio.Event()

    def put(self, work: Work[Any, R], asked: Sequence[Any], *, alone: bool) -> "asyncio.Future[list[R | Refusal]]":
        """Queue `asked`; the future holds an outcome for each. `alone` asks for a transaction of its own."""
        if self._closed:
            raise DatabaseUnavailable
        if self.full:
            raise DatabaseBusy
        answered: asyncio.Future[list[R | Refusal]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(work, asked, answered, alone))
        if self._enough:
            self._something.set()
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._run(one), name="lane") for one in self._performs]
        return answered

    @property
    def full(self) -> bool:
        """Whether nothing more is taken at the moment."""
        return len(self._waiting) >= self._bound

    @property
    def _enough(self) -> bool:
        """Whether what waits is worth a transaction: beside another, some are, and the first that comes is not."""
        return len(self._waiting) >= (_WORTH_ANOTHER if self._busy and not self._closed else 1)

    async def _run(self, perform: Perform) -> None:
        while not self._closed or self._waiting:
            if not self._enough:
                self._something.clear()
                await self._something.wait()
                continue
            self._busy += 1
            try:
                _answer(await self._serve(self._taken(), perform))
            finally:
                self._busy -= 1
                self._something.set()

    async def close(self) -> None:
        """Write what still waits, and end."""
        self._closed = True
        self._something.set()
        await asyncio.gather(*self._tasks)

    def _taken(self) -> list[_Waiting]:
        """Take the first that waits and all others it can share a transaction with, in their order."""
        first = self._waiting.popleft()
        taken = [first]
        left: list[_Waiting] = []
        while self._waiting and not first.alone and len(taken) < MOST_AT_ONCE:
            other = self._waiting.popleft()
            (taken if other.work == first.work and not other.alone else left).append(other)
        self._waiting.extendleft(reversed(left))
        return taken

    def _left(self) -> list[_Waiting]:
        """Take all that waits."""
        return [self._waiting.popleft() for _ in range(len(self._waiting))]

    async def _serve(self, taken: list[_Waiting], perform: Perform) -> _Settled:
        work = taken[0].work
        asked = [one for waiting in taken for one in waiting.asked]
        briefly = not taken[0].alone
        try:
            outcomes: list[Any] = await self._once(work, asked, perform, briefly=briefly)
        except DatabaseUnavailable as error:
            # Who waited behind them is told too: one after the other, each would find out anew how long that takes.
            return [(waiting.answered, error) for waiting in (*taken, *self._left())]
        except Exception as error:  # noqa: BLE001 - whatever it was, one by one shows whose it is
            if len(asked) == 1:
                return [(taken[0].answered, error)]
            outcomes = [await self._alone(work, one, perform, briefly=briefly) for one in asked]
            return [(waiting.answered, _failed(own) or own) for waiting, own in _each_its_own(taken, outcomes)]
        return [(waiting.answered, own) for waiting, own in _each_its_own(taken, outcomes)]

    async def _once(self, work: Work[Any, Any], asked: Sequence[Any], perform: Perform, *, briefly: bool) -> list[Any]:
        """Return what `work` decided. What breaks is tried again warily, and so are the next ones, for some time."""

        def tried(tx: Transaction) -> list[Any]:
            tx.wary = wary
            return list(work(tx, asked))

        for attempt in range(3):
            wary = attempt > 0 or self._wary > 0
            self._wary = max(0, self._wary - 1)
            try:
                outcomes, told = await perform(tried, briefly=briefly)
            except DatabaseUnavailable:
                raise
            except Exception as error:
                name = error.name if isinstance(error, ConstraintBroken) else ""
                alone = len(asked) == 1
                if not wary or (alone and name and attempt == 0) or (alone and name == _KEPT_MEANWHILE and attempt < 2):
                    # What was in the way may be this very request, done before or by another process: now it shows.
                    self._wary = _WARY_FOR if name else self._wary
                    continue
                if alone and name in self._refusals:
                    return [self._refusals[name]()]
                raise
            if told:
                self._told(told)
            return outcomes
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _alone(self, work: Work[Any, Any], one: Any, perform: Perform, *, briefly: bool) -> Any:
        try:
            return (await self._once(work, [one], perform, briefly=briefly))[0]
        except Exception as error:  # noqa: BLE001 - it is told to the one it belongs to
            return error


def _each_its_own(taken: Sequence[_Waiting], outcomes: Iterable[Any]) -> list[tuple[_Waiting, list[Any]]]:
    left = iter(outcomes)
    return [(waiting, list(islice(left, len(waiting.asked)))) for waiting in taken]


def _failed(outcomes: Sequence[Any]) -> BaseException | None:
    return next((one for one in outcomes if isinstance(one, BaseException) and not isinstance(one, Refusal)), None)


def _answer(settled: _Settled) -> None:
    for future, outcome in settled:
        if future.done():
            continue  # Its caller went away; the write stands all the same.
        if isinstance(outcome, BaseException):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
