"""Once: a request that writes is done once, however often it is sent.

The answer is stored beside the key in the transaction that did the work, and told again byte for byte. Only what
committed is stored: what was refused or failed left nothing behind and may be tried again with its key.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from hashlib import blake2b
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

import orjson
from sqlalchemy import Table

from orderhouse.kernel import clock
from orderhouse.kernel.clock import Instant
from orderhouse.kernel.errors import Invalid, Refusal
from orderhouse.kernel.events import Origin
from orderhouse.kernel.principal import Principal
from orderhouse.runtime.database.database import Database, decided
from orderhouse.runtime.database.errors import StillRunning
from orderhouse.runtime.database.sql import as_id
from orderhouse.runtime.database.tables import tables_of
from orderhouse.runtime.database.transaction import Transaction, Work

W = TypeVar("W")
W_co = TypeVar("W_co", covariant=True)
R = TypeVar("R")

_PATIENCE_S = 5.0
_ANSWERS: Table = tables_of("any").tables["answers"]


class KeyReused(Invalid):
    """This Idempotency-Key was used for a different request."""

    code = "idempotency_key_reused"


# Each request makes one of each of these: a named tuple is made in a third of the time of a frozen dataclass.
class Asked(NamedTuple, Generic[W_co]):
    """What is wanted, by whom, and when it was asked."""

    wanted: W_co
    caller: Principal
    at: Instant
    origin: Origin


class Answer(NamedTuple):
    """What goes back to the caller, and is stored beside the key."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    replayed: bool = False


class _Key(NamedTuple):
    """One caller's key for one operation, and a digest of what it was used for."""

    id: UUID
    fingerprint: bytes


class _Keyed(NamedTuple, Generic[W]):
    asked: Asked[W]
    key: _Key | None


class _Kept(NamedTuple, Generic[W, R]):
    """Work whose answers are stored. Equal work shares a transaction."""

    work: Work[Asked[W], R]
    answer: Callable[[R], Answer]

    def __call__(self, tx: Transaction, asked: Sequence[_Keyed[W]]) -> Sequence[Answer | Refusal]:
        """Answer what was answered before, do the rest, and store its answers.

        Hardly any key comes twice, so it is taken for new until something tells otherwise: the work refuses it, or its
        answer is kept already, which breaks a constraint and brings everything back here, warily.
        """
        if not tx.wary:
            outcomes = self._done(tx, asked)
            before = _answered(tx, [one for one, it in zip(asked, outcomes, strict=True) if isinstance(it, Refusal)])
            if not before:
                return outcomes  # As nearly always: nobody who was refused had been here before.
            return [_again(one.key, before) or outcome for one, outcome in zip(asked, outcomes, strict=True)]
        before = _answered(tx, asked)
        done = iter(self._done(tx, [one for one in asked if one.key is None or one.key.id not in before]))
        return [_again(one.key, before) or next(done) for one in asked]

    def _done(self, tx: Transaction, asked: Sequence[_Keyed[W]]) -> Sequence[Answer | Refusal]:
        if not asked:
            return []
        outcomes: list[Answer | Refusal] = []
        kept = []
        for (one, key), outcome in zip(asked, self.work(tx, [one for one, _ in asked]), strict=True):
            if isinstance(outcome, Refusal):
                outcomes.append(outcome)
                continue
            answer = self.answer(outcome)
            outcomes.append(answer)
            if key is not None:
                status, headers, body, _ = answer
                kept.append((*key, status, orjson.dumps(headers).decode(), body, one.at))
        tx.add(_ANSWERS, kept)
        return outcomes


_Before = dict[UUID, tuple[bytes, Answer]]


def _answered(tx: Transaction, asked: Sequence[_Keyed[Any]]) -> _Before:
    keys = [one.key.id for one in asked if one.key is not None]
    if not keys:
        return {}
    found = tx.rows("SELECT id, fingerprint, status, headers, body FROM answers WHERE id IN :ids", ids=keys)
    return {
        as_id(row[0]): (row[1], Answer(row[2], tuple((n, v) for n, v in orjson.loads(row[3])), row[4], replayed=True))
        for row in found
    }


def _again(key: _Key | None, before: _Before) -> Answer | Refusal | None:
    """Return what was answered before under `key`; None when it is new."""
    if key is None or key.id not in before:
        return None
    fingerprint, answer = before[key.id]
    return answer if fingerprint == key.fingerprint else KeyReused()


class OnceCall:
    """`once` as one request sees it: it knows the caller, the key, the operation and the request's fingerprint."""

    __slots__ = ("_caller", "_database", "_key", "_origin")

    def __init__(
        self,
        database: Database,
        *,
        caller: Principal,
        origin: Origin,
        operation: str,
        key: str | None,
        fingerprint: bytes,
    ) -> None:
        """Write to `database`. Without a `key` the work is done, and nothing is stored for a retry."""
        self._database = database
        self._caller = caller
        self._origin = origin
        self._key = _key(caller.subject, operation, key, fingerprint) if key is not None else None

    async def __call__(
        self,
        work: Work[Asked[W], R],
        wanted: W,
        *,
        answer: Callable[[R], Answer],
        learn: Callable[[Refusal], Awaitable[bool]] | None = None,
    ) -> Answer:
        """Do `work` once, in one transaction with its stored answer, and return that answer.

        `learn` is asked about a refusal: whether it found out something (from a neighbour) that is worth one more try.
        Raises KeyReused, StillRunning when an earlier request with this key takes longer than five seconds, and
        whatever refusal the work decided on.
        """
        keyed = _Keyed(Asked(wanted, self._caller, clock.now(), self._origin), self._key)
        kept: Work[_Keyed[W], Answer] = _Kept(work, answer)  # type: ignore[assignment]  # mypy: a tuple is never called
        try:
            return await self._tried(kept, keyed)
        except Refusal as refusal:
            if learn is None or not await learn(refusal):
                raise
        return await self._tried(kept, keyed)

    async def _tried(self, kept: Work[_Keyed[W], Answer], keyed: _Keyed[W]) -> Answer:
        if self._key is None:
            return await self._database.write(kept, keyed)
        running, key = self._database.running, self._key.id.int
        if key in running:
            await self._turn(key)
        running[key] = future = self._database.put(kept, keyed)
        try:
            # Who goes away does not take the work along: whoever comes again with the key meets its answer.
            return decided(await future)
        finally:
            del running[key]

    async def _turn(self, key: int) -> None:
        """Wait until nobody in this process is doing what has this key; other processes meet at the database."""
        running = self._database.running
        try:
            async with asyncio.timeout(_PATIENCE_S):
                while key in running:
                    await asyncio.wait([running[key]])
        except TimeoutError:
            raise StillRunning from None


def _key(subject: str, operation: str, key: str, fingerprint: bytes) -> _Key:
    named = blake2b("\0".join((subject, operation, key)).encode(), digest_size=16).digest()
    return _Key(as_id(named), fingerprint)


def forget(tx: Transaction, before: Instant, limit: int = 1000) -> int:
    """Forget up to `limit` answers that were kept before `before`; return how many."""
    return tx.run(
        "DELETE FROM answers WHERE id IN "
        "(SELECT id FROM answers WHERE kept_at < :before ORDER BY kept_at LIMIT :limit)",
        before=before,
        limit=limit,
    )
