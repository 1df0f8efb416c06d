"""What Online Retail adds up to, computed from its CSV alone: in Decimal, and with nothing of the product.

It says again, in its own words, what the file means: a document is one InvoiceNo; no prefix is a sale, C a credit, A an
adjustment; its time is the smallest InvoiceDate of its rows, on a wall in London. It reads only well-formed files.
"""

import csv
import gzip
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Literal, TextIO
from zoneinfo import ZoneInfo

By = Literal["day", "week", "month", "customer", "country", "status"]
Key = date | str

SHOP = ZoneInfo("Europe/London")


@dataclass
class Document:
    """One document of the file."""

    number: str
    wall_time: str
    customer: str | None
    country: str
    amount: Decimal = Decimal(0)
    lines: int = 0

    @property
    def kind(self) -> str:
        return {"C": "credit", "A": "adjustment"}.get(self.number[0], "sale")

    @property
    def status(self) -> str:
        return "returned" if self.kind == "credit" else "delivered"

    @property
    def at(self) -> datetime:
        return datetime.fromisoformat(self.wall_time).replace(tzinfo=SHOP).astimezone(UTC)

    def day(self, zone: ZoneInfo) -> date:
        return self.at.astimezone(zone).date()


@dataclass
class Figures:
    """Sales and credits that belong together."""

    orders: int = 0
    credits: int = 0
    gross: Decimal = Decimal(0)
    credit_total: Decimal = Decimal(0)

    @property
    def net(self) -> Decimal:
        return self.gross + self.credit_total

    def count(self, document: Document) -> None:
        if document.kind == "sale":
            self.orders += 1
            self.gross += document.amount
        else:
            self.credits += 1
            self.credit_total += document.amount

    def as_shown(self) -> dict[str, int | str]:
        """As an answer shows it: every amount rounded once."""
        return {
            "orders": self.orders,
            "credits": self.credits,
            "gross": rounded(self.gross),
            "credit_total": rounded(self.credit_total),
            "net": rounded(self.net),
        }


@dataclass
class Cut:
    """Figures by some key. Days, weeks (by their Monday) and months (by their first) are in order and without gaps."""

    items: dict[Key, Figures] = field(default_factory=dict)
    unassigned: Figures = field(default_factory=Figures)
    totals: Figures = field(default_factory=Figures)
    adjustments: Decimal = Decimal(0)


def read(file: Path) -> list[Document]:
    """Every document of `file`, packed or plain, in the order of its first row."""
    documents: dict[str, Document] = {}
    with _text(file) as text:
        for row in csv.DictReader(text):
            number = row["InvoiceNo"]
            if number not in documents:
                customer = row["CustomerID"].partition(".")[0] or None
                documents[number] = Document(number, row["InvoiceDate"], customer, row["Country"])
            document = documents[number]
            document.wall_time = min(document.wall_time, row["InvoiceDate"])
            document.amount += int(row["Quantity"]) * Decimal(row["UnitPrice"])
            document.lines += 1
    return list(documents.values())


def _text(file: Path) -> TextIO:
    if file.suffix == ".gz":
        return io.TextIOWrapper(gzip.open(file), encoding="utf-8-sig", newline="")
    return file.open(encoding="utf-8-sig", newline="")


def cut(documents: Iterable[Document], by: By, first: date, last: date, zone: str) -> Cut:
    """Figures of the documents from `first` to `last`, both included, as days are in `zone`."""
    there = ZoneInfo(zone)
    found = Cut(items={key: Figures() for key in _keys(by, first, last)})
    for document in documents:
        day = document.day(there)
        if not first <= day <= last:
            continue
        if document.kind == "adjustment":
            found.adjustments += document.amount
            continue
        found.totals.count(document)
        key = _key(document, by, day)
        (found.unassigned if key is None else found.items.setdefault(key, Figures())).count(document)
    return found


def _keys(by: By, first: date, last: date) -> Iterator[date]:
    """Every day, week or month there is, also those in which nothing happened."""
    if by not in ("day", "week", "month"):
        return
    seen = None
    for days in range((last - first).days + 1):
        key = _period(by, first + timedelta(days=days))
        if key != seen:
            yield key
        seen = key


def _key(document: Document, by: By, day: date) -> Key | None:
    match by:
        case "customer":
            return document.customer
        case "country":
            return document.country or None
        case "status":
            return document.status
        case _:
            return _period(by, day)


def _period(by: By, day: date) -> date:
    if by == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if by == "month" else day


def rounded(amount: Decimal) -> str:
    """An amount in pounds and pence, rounded once, half away from zero."""
    return f"{amount.quantize(Decimal('0.01'), ROUND_HALF_UP):f}"
