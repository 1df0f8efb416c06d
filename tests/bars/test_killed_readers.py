"""Bar 10, readers: killed anywhere between effect and position, no effect is lost and none is had twice."""

import asyncio
import multiprocessing
import random
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from uuid import UUID

import pytest

from orderhouse.kernel import clock
from orderhouse.kernel.events import NewFact, Origin
from orderhouse.kernel.ids import new_id
from orderhouse.runtime.database.database import Place
from orderhouse.runtime.database.transaction import Reading, Transaction
from tests.bars import killed_reader
from tests.bars.counts import FULL, count
from tests.bars.killed_reader import BETWEEN, POINTS
from tests.integration import things
from tests.integration.things import opened

pytestmark = pytest.mark.timeout(1800)

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.bars.killed_reader"])
NEVER = 1 << 60


class Shop:
    """A log, and what a reader makes of it in a database of its own."""

    def __init__(self, log: Place, own: Place) -> None:
        self.log, self.own = log, own
        self.told: Counter[UUID] = Counter()
        self._about = [new_id() for _ in range(3)]
        for place in (log, own):
            things.create(place)

    def tell(self, facts: int) -> None:
        asyncio.run(self._tell([random.choice(self._about) for _ in range(facts)]))

    async def _tell(self, about: list[UUID]) -> None:
        new = []
        for one in about:
            self.told[one] += 1
            new.append(NewFact("Told", one, self.told[one], {}, clock.now(), Origin("me")))

        def told(tx: Transaction, asked: Sequence[NewFact]) -> Sequence[NewFact]:
            tx.tell(asked)
            return asked

        async with opened(self.log) as database:
            await database.write_many(told, new)

    def read(self, point: str, at: int, *, kind: str = "", refused: float = 0.3) -> int | None:
        """Let a reader read; return how its process ended."""
        process = PROCESSES.Process(target=killed_reader.read, args=(self.log, self.own, kind, point, at, refused))
        process.start()
        process.join(60)
        return process.exitcode

    def wrong(self) -> list[str]:
        """Return what is not as it should be: each fact once, and those of one thing in their order."""
        found = asyncio.run(self._effects())
        wanted = {(one, sequence): 1 for one, last in self.told.items() for sequence in range(1, last + 1)}
        had = Counter((one, sequence) for one, sequence, _ in found)
        lost = [f"lost {one}" for one in wanted.keys() - had.keys()]
        twice = [f"twice {one}" for one, times in had.items() if times > 1]
        early = [f"out of order {one, sequence}" for one, sequence, before in found if before != sequence - 1]
        return lost + twice + early

    async def _effects(self) -> list[tuple[UUID, int, int]]:
        def asked(reading: Reading) -> list[tuple[UUID, int, int]]:
            rows = [(*row[0].split(":"), row[1]) for row in reading.rows("SELECT name, size FROM things")]
            return [(UUID(one), int(sequence), before) for one, sequence, _, before in rows]

        async with opened(self.own) as database:
            return await database.read(asked)


@pytest.fixture
def shop(empty: Callable[[str], Place]) -> Shop:
    return Shop(empty("log"), empty("own"))


def test_bar_10_a_reader_that_is_killed_loses_no_effect_and_has_none_twice(shop: Shop) -> None:
    killed: Counter[str] = Counter()
    for n in range(count(16, 200)):
        point = POINTS[n % len(POINTS)]
        shop.tell(6)
        ended = shop.read(point, random.randint(1, 3))
        assert ended in (0, -signal.SIGKILL)
        killed[point] += ended != 0
    assert sum(killed.values()) > count(16, 200) / 3
    assert not FULL or min(killed.values()) > 0, "killed at every point"
    assert shop.read("", NEVER) == 0
    assert shop.wrong() == []


@pytest.mark.parametrize(("kind", "what"), [("effect first", "twice"), ("position first", "lost")])
def test_bar_10_control_a_reader_that_keeps_effect_and_position_apart_is_caught(
    shop: Shop, kind: str, what: str
) -> None:
    shop.tell(6)
    assert shop.read(BETWEEN, 1, kind=kind, refused=0) == -signal.SIGKILL
    assert shop.read("", NEVER, kind=kind, refused=0) == 0
    assert {one.split()[0] for one in shop.wrong()} >= {what}
