"""Subscribers: who follows whose facts, how far each has come, and how one is told a range of them again."""

from dataclasses import dataclass

import structlog

from orderhouse.kernel import clock
from orderhouse.kernel.clock import Instant
from orderhouse.kernel.errors import Conflict, Invalid, NotFound
from orderhouse.runtime import facts
from orderhouse.runtime.database.database import Database
from orderhouse.runtime.database.transaction import Reading
from orderhouse.runtime.readers import DatabaseSink, Follower, Sink
from orderhouse.runtime.registry import Kinds

log = structlog.get_logger(__name__)

AT_ONCE = 1000
"""How many facts of a replay one transaction queues."""

_REPLAYED = "replayed by "


class ReaderUnknown(NotFound):
    """There is no reader of that name."""

    code = "reader_unknown"


class RangeNotTaken(Invalid):
    """Only facts that were taken can be replayed: the others will come by themselves."""

    code = "range_not_taken"


class ReplayUnderWay(Conflict):
    """An earlier replay to this reader is still under way."""

    code = "replay_under_way"


class ReplaysNothing(Conflict):
    """This reader keeps no queue: it is made anew from all facts instead."""

    code = "reader_replays_nothing"


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a reader has come: counts, instants, and why it cannot go on, if it cannot."""

    position: int
    head: int
    oldest_at: Instant | None
    waiting: int
    dead: int
    attempts: int
    parked_since: Instant | None
    trouble: str

    @property
    def lag(self) -> int:
        """How many facts are still to be taken."""
        return max(0, self.head - self.position)


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A reader of one log."""

    log: Database
    kinds: Kinds
    sink: Sink
    follower: Follower | None = None
    """What runs it, in the process that does."""

    @property
    def name(self) -> str:
        """What it is called."""
        return self.sink.name

    async def standing(self) -> Standing:
        """Look how far it has come."""
        position = await self.sink.position()
        head = await self.log.read(facts.head)
        unread = await self.log.read(facts.read, position, 1) if head > position else []
        parked: tuple[int, int, int, Instant | None] = (0, 0, 0, None)
        if isinstance(self.sink, DatabaseSink):
            parked = await self.sink.database.read(_parked, self.sink.parked.kind)
        trouble = self.follower.trouble if self.follower else ""
        return Standing(position, head, unread[0].at if unread else None, *parked, trouble)

    async def replay(self, first: int, last: int, *, by: str) -> int:
        """Queue the facts from position `first` to `last` for their effects to be had again; return how many.

        They are had in order by aggregate, with retries, as if they had been parked; what has effects of its own each
        time (a mail is sent) has them again. Raises RangeNotTaken, ReplayUnderWay or ReplaysNothing.
        """
        if not isinstance(self.sink, DatabaseSink):
            raise ReplaysNothing(self.name)
        position = await self.sink.position()
        if not 1 <= first <= last <= position:
            raise RangeNotTaken(f"{self.name} has taken positions 1 to {position}.")
        if await self.sink.database.read(_replaying, self.sink.parked.kind):
            raise ReplayUnderWay
        for start in range(first, last + 1, AT_ONCE):
            some = await self.log.scan(facts.read, start - 1, min(AT_ONCE, last + 1 - start))
            await self.sink.again(some, f"{_REPLAYED}{by}")
        log.info("facts_replayed", reader=self.name, first=first, last=last, by=by, at=clock.as_text(clock.now()))
        return last + 1 - first


def _parked(reading: Reading, kind: str) -> tuple[int, int, int, Instant | None]:
    [row] = reading.rows(
        "SELECT count(*) FILTER (WHERE state = 'open'), count(*) FILTER (WHERE state = 'dead'), "
        "max(attempts), min(created_at) FROM queue WHERE kind = :kind",
        kind=kind,
    )
    return row[0], row[1], row[2] or 0, row[3]


def _replaying(reading: Reading, kind: str) -> bool:
    found = reading.row(
        "SELECT 1 FROM queue WHERE kind = :kind AND state = 'open' AND reason LIKE :replayed LIMIT 1",
        kind=kind,
        replayed=f"{_REPLAYED}%",
    )
    return found is not None
