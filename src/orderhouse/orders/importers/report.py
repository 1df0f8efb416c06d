"""What came of an import: how many, how much, and every row that was refused, with its reason."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, TextIO

import orjson

from orderhouse.kernel import money
from orderhouse.orders.contract import Kind
from orderhouse.orders.importers.documents import Document, RefusedDocument, RefusedRow

Outcome = Literal["new", "there", "replaced", "changed", "refused"]
"""Placed now; there already and the same; there, changed, and taken anew; there, changed, and left alone; not taken."""

_SHOWN = 20


@dataclass(slots=True)
class Tally:
    """How many documents and lines, and what they amount to exactly."""

    documents: int = 0
    lines: int = 0
    amount: int = 0

    def count(self, lines: int, amount: int) -> None:
        """Count one more document."""
        self.documents += 1
        self.lines += lines
        self.amount += amount


@dataclass(slots=True)
class ImportReport:
    """What came of one import. Its size does not depend on the file's."""

    source: str
    currency: str
    rows: int = 0
    in_file: dict[Kind, Tally] = field(default_factory=dict)
    """What the file says, by kind, whatever became of it."""
    in_orders: dict[Kind, Tally] = field(default_factory=dict)
    """What orders holds now of the documents that were not refused, as orders says it."""
    documents: Counter[Outcome] = field(default_factory=Counter)
    lines: Counter[Outcome] = field(default_factory=Counter)
    nameless_rows: int = 0
    """Rows, all refused, that name no document."""
    first_refused: list[RefusedRow] = field(default_factory=list)
    """The first few, to be shown; a ReportFile has them all."""

    @property
    def clean(self) -> bool:
        """Whether orders holds all that the file says now."""
        return not (self.documents["refused"] or self.documents["changed"] or self.nameless_rows)

    def find(self, found: Document | RefusedDocument) -> None:
        """Count a document as the file says it."""
        if found.kind is None:
            self.nameless_rows += found.lines
            return
        self.in_file.setdefault(found.kind, Tally()).count(found.lines, found.amount)
        if isinstance(found, RefusedDocument):
            self.settle("refused", found.lines)

    def settle(self, outcome: Outcome, lines: int) -> None:
        """Count what became of a document."""
        self.documents[outcome] += 1
        self.lines[outcome] += lines

    def hold(self, kind: Kind, lines: int, amount: int) -> None:
        """Count a document as orders holds it."""
        self.in_orders.setdefault(kind, Tally()).count(lines, amount)

    def refuse(self, row: RefusedRow) -> None:
        """Remember a refused row, if it is one of the first."""
        if len(self.first_refused) < _SHOWN:
            self.first_refused.append(row)

    def as_json(self) -> dict[str, object]:
        """Return all of it but the rows, amounts as exact decimals."""
        return {
            "source": self.source,
            "currency": self.currency,
            "rows": self.rows,
            "documents": dict(self.documents),
            "lines": dict(self.lines),
            "rows_without_document": self.nameless_rows,
            "in_file": self._by_kind(self.in_file),
            "in_orders": self._by_kind(self.in_orders),
        }

    def _by_kind(self, tallies: dict[Kind, Tally]) -> dict[str, object]:
        return {
            kind: {
                "documents": tally.documents,
                "lines": tally.lines,
                "amount": money.exact_text(tally.amount, self.currency),
            }
            for kind, tally in sorted(tallies.items())
        }


class ReportFile:
    """A file of JSON lines, written as the import goes: each refused row, each document left alone, then the totals."""

    def __init__(self, file: TextIO) -> None:
        """Write to `file`."""
        self._file = file

    def refuse(self, row: RefusedRow) -> None:
        """Write a refused row."""
        self._write({"outcome": "refused", "row": row.row, "document": row.reference or None, "reason": row.reason})

    def changed(self, reference: str) -> None:
        """Write a document that changed since it was imported and was left alone."""
        self._write({"outcome": "changed", "document": reference, "reason": "it has changed since it was imported"})

    def end(self, report: ImportReport) -> None:
        """Write the totals."""
        self._write({"outcome": "totals", **report.as_json()})

    def _write(self, line: dict[str, object]) -> None:
        self._file.write(orjson.dumps(line).decode() + "\n")
