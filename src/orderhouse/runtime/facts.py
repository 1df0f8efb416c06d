"""The log of facts: one per context, appended in the transaction that made them happen, read in order by position.

Positions have no gaps and are given in the order of commits, because the row that hands them out stays locked until
the transaction that took them ends. So a reader keeps one number and can never pass a fact that is still to commit.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import orjson

from orderhouse.kernel.events import Fact, NewFact, Origin
from orderhouse.kernel.ids import new_id
from orderhouse.runtime.database.sql import Row, as_id
from orderhouse.runtime.database.transaction import Reading

_COLUMNS = "position, id, name, version, aggregate, sequence, data, at, actor, request_id, trace"


def rows_of(facts: Iterable[NewFact], after: int) -> list[Row]:
    """Return the rows of the log that `facts` become behind position `after`."""
    return [
        (
            position,
            new_id(),
            fact.name,
            fact.version,
            fact.aggregate,
            fact.sequence,
            orjson.dumps(fact.data).decode(),
            fact.at,
            fact.origin.actor,
            fact.origin.request_id,
            fact.origin.trace,
        )
        for position, fact in enumerate(facts, after + 1)
    ]


def read(log: Reading, after: int, limit: int) -> list[Fact]:
    """Return up to `limit` facts behind position `after`, in order."""
    found = log.rows(
        f"SELECT {_COLUMNS} FROM facts WHERE position > :after ORDER BY position LIMIT :limit", after=after, limit=limit
    )
    return facts_of(found)


def history(log: Reading, aggregate: UUID, *, before: int, limit: int) -> list[Fact]:
    """Return up to `limit` facts of one aggregate, the latest ones whose sequence is below `before`, latest first."""
    found = log.rows(
        f"SELECT {_COLUMNS} FROM facts WHERE aggregate = :aggregate AND sequence < :before "
        "ORDER BY sequence DESC LIMIT :limit",
        aggregate=aggregate,
        before=before,
        limit=limit,
    )
    return facts_of(found)


def head(log: Reading) -> int:
    """Return the position of the latest fact; 0 for an empty log."""
    found = log.row("SELECT position FROM fact_head")
    return int(found[0]) if found else 0


def facts_of(rows: Iterable[Row]) -> list[Fact]:
    """Return the facts that rows of the log hold."""
    return [_fact(row) for row in rows]


def _fact(row: Sequence[Any]) -> Fact:
    position, fact_id, name, version, aggregate, sequence, data, at, actor, request_id, trace = row
    return Fact(
        position,
        as_id(fact_id),
        name,
        version,
        as_id(aggregate),
        sequence,
        orjson.loads(data),
        at,
        Origin(actor, request_id, trace),
    )
