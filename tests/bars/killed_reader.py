"""A reader in a process of its own, that kills itself at a named point; and two that keep effect and position apart."""

import asyncio
import os
import random
import signal
from collections.abc import Callable, Sequence

from orderhouse.kernel.events import Fact
from orderhouse.kernel.ids import new_id
from orderhouse.runtime import facts
from orderhouse.runtime.database.database import Database, Place
from orderhouse.runtime.database.transaction import Reading, Transaction
from orderhouse.runtime.queue import Leased, Queue
from orderhouse.runtime.readers import DatabaseSink, Follower
from orderhouse.runtime.transports.direct import DirectSource
from tests.integration.things import opened

POINTS = (
    "before the effect",
    "after the effect",
    "before the commit",
    "after the commit",
    "before parking",
    "after parking",
    "after the claim",
    "after a retry",
)
BETWEEN = "between two commits"
"""Where only a reader with a defect ever is."""


class Sink(DatabaseSink):
    """The product's, with points at which it may be killed, and a queue that is patient for milliseconds."""

    def __init__(self, database: Database, passed: Callable[[str], None], refused: float) -> None:
        super().__init__("r", database, lambda tx, told: _effect(tx, told, refused))
        self.parked = Queue(self.parked.kind, lease=20_000, first_delay=1_000, longest_delay=2_000, most_attempts=1000)
        self._passed = passed

    def _do(self, tx: Transaction, facts: Sequence[Fact]) -> None:
        self._passed("before the effect")
        super()._do(tx, facts)
        self._passed("after the effect")

    def _move(self, tx: Transaction, position: int) -> None:
        super()._move(tx, position)
        self._passed("before the commit")

    async def take(self, facts: Sequence[Fact]) -> None:
        await super().take(facts)
        self._passed("after the commit")

    async def _alone(self, work: Callable[[Transaction], None]) -> None:
        def done(tx: Transaction, asked: Sequence[None]) -> Sequence[None]:
            work(tx)
            return asked

        await self.database.write_many(done, [None])

    def _park(self, tx: Transaction, facts: Sequence[Fact], reason: str) -> None:
        if facts:
            self._passed("before parking")
        super()._park(tx, facts, reason)
        if facts:
            self._passed("after parking")

    async def _try_again(self, leased: Leased) -> None:
        self._passed("after the claim")
        await super()._try_again(leased)
        self._passed("after a retry")


class EffectFirst(Sink):
    """Keeps where it is in a transaction of its own, after that of its effects."""

    async def _kept(self, work: Callable[..., None], facts: Sequence[Fact], *more: object) -> None:
        await self._alone(lambda tx: work(tx, self._new(tx, facts), *more))
        self._passed(BETWEEN)
        await self._alone(lambda tx: self._move(tx, max(f.position for f in facts)))


class PositionFirst(Sink):
    """Keeps where it is before it has any effects."""

    async def _kept(self, work: Callable[..., None], facts: Sequence[Fact], *more: object) -> None:
        new: list[Fact] = []

        def moved(tx: Transaction) -> None:
            new[:] = self._new(tx, facts)
            if new:
                self._move(tx, new[-1].position)

        await self._alone(moved)
        self._passed(BETWEEN)
        await self._alone(lambda tx: work(tx, new, *more))


KINDS: dict[str, type[Sink]] = {"": Sink, "effect first": EffectFirst, "position first": PositionFirst}


def read(log: Place, own: Place, kind: str, point: str, at: int, refused: float) -> None:
    """Have the effects of all facts there are, unless it is killed when it passes `point` for the `at`-th time.

    `refused` is how often an effect fails after it was had, from 0 to 1.
    """
    left = at

    def passed(where: str) -> None:
        nonlocal left
        left -= where == point
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    asyncio.run(_read(log, own, lambda database: KINDS[kind](database, passed, refused)))


async def _read(log_place: Place, own_place: Place, made: Callable[[Database], Sink]) -> None:
    async with opened(log_place) as log, opened(own_place) as own:
        sink = made(own)
        follower = Follower(DirectSource(log), sink, batch=4)
        while await follower.catch_up() < await log.read(facts.head) or await own.read(_waits):
            if not await sink.idle():
                await asyncio.sleep(0.002)


def _waits(own: Reading) -> bool:
    return own.row("SELECT 1 FROM queue LIMIT 1") is not None


def _effect(tx: Transaction, told: Sequence[Fact], refused: float) -> None:
    """Leave a row for each fact, which says how many its aggregate had before: nothing hides what is done twice."""
    for fact in told:
        [before] = tx.rows("SELECT count(*) FROM things WHERE name LIKE :its", its=f"{fact.aggregate}:%")
        tx.run(
            "INSERT INTO things (id, name, size) VALUES (:id, :name, :before)",
            id=new_id(),
            name=f"{fact.aggregate}:{fact.sequence}:{new_id()}",
            before=before[0],
        )
        if random.random() < refused:
            raise ValueError("not now")
