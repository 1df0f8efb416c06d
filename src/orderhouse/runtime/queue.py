"""The queue: leased rows for whatever is slow, late or failing.

An entry is open until it is finished, which deletes it, or dead. Claiming one pushes its due time behind the lease
and raises its fence; whoever comes back with an old fence is told that the lease was lost, and its transaction ends
without effect. Entries of one lane are worked in the order in which they came; a dead one holds up its lane until it
is mended or dropped.
"""

import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from orderhouse.kernel.clock import Instant
from orderhouse.kernel.errors import Conflict, NotFound
from orderhouse.kernel.ids import new_id
from orderhouse.runtime.database.sql import Row, as_id
from orderhouse.runtime.database.tables import tables_of
from orderhouse.runtime.database.transaction import Reading, Transaction

_QUEUE = tables_of("any").tables["queue"]
_SECOND = 1_000_000
_COLUMNS = "id, lane, payload, attempts, fence, reason"


class LeaseLost(Conflict):
    """Somebody else works on this by now."""

    code = "lease_lost"


class EntryUnknown(NotFound):
    """There is no such dead letter."""

    code = "entry_unknown"


@dataclass(frozen=True, slots=True)
class Entry:
    """Work to be done; entries of the same non-empty `lane` are done in order."""

    lane: str
    payload: Mapping[str, object]
    due_at: Instant = 0
    reason: str = ""
    id: UUID | None = None
    """What it is known by elsewhere; made when there is none."""


@dataclass(frozen=True, slots=True)
class Leased:
    """An entry that is ours until the lease ends."""

    id: UUID
    lane: str
    payload: Mapping[str, Any]
    attempts: int
    fence: int
    reason: str


@dataclass(frozen=True, slots=True)
class Queue:
    """The entries of one kind. Instants and durations are microseconds."""

    kind: str
    lease: int = 60 * _SECOND
    first_delay: int = _SECOND
    longest_delay: int = 3600 * _SECOND
    most_attempts: int = 10

    def put(self, tx: Transaction, entries: Collection[Entry], now: Instant) -> None:
        """Keep `entries` with this transaction."""
        tx.add(_QUEUE, [self._row(entry, now) for entry in entries])

    def _row(self, entry: Entry, now: Instant) -> Row:
        payload = orjson.dumps(entry.payload).decode()
        due_at = max(entry.due_at, now)
        return (entry.id or new_id(), self.kind, entry.lane, payload, "open", due_at, 0, 0, entry.reason, now)

    def due(self, reading: Reading, now: Instant) -> bool:
        """Whether something may be claimed."""
        return bool(
            reading.row(
                "SELECT 1 FROM queue WHERE kind = :kind AND state = 'open' AND due_at <= :now LIMIT 1",
                kind=self.kind,
                now=now,
            )
        )

    def lanes(self, reading: Reading, lanes: Iterable[str]) -> set[str]:
        """Return which of `lanes` have entries, open or dead."""
        # Hardly ever is there an entry at all: one look says so, where thousands of lanes would have to be named.
        if not reading.row("SELECT 1 FROM queue WHERE kind = :kind LIMIT 1", kind=self.kind):
            return set()
        found = reading.rows(
            "SELECT DISTINCT lane FROM queue WHERE kind = :kind AND lane IN :lanes",
            kind=self.kind,
            lanes=list(set(lanes)),
        )
        return {row[0] for row in found}

    def claim(self, tx: Transaction, limit: int, now: Instant) -> list[Leased]:
        """Lease up to `limit` due entries, the longest due first; nobody else gets them until the lease ends."""
        # Others that claim at this moment pass over what we are about to take, instead of waiting for it.
        unclaimed = f"{tx.for_update} SKIP LOCKED" if tx.dialect == "postgresql" else ""
        found = tx.rows(
            "UPDATE queue SET due_at = :until, fence = fence + 1, attempts = attempts + 1 WHERE id IN ("
            "SELECT id FROM queue AS mine WHERE kind = :kind AND state = 'open' AND due_at <= :now AND (lane = '' OR "
            "NOT EXISTS (SELECT 1 FROM queue AS earlier WHERE earlier.kind = mine.kind AND earlier.lane = mine.lane "
            f"AND earlier.id < mine.id)) ORDER BY due_at, id LIMIT :limit{unclaimed}) RETURNING {_COLUMNS}",
            until=now + self.lease,
            kind=self.kind,
            now=now,
            limit=limit,
        )
        return sorted((_leased(row) for row in found), key=lambda leased: leased.id)

    def extend(self, tx: Transaction, leased: Leased, now: Instant) -> None:
        """Hold the lease on from `now`; LeaseLost when it is no longer ours."""
        self._ours(
            tx.run(
                "UPDATE queue SET due_at = :until WHERE id = :id AND fence = :fence AND state = 'open'",
                until=now + self.lease,
                id=leased.id,
                fence=leased.fence,
            )
        )

    def finish(self, tx: Transaction, leased: Leased) -> None:
        """Take the entry off the queue, with the effects of its work; LeaseLost when it is no longer ours."""
        self._ours(
            tx.run(
                "DELETE FROM queue WHERE id = :id AND fence = :fence AND state = 'open'",
                id=leased.id,
                fence=leased.fence,
            )
        )

    def fail(self, tx: Transaction, leased: Leased, reason: str, now: Instant) -> bool:
        """Put the entry back for later, or among the dead after the last attempt; return whether it is dead."""
        dead = leased.attempts >= self.most_attempts
        self._ours(
            tx.run(
                "UPDATE queue SET state = :state, due_at = :due_at, reason = :reason, fence = fence + 1 "
                "WHERE id = :id AND fence = :fence AND state = 'open'",
                state="dead" if dead else "open",
                due_at=now if dead else now + self._delay(leased.attempts),
                reason=reason,
                id=leased.id,
                fence=leased.fence,
            )
        )
        return dead

    def _delay(self, attempts: int) -> int:
        """Return how long to wait after `attempts`: doubling, and spread so that failures do not come back together."""
        longest: int = min(self.longest_delay, self.first_delay * 2 ** (attempts - 1))
        return random.randint(longest // 2, longest)  # noqa: S311 - nothing secret about it

    def _ours(self, touched: int) -> None:
        if not touched:
            raise LeaseLost

    # Many at once: who works on a few dozen entries asks, holds on and finishes in one statement each.

    def held(self, tx: Transaction, leased: Collection[Leased]) -> set[UUID]:
        """Return which of `leased` are still ours; nobody else gets those before `tx` ends."""
        fences = {one.id: one.fence for one in leased}
        # In the order of their ids, so that two transactions never wait for each other.
        found = tx.rows(
            f"SELECT id, fence FROM queue WHERE id IN :ids AND state = 'open' ORDER BY id{tx.for_update}",
            ids=list(fences),
        )
        return {entry for entry, fence in ((as_id(row[0]), row[1]) for row in found) if fences[entry] == fence}

    def extend_all(self, tx: Transaction, held: Collection[UUID], now: Instant) -> None:
        """Hold the leases of entries that are `held` on from `now`."""
        tx.run("UPDATE queue SET due_at = :until WHERE id IN :ids", until=now + self.lease, ids=list(held))

    def take_off(self, tx: Transaction, entries: Collection[UUID]) -> None:
        """Take entries off the queue: they are `held`, or nobody has them."""
        tx.run("DELETE FROM queue WHERE id IN :ids", ids=list(entries))

    def put_back(self, tx: Transaction, entry: UUID, due_at: Instant, *, counted: bool) -> None:
        """Give an entry that is `held` back, due at `due_at`; unless `counted`, as if it had never been claimed."""
        tx.run(
            "UPDATE queue SET due_at = :due_at, fence = fence + 1, attempts = attempts - :uncounted WHERE id = :id",
            due_at=due_at,
            uncounted=0 if counted else 1,
            id=entry,
        )

    def dead(self, reading: Reading, limit: int) -> list[Leased]:
        """Return up to `limit` dead letters, the oldest first."""
        found = reading.rows(
            f"SELECT {_COLUMNS} FROM queue WHERE kind = :kind AND state = 'dead' ORDER BY due_at, id LIMIT :limit",
            kind=self.kind,
            limit=limit,
        )
        return [_leased(row) for row in found]

    def replay(self, tx: Transaction, entry: UUID, now: Instant, payload: Mapping[str, object] | None = None) -> None:
        """Open a dead letter again, with a mended `payload` if one is given; EntryUnknown when there is none."""
        mended = "" if payload is None else ", payload = :payload"
        values = {} if payload is None else {"payload": orjson.dumps(payload).decode()}
        touched = tx.run(
            f"UPDATE queue SET state = 'open', attempts = 0, due_at = :now{mended} "
            "WHERE id = :id AND kind = :kind AND state = 'dead'",
            now=now,
            id=entry,
            kind=self.kind,
            **values,
        )
        if not touched:
            raise EntryUnknown(str(entry))


def next_due(reading: Reading, queues: Sequence[Queue]) -> Instant | None:
    """Return when something in `queues` may be claimed, or claimed again if nobody finishes it; None for nothing."""
    # One question a queue: the first of each is found at the end of its index.
    firsts = " UNION ALL ".join(
        f"SELECT min(due_at) AS due_at FROM queue WHERE kind = :kind_{n} AND state = 'open'" for n in range(len(queues))
    )
    found = reading.row(
        f"SELECT min(due_at) FROM ({firsts}) AS firsts", **{f"kind_{n}": queue.kind for n, queue in enumerate(queues)}
    )
    return None if found is None or found[0] is None else int(found[0])


class Standing(NamedTuple):
    """What there is of one kind in one state."""

    kind: str
    state: str
    entries: int
    due_at: Instant
    """When the first of them is or was due."""
    attempts: int
    """The most at one of them."""


def standings(reading: Reading) -> list[Standing]:
    """Return how every queue of a database stands. Passes over all entries."""
    found = reading.rows("SELECT kind, state, count(*), min(due_at), max(attempts) FROM queue GROUP BY kind, state")
    return [Standing(*row) for row in found]


def _leased(row: Sequence[Any]) -> Leased:
    entry, lane, payload, attempts, fence, reason = row
    return Leased(as_id(entry), lane, orjson.loads(payload), attempts, fence, reason)
