"""Online Retail: the sales file of a gift wholesaler, one row a line, as the UCI repository publishes it.

Chen, Sain & Guo (2012), doi:10.1057/dbm.2012.17. What is decided about it here:

- A document is one InvoiceNo, wherever its rows are. Its prefix says its kind: none a sale, C a credit, A an
  adjustment of bad debt. Its rows agree on customer and country, or it is refused.
- Its time is the smallest InvoiceDate of its rows, as a clock on the shop's wall showed it. An hour that the wall
  clock showed twice is its first; one that it never showed is read as if the clock had been put forward only after it.
- What was sold or adjusted is delivered, what was credited is returned: the file knows nothing still under way.
- "17850.0" is customer 17850. A description or country that is empty is none; all other text is kept to the byte, and
  rows that are alike are all kept.
- The fingerprint is that of the content: neither the order of its rows nor the spelling of a number changes it.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import lru_cache, partial
from hashlib import blake2b
from itertools import islice
from operator import mul
from pathlib import Path
from typing import Final, cast
from zoneinfo import ZoneInfo

import orjson

from orderhouse.customers.contract import SourceCustomer
from orderhouse.kernel import clock, money
from orderhouse.orders.contract import Kind, Status
from orderhouse.orders.importers import csv_rows
from orderhouse.orders.importers.csv_rows import BadRow
from orderhouse.orders.importers.documents import Document, Found, RefusedDocument, RefusedRow
from orderhouse.orders.schemas import ImportedLine, ImportOrder
from orderhouse.runtime.spool import Spool

NAME = "online-retail"
COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")
SHOP_ZONE = ZoneInfo("Europe/London")
CURRENCY = "GBP"

MOST_LINES = 10_000
"""Rows of one document; the largest of the real file has 1,114."""

_KINDS: dict[str, tuple[Kind, Status]] = {
    "": ("sale", "delivered"),
    "C": ("credit", "returned"),
    "A": ("adjustment", "delivered"),
}
_NUMBER = re.compile(r"([CA]?)\d{1,20}", re.ASCII)
_QUANTITY = re.compile(r"-?\d{1,7}", re.ASCII)
_CUSTOMER = re.compile(r"(\d{1,20})(?:\.0)?", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", re.ASCII)
_CONTROLS = re.compile("[\x00-\x1f\x7f]")
_CONTROLS_BUT_LINES = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

_LARGEST_QUANTITY = 1_000_000
_LONGEST_SKU = 64
_LONGEST_DESCRIPTION = 500
_LONGEST_COUNTRY = 60
_SHOWN = 40
_YEARS = range(1970, 2101)

# Values come again and again: 541,909 rows have 722 quantities and 1,630 prices. Each cache is bounded.
_remembered = lru_cache(maxsize=8192)

Line = tuple[int, str, str, int, int, str, str, str]
"""A good row: line of the file it starts on, stock code, description, quantity, price, moment, customer, country."""

Fault = tuple[int, str, int]
"""A bad row: the line of the file it starts on, the reason, and what it amounts to as far as that can be read."""

_FAULT: Final = 3
"""The length of a Fault: what is read back from disk is plain tuples."""


class OnlineRetail(AbstractContextManager["OnlineRetail"]):
    """One file of Online Retail. What is read of it is on disk until this is closed."""

    name = NAME
    currency = CURRENCY

    def __init__(self, file: Path, folder: Path, zone: ZoneInfo = SHOP_ZONE) -> None:
        """Be `file`, whose times are those of `zone`; its rows are grouped in `folder`."""
        self._file = file
        self._zone = zone
        self._spool: Spool[Line | Fault] = Spool(folder)
        self._used: Callable[[], int] = int
        self.size = file.stat().st_size if file.is_file() else 0

    def read(self) -> int:
        """Read and group all of the file, and return how many rows it has.

        Raises csv_rows.FileUnreadable when it is no file of this format; then nothing can be taken from it.
        """
        with csv_rows.opened(self._file) as (content, self._used):
            csv_rows.check_header(content, COLUMNS)
            return self._spool.fill(csv_rows.read(content, _row, _fault))

    def used(self) -> int:
        """Return how many bytes of the file are read so far; another thread may ask."""
        try:
            return self._used()
        except ValueError:  # It was read to the end meanwhile, and closed.
            return self.size

    def documents(self) -> Iterator[Found]:
        """Yield every document in the order of its first row; one that is refused is followed by its rows."""
        for reference in self._spool.first_seen():
            rows = list(islice(self._spool.group(reference), MOST_LINES + 1))
            try:
                yield _document(reference, rows, self._zone)
            except _Refused as refused:
                yield from self._refused(reference, str(refused))

    def _refused(self, reference: str, reason: str) -> Iterator[Found]:
        """Yield a refused document and then its rows, read anew: they may be more than memory should hold."""
        count = amount = 0
        for row in self._spool.group(reference):
            count += 1
            amount += _amount(row)
        yield RefusedDocument(reference, _kind(reference)[0] if reference else None, count, amount)
        for row in self._spool.group(reference):
            yield RefusedRow(row[0], reference, row[1] if len(row) == _FAULT else reason)

    def __exit__(self, *_: object) -> None:
        """Forget what was read."""
        self._spool.close()


def _nothing() -> int:
    return 0


def _row(at: int, columns: list[str]) -> tuple[str, Line | Fault]:
    """Return the document a row belongs to, and the row as it is taken."""
    if len(columns) != len(COLUMNS):
        raise BadRow(f"it has {len(columns)} columns in place of {len(COLUMNS)}")
    number, sku, description, quantity, moment, price, customer, country = columns
    line = (
        at,
        _sku(sku),
        _description(description),
        _quantity(quantity),
        _price(price),
        _moment(moment),
        _customer(customer),
        _country(country),
    )
    return _number(number), line


def _fault(at: int, columns: list[str], reason: str) -> tuple[str, Line | Fault]:
    """Return the document a bad row seems to belong to ("" when it names none), and why it is refused."""
    try:
        number = _number(columns[0])
    except BadRow:
        number = ""
    try:
        amount = _quantity(columns[3]) * _price(columns[5])
    except (BadRow, IndexError):
        amount = 0
    return number, (at, reason, amount)


@_remembered
def _number(text: str) -> str:
    if not _NUMBER.fullmatch(text):
        raise BadRow(f"InvoiceNo {_shown(text)} is not a number, with C or A before it or nothing")
    return text


@_remembered
def _sku(text: str) -> str:
    if not 1 <= len(text) <= _LONGEST_SKU or _CONTROLS.search(text):
        raise BadRow(
            f"StockCode {_shown(text)} is empty, longer than {_LONGEST_SKU} characters, or holds control characters"
        )
    return text


@_remembered
def _description(text: str) -> str:
    if len(text) > _LONGEST_DESCRIPTION or _CONTROLS_BUT_LINES.search(text):
        raise BadRow(
            f"Description {_shown(text)} is longer than {_LONGEST_DESCRIPTION} characters, or holds control characters"
        )
    return text


@_remembered
def _quantity(text: str) -> int:
    if not _QUANTITY.fullmatch(text) or abs(quantity := int(text)) > _LARGEST_QUANTITY:
        raise BadRow(f"Quantity {_shown(text)} is not a whole number of at most {_LARGEST_QUANTITY}")
    return quantity


@_remembered
def _price(text: str) -> int:
    try:
        return money.exact(text)
    except ValueError as error:
        raise BadRow(f"UnitPrice {_shown(text)} is {error}") from None


@_remembered
def _moment(text: str) -> str:
    try:
        if _MOMENT.fullmatch(text) and datetime.fromisoformat(text).year in _YEARS:
            return text
    except ValueError:
        pass
    raise BadRow(
        f"InvoiceDate {_shown(text)} is not a time between {_YEARS[0]} and {_YEARS[-1]}, such as 2010-12-01 08:26:00"
    )


@_remembered
def _customer(text: str) -> str:
    if not text:
        return ""
    if not (found := _CUSTOMER.fullmatch(text)):
        raise BadRow(f"CustomerID {_shown(text)} is not a whole number, such as 17850.0")
    return found[1]


@_remembered
def _country(text: str) -> str:
    if len(text) > _LONGEST_COUNTRY or text.isspace() or _CONTROLS.search(text):
        raise BadRow(
            f"Country {_shown(text)} is blank, longer than {_LONGEST_COUNTRY} characters, or holds control characters"
        )
    return text


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


class _Refused(Exception):
    """A document cannot be taken, for a reason that is not one row's."""


# Half a million of them: a named tuple's own constructor would be most of what making one costs.
_line = partial(tuple.__new__, ImportedLine)


def _document(reference: str, rows: Sequence[Line | Fault], zone: ZoneInfo) -> Document:
    """Return the document that `rows` make, or say why they make none."""
    if len(rows) > MOST_LINES:
        raise _Refused(f"its document has more than {MOST_LINES} rows")
    if fault := next((row for row in rows if len(row) == _FAULT), None):
        raise _Refused(f"its document is refused for row {fault[0]}")
    lines = cast("Sequence[Line]", rows)
    _, skus, descriptions, quantities, prices, moments, customers, countries = zip(*lines, strict=True)
    amount = _sum(map(mul, quantities, prices))
    kind, status = _kind(reference)
    customer, country = _only(customers, "customer"), _only(countries, "country") or None
    placed_at = _instant(min(moments), zone)
    content = (kind, status, CURRENCY, customer, country, placed_at)
    wanted = ImportOrder(
        customer_id=None,
        currency=CURRENCY,
        lines=list(map(_line, zip(skus, [text or None for text in descriptions], quantities, prices, strict=True))),
        external_reference=reference,
        note=None,
        source=NAME,
        kind=kind,
        status=status,
        placed_at=placed_at,
        country=country,
        fingerprint=_fingerprint(content, zip(skus, descriptions, quantities, prices, strict=True)),
    )
    whose = SourceCustomer(customer, f"Customer {customer}", country) if customer else None
    return Document(lines[0][0], wanted, whose, amount)


def _kind(reference: str) -> tuple[Kind, Status]:
    return _KINDS[reference[:1] if reference[:1] in _KINDS else ""]


def _only(values: Sequence[str], of: str) -> str:
    if len(set(values)) > 1:
        raise _Refused(f"its document names more than one {of}")
    return values[0]


def _sum(amounts: Iterable[int]) -> int:
    kept = list(amounts)
    amount = sum(kept)
    if max(*kept, amount, -min(kept), -amount) > money.LIMIT:
        raise _Refused("its document amounts to more than can be kept exactly")
    return amount


def _instant(moment: str, zone: ZoneInfo) -> clock.Instant:
    return clock.from_datetime(datetime.fromisoformat(moment).replace(tzinfo=zone))


def _fingerprint(content: tuple[object, ...], lines: Iterable[tuple[str, str, int, int]]) -> bytes:
    # It is compared with what earlier versions kept: to change what is digested makes every document look changed.
    return blake2b(orjson.dumps([NAME, content, sorted(lines)]), digest_size=16).digest()


def _amount(row: Line | Fault) -> int:
    return row[2] if len(row) == _FAULT else row[3] * row[4]
