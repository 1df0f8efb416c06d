"""What work sees of a database: questions, and one transaction in which everything it does is kept or nothing is."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import Table

from orderhouse.kernel.errors import Refusal
from orderhouse.kernel.events import NewFact
from orderhouse.runtime.database.sql import Dialect, Row

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

A = TypeVar("A")
R = TypeVar("R")

Work = Callable[["Transaction", Sequence[A]], Sequence[R | Refusal]]
"""A function over many: one outcome for each thing asked, in order, all in one transaction."""

Performed = tuple[R, Sequence[Row]]
"""What came of a transaction that is kept, and what it told, as the log has it."""


class ConstraintBroken(Exception):
    """The database refused a row; `name` is the constraint's or index's."""

    def __init__(self, name: str) -> None:
        """Name the broken constraint."""
        super().__init__(name)
        self.name = name


class Outdated(Exception):
    """Something is not any more as the transaction expected it; nothing of it was kept."""


class Reading(ABC):
    """Questions to one database. `:name` parameters; `IN :names` takes a list."""

    dialect: Dialect

    @abstractmethod
    def rows(self, sql: str, **values: object) -> Sequence[Row]:
        """Return every row of the answer."""

    def row(self, sql: str, **values: object) -> Row | None:
        """Return the first row of the answer, or None."""
        found = self.rows(sql, **values)
        return found[0] if found else None


class Transaction(Reading):
    """One unit of work: what it adds, changes and tells is kept together, or none of it."""

    wary = False
    """Whether this very work was taken back a moment ago, so that what was likely is to be looked up this time."""

    def __init__(self) -> None:
        """Start with nothing kept back."""
        self._expected: dict[Table, list[Row]] = {}
        self._added: dict[Table, list[Row]] = {}
        self._changed: dict[tuple[Table, tuple[str, ...]], list[Row]] = {}
        self._facts: list[NewFact] = []
        self.logged: Sequence[Row] = ()
        """What it told, as the log has it, once all of it is written."""

    @property
    @abstractmethod
    def for_update(self) -> str:
        """End of a SELECT whose rows nobody else may change before this transaction ends; order them by key."""

    @property
    @abstractmethod
    def session(self) -> "Session":
        """The ORM on this very transaction, for plain CRUD; it is flushed before the end."""

    @abstractmethod
    def run(self, sql: str, **values: object) -> int:
        """Run one statement now and return how many rows it touched."""

    def expect(self, table: Table, versions: Iterable[Row]) -> None:
        """Stand only if rows are there as they were seen before: each of `versions` is a primary key and a `version`.

        That is asked at the end. Where one is not so, all is taken back, and the work is done again, warily.
        """
        if more := list(versions):
            self._expected.setdefault(table, []).extend(more)

    def add(self, table: Table, rows: Iterable[Row]) -> None:
        """Insert `rows`, each in the order of the table's columns, at the end of the transaction."""
        if more := list(rows):
            self._added.setdefault(table, []).extend(more)

    def change(self, table: Table, columns: Sequence[str], rows: Iterable[Row]) -> None:
        """Set `columns` at the end of the transaction; a row is the primary key's values, then theirs.

        Only of what was there before it, and of each once: all of it may be written by one statement.
        """
        if more := list(rows):
            self._changed.setdefault((table, tuple(columns)), []).extend(more)

    def tell(self, facts: Iterable[NewFact]) -> None:
        """Append `facts` to the context's log, if and when this transaction is kept."""
        self._facts.extend(facts)

    @property
    def size(self) -> int:
        """How many rows are kept back."""
        return sum(map(len, chain(self._added.values(), self._changed.values()))) + len(self._facts)
