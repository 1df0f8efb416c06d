"""Dead letters: facts that failed and are parked, to be looked at, mended, replayed or dropped.

A letter waits while it is tried again by itself, and is dead after the last attempt; both can be mended. Its version
goes up whenever it is claimed or changed, so two who mend it never overwrite each other, nor a worker that holds it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal
from uuid import UUID

import orjson
import structlog

from orderhouse.kernel import clock
from orderhouse.kernel.clock import Clock, Instant
from orderhouse.kernel.errors import NotFound, Stale
from orderhouse.kernel.events import Fact
from orderhouse.runtime.database.sql import Row, as_id
from orderhouse.runtime.database.transaction import Reading, Transaction
from orderhouse.runtime.readers import DatabaseSink, parked_fact
from orderhouse.runtime.subscribers import ReaderUnknown, Subscriber

log = structlog.get_logger(__name__)

State = Literal["waiting", "dead"]

_STATES: Mapping[str, State] = {"open": "waiting", "dead": "dead"}
_COLUMNS = "id, payload, state, due_at, fence, attempts, reason, created_at"
_BEFORE_ALL = UUID(int=0)


class LetterUnknown(NotFound):
    """There is no such dead letter: its effects may have been had meanwhile."""

    code = "letter_unknown"


class LetterMovedOn(Stale):
    """This letter was tried or changed since you read it; read it again."""

    code = "letter_moved_on"


@dataclass(frozen=True, slots=True)
class Letter:
    """A fact that one reader has parked."""

    id: UUID
    reader: str
    log: str
    fact: Fact
    state: State
    due_at: Instant
    version: int
    attempts: int
    reason: str
    parked_at: Instant


class DeadLetters:
    """The letters of every reader that keeps a queue."""

    def __init__(self, subscribers: Sequence[Subscriber], *, now: Clock = clock.now) -> None:
        """Look at the queues of `subscribers`."""
        self._boxes = [_Box(one, one.sink) for one in subscribers if isinstance(one.sink, DatabaseSink)]
        self._now = now

    async def page(
        self, *, reader: str | None = None, state: State | None = None, after: UUID | None = None, limit: int
    ) -> list[Letter]:
        """Return up to `limit` letters, the earliest parked first, behind `after`; ReaderUnknown."""
        boxes = [box for box in self._boxes if reader in (None, box.subscriber.name)]
        if not boxes:
            raise ReaderUnknown(reader or "")
        found = [letter for box in boxes for letter in await box.page(state, after or _BEFORE_ALL, limit)]
        return sorted(found, key=lambda letter: letter.id)[:limit]

    async def one(self, letter_id: UUID) -> Letter:
        """Return a letter; LetterUnknown."""
        return (await self._found(letter_id))[1]

    async def mend(self, letter_id: UUID, data: Mapping[str, Any], version: int, *, by: str) -> Letter:
        """Give a letter other data, which its schema has to allow; FactMalformed, LetterMovedOn, LetterUnknown.

        The fact in the log stays as it was told: what is mended is what this reader takes it for.
        """
        box, letter = await self._found(letter_id)
        kind = box.subscriber.kinds.kind(letter.fact.name)
        box.subscriber.kinds.check(kind, data)
        if letter.version != version:
            raise LetterMovedOn
        payload = await box.sink.database.read(box.payload, letter_id)
        text = orjson.dumps({**orjson.loads(payload), "data": data, "version": kind.version}).decode()
        await box.change(letter_id, version, "payload = :payload", payload=text)
        log.info("letter_mended", letter=str(letter_id), reader=letter.reader, by=by)
        return await self.one(letter_id)

    async def replay(self, letter_id: UUID, version: int | None, *, by: str) -> Letter:
        """Have a letter tried now, with all its attempts anew; LetterMovedOn, LetterUnknown."""
        box, letter = await self._found(letter_id)
        now = self._now()
        await box.change(letter_id, version, "state = 'open', attempts = 0, due_at = :now", now=now)
        log.info("letter_replayed", letter=str(letter_id), reader=letter.reader, by=by)
        # It may be done by now: this is how it was sent on its way.
        return replace(letter, state="waiting", attempts=0, due_at=now, version=letter.version + 1)

    async def drop(self, letter_id: UUID, version: int | None, *, by: str) -> None:
        """Give a letter up for good: its effects are never had, and its aggregate goes on."""
        box, letter = await self._found(letter_id)
        await box.drop(letter_id, version)
        log.warning(
            "letter_dropped",
            letter=str(letter_id),
            reader=letter.reader,
            position=letter.fact.position,
            reason=letter.reason,
            by=by,
        )

    async def _found(self, letter_id: UUID) -> "tuple[_Box, Letter]":
        for box in self._boxes:
            if letter := await box.one(letter_id):
                return box, letter
        raise LetterUnknown


@dataclass(frozen=True, slots=True)
class _Box:
    """The letters of one reader."""

    subscriber: Subscriber
    sink: DatabaseSink

    async def page(self, state: State | None, after: UUID, limit: int) -> list[Letter]:
        return await self.sink.database.read(self._page, state, after, limit)

    def _page(self, reading: Reading, state: State | None, after: UUID, limit: int) -> list[Letter]:
        only = {"waiting": " AND state = 'open'", "dead": " AND state = 'dead'"}.get(state or "", "")
        found = reading.rows(
            f"SELECT {_COLUMNS} FROM queue WHERE kind = :kind AND id > :after{only} ORDER BY id LIMIT :limit",
            kind=self.sink.parked.kind,
            after=after,
            limit=limit,
        )
        return [self._letter(row) for row in found]

    async def one(self, letter_id: UUID) -> Letter | None:
        return await self.sink.database.read(self._one, letter_id)

    def _one(self, reading: Reading, letter_id: UUID) -> Letter | None:
        row = reading.row(
            f"SELECT {_COLUMNS} FROM queue WHERE id = :id AND kind = :kind", id=letter_id, kind=self.sink.parked.kind
        )
        return self._letter(row) if row else None

    def _letter(self, row: Row) -> Letter:
        entry, payload, state, due_at, fence, attempts, reason, created_at = row
        return Letter(
            as_id(entry),
            self.subscriber.name,
            self.subscriber.log.name,
            parked_fact(orjson.loads(payload)),
            _STATES[state],
            due_at,
            fence,
            attempts,
            reason,
            created_at,
        )

    def payload(self, reading: Reading, letter_id: UUID) -> str:
        """Return what the queue keeps of a letter."""
        row = reading.row("SELECT payload FROM queue WHERE id = :id", id=letter_id)
        if row is None:
            raise LetterUnknown
        return str(row[0])

    async def change(self, letter_id: UUID, version: int | None, settings: str, **values: object) -> None:
        """Change a letter that is at `version`; whoever holds its lease has lost it."""
        await self._do(f"UPDATE queue SET {settings}, fence = fence + 1", letter_id, version, **values)

    async def drop(self, letter_id: UUID, version: int | None) -> None:
        """Take a letter away."""
        await self._do("DELETE FROM queue", letter_id, version)

    async def _do(self, what: str, letter_id: UUID, version: int | None, **values: object) -> None:
        seen = "" if version is None else " AND fence = :version"
        given = values if version is None else {**values, "version": version}

        def work(tx: Transaction, asked: Sequence[UUID]) -> list[None]:
            for one in asked:
                where = f" WHERE id = :id AND kind = :kind{seen}"
                if not tx.run(what + where, id=one, kind=self.sink.parked.kind, **given):
                    raise LetterMovedOn if self._one(tx, one) else LetterUnknown
            return [None for _ in asked]

        await self.sink.database.write(work, letter_id)
