"""Readers: a context follows its neighbours' facts, in order, and its effects happen once.

Effect and position are kept together, so a reader that is killed anywhere goes on where its effects ended. What comes
twice is passed over, what comes in another order is put in order, and a gap is waited for. A fact that fails parks
itself in the queue, and with it whatever else its aggregate tells; all others go on.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from operator import attrgetter
from typing import Any, Protocol
from uuid import UUID

import structlog

from orderhouse.kernel import clock
from orderhouse.kernel.clock import Clock, Instant
from orderhouse.kernel.errors import Refusal, Unavailable
from orderhouse.kernel.events import Fact, Origin
from orderhouse.runtime.database.database import Database
from orderhouse.runtime.database.errors import StillRunning
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.queue import Entry, Leased, LeaseLost, Queue
from orderhouse.runtime.registry import Kinds
from orderhouse.runtime.waiting import pause_s, rung

log = structlog.get_logger(__name__)

_RETRIES_AT_ONCE = 20
_LONGEST_REASON = 2000

Effect = Callable[[Transaction, Sequence[Fact]], None]
"""What facts, in order, change in a context's own tables."""


class FactsOutOfOrder(Unavailable):
    """Facts came with a gap before them, which is waited for."""

    code = "facts_out_of_order"


class Source(Protocol):
    """A log to follow."""

    name: str

    async def read(self, after: int, limit: int) -> Sequence[Fact]:
        """Return up to `limit` facts behind position `after`, in order."""

    async def wait(self, seconds: float) -> None:
        """Wait until there may be more, at most `seconds`."""


class Sink(Protocol):
    """Whoever follows: takes facts in order and remembers, together with their effects, how far it came."""

    @property
    def name(self) -> str:
        """What it is called: its context, a dot, and whom it follows."""

    async def position(self) -> int:
        """Return the position of the last fact taken; 0 before the first."""

    async def take(self, facts: Sequence[Fact]) -> None:
        """Take `facts`; those at or below the position were taken before and change nothing."""

    async def idle(self) -> bool:
        """Do some of what can be done while there is nothing to take; return whether there may be more."""


class Follower:
    """Brings a source's facts to a sink, for as long as it runs."""

    POLL_S = 0.1
    """How long another process's facts may lie unseen where it is not heard: this process's own ring a bell."""

    def __init__(
        self, source: Source, sink: Sink, *, batch: int = 1000, rest_s: float = 0.0, now: Clock = clock.now
    ) -> None:
        """Follow `source`, up to `batch` facts at a time; `rest_s` lets facts gather where taking many is cheaper."""
        self._source = source
        self._sink = sink
        self._batch = batch
        self._rest_s = rest_s
        self._now = now
        self._failures = 0
        self._wanted = asyncio.Event()
        self._fresher = asyncio.Condition()
        self.fresh_as_of: Instant = 0
        """Every fact told up to this instant has been taken."""
        self.trouble = ""
        """Why it cannot go on at the moment; empty when it can."""

    async def run(self) -> None:
        """Follow until cancelled; what fails is tried again, ever more slowly up to two seconds."""
        while True:
            try:
                await self.catch_up()
                more = await self._sink.idle()
                self._failures, self.trouble = 0, ""
                if not more and not await self._disturbed():
                    await self._source.wait(self.POLL_S)
            except Exception as error:  # noqa: BLE001 - a reader outlives whatever its source or sink suffers
                self._failures += 1
                self.trouble = f"{type(error).__name__}: {error}"
                level = log.warning if isinstance(error, Unavailable) else log.exception
                level("reader_waits", source=self._source.name, failures=self._failures, error=self.trouble)
                # Spread, so that many that failed together do not come back together.
                spread = random.uniform(0.5, 1.0)  # noqa: S311 - nothing secret about it
                await asyncio.sleep(spread * pause_s(self._failures, first_s=0.2))

    async def _disturbed(self) -> bool:
        """Rest, and return whether somebody wanted something fresher meanwhile."""
        return await rung(self._wanted, self._rest_s)

    async def refresh(self, *, max_age_ms: int, patience_ms: int) -> Instant:
        """Return `fresh_as_of`, at most `max_age_ms` old unless that takes longer than `patience_ms`."""
        asked = self._now() - max_age_ms * 1000
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_ms / 1000), self._fresher:
                while self.fresh_as_of < asked:
                    self._wanted.set()
                    await self._fresher.wait()
        return self.fresh_as_of

    async def catch_up(self) -> int:
        """Take all there is now, and return the position."""
        self._wanted.clear()
        position = await self._sink.position()
        while True:
            asked_at = self._now()
            facts = await self._source.read(position, self._batch)
            if facts:
                await self._sink.take(facts)
                position = facts[-1].position
            if len(facts) < self._batch:
                async with self._fresher:
                    self.fresh_as_of = asked_at
                    self._fresher.notify_all()
                return position


class DatabaseSink:
    """A sink whose effects are rows of its own, in its context's database."""

    def __init__(
        self, name: str, database: Database, effect: Effect, *, kinds: Kinds | None = None, now: Clock = clock.now
    ) -> None:
        """Keep the place called `name` in `database`, and there do what `effect` does.

        With `kinds`, `effect` is given facts in their present version only, and none whose data is not of its schema.
        """
        self.name = f"{database.name}.{name}"
        self.database = database
        self.parked = Queue(f"facts:{name}")
        self._place = name
        self._effect = effect
        self._kinds = kinds
        self._now = now

    async def position(self) -> int:
        """Return the position of the last fact taken."""
        found = await self.database.read(
            lambda reading: reading.row("SELECT position FROM readers WHERE name = :name", name=self._place)
        )
        return int(found[0]) if found else 0

    async def take(self, facts: Sequence[Fact]) -> None:
        """Take `facts` in one transaction; if one of them fails, one by one, and park what fails.

        FactsOutOfOrder when they do not go on where the position is.
        """
        try:
            await self._kept(self._taken, facts)
        except (Unavailable, StillRunning, asyncio.CancelledError):
            raise
        except Exception:  # noqa: BLE001 - one by one shows which of them it was
            for fact in each_once(facts):
                await self._take_or_park(fact)

    async def _take_or_park(self, fact: Fact) -> None:
        try:
            await self._kept(self._taken, [fact])
        except (Unavailable, StillRunning, asyncio.CancelledError):
            raise
        except Exception as error:  # noqa: BLE001 - the fact is parked with its reason, and the others go on
            reason = _reason(error)
            log.error("fact_parked", reader=self.name, position=fact.position, name=fact.name, reason=reason)
            await self._kept(self._park, [fact], reason)

    async def _kept(self, work: Callable[..., None], facts: Sequence[Fact], *more: object) -> None:
        def whole(tx: Transaction, _asked: Sequence[None]) -> list[None]:
            new = self._new(tx, facts)
            if new:
                work(tx, new, *more)
                self._move(tx, new[-1].position)
            return [None]

        await self.database.write_many(whole, [None])

    def _taken(self, tx: Transaction, facts: Sequence[Fact]) -> None:
        waiting = self.parked.lanes(tx, (_lane(fact.aggregate) for fact in facts))
        if not waiting:
            self._do(tx, facts)
            return
        self._do(tx, [fact for fact in facts if _lane(fact.aggregate) not in waiting])
        self._park(tx, [fact for fact in facts if _lane(fact.aggregate) in waiting], "an earlier fact is parked")

    def _do(self, tx: Transaction, facts: Sequence[Fact]) -> None:
        self._effect(tx, self._kinds.all_current(facts) if self._kinds else facts)

    def _park(self, tx: Transaction, facts: Sequence[Fact], reason: str) -> None:
        now = self._now()
        self.parked.put(tx, [Entry(_lane(fact.aggregate), _payload(fact), reason=reason) for fact in facts], now)

    def _new(self, tx: Transaction, facts: Sequence[Fact]) -> list[Fact]:
        """Return what of `facts` was not taken before, each once and in order; FactsOutOfOrder at a gap."""
        found = tx.row(f"SELECT position FROM readers WHERE name = :name{tx.for_update}", name=self._place)
        if found is None:
            tx.run("INSERT INTO readers (name, position) VALUES (:name, 0)", name=self._place)
        position = int(found[0]) if found else 0
        new = [fact for fact in each_once(facts) if fact.position > position]
        for expected, fact in enumerate(new, position + 1):
            if fact.position != expected:
                raise FactsOutOfOrder(f"{self.name}: expected position {expected}, got {fact.position}.")
        return new

    def _move(self, tx: Transaction, position: int) -> None:
        tx.run("UPDATE readers SET position = :position WHERE name = :name", position=position, name=self._place)

    async def again(self, facts: Sequence[Fact], reason: str) -> None:
        """Have the effects of `facts`, which were taken before, once more: by way of the queue, in order, with retries.

        What their aggregates tell meanwhile waits behind them.
        """

        def queued(tx: Transaction, _asked: Sequence[None]) -> list[None]:
            self._park(tx, facts, reason)
            return [None]

        await self.database.write_many(queued, [None])

    async def idle(self) -> bool:
        """Try some parked facts that are due again, each in a transaction with its entry; return whether it tried any.

        One that has failed too often is a dead letter: it stays, with its reason, and holds up its aggregate alone.
        """
        if not await self.database.read(self.parked.due, self._now()):
            return False
        claimed = await self.database.write(self._claim, None)
        for leased in claimed:
            await self._try_again(leased)
        return bool(claimed)

    async def _try_again(self, leased: Leased) -> None:
        try:
            await self.database.write(self._retry, leased)
        except LeaseLost:
            return  # Somebody mended, replayed or dropped it meanwhile, which stands.
        except (Unavailable, StillRunning, asyncio.CancelledError):
            raise
        except Exception as error:  # noqa: BLE001 - it is told in the entry, and tried again later or given up
            try:
                dead = await self.database.write(self._fail, (leased, _reason(error)))
            except LeaseLost:
                return
            if dead:
                log.error("fact_dead", reader=self.name, entry=str(leased.id), reason=_reason(error))

    def _claim(self, tx: Transaction, asked: Sequence[None]) -> list[list[Leased]]:
        return [self.parked.claim(tx, _RETRIES_AT_ONCE, self._now()) for _ in asked]

    def _fail(self, tx: Transaction, asked: Sequence[tuple[Leased, str]]) -> list[bool]:
        return [self.parked.fail(tx, leased, reason, self._now()) for leased, reason in asked]

    def _retry(self, tx: Transaction, asked: Sequence[Leased]) -> list[None]:
        for leased in asked:
            self.parked.finish(tx, leased)
            self._do(tx, [parked_fact(leased.payload)])
        return [None for _ in asked]


def each_once(facts: Sequence[Fact]) -> list[Fact]:
    """Return each of `facts` once, in the order of the log."""
    return sorted({fact.position: fact for fact in facts}.values(), key=attrgetter("position"))


def _reason(error: Exception) -> str:
    told = f"{error.code}: {error.detail}" if isinstance(error, Refusal) else f"{type(error).__name__}: {error}"
    return told[:_LONGEST_REASON]


def _lane(aggregate: UUID) -> str:
    return str(aggregate)


def _payload(fact: Fact) -> Mapping[str, object]:
    return {
        "position": fact.position,
        "id": fact.id,
        "name": fact.name,
        "version": fact.version,
        "aggregate": fact.aggregate,
        "sequence": fact.sequence,
        "data": fact.data,
        "at": fact.at,
        "origin": [fact.origin.actor, fact.origin.request_id, fact.origin.trace],
    }


def parked_fact(payload: Mapping[str, Any]) -> Fact:
    """Return the fact that a parked entry holds."""
    return Fact(
        **{
            **payload,
            "id": UUID(payload["id"]),
            "aggregate": UUID(payload["aggregate"]),
            "origin": Origin(*payload["origin"]),
        }
    )
