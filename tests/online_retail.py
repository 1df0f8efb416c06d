"""Rows and files as Online Retail has them, valid unless told otherwise."""

import csv
import gzip
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from uuid import uuid4

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"

Row = Sequence[str]


def row(
    number: str = "536365",
    *,
    sku: str = "85123A",
    description: str = "WHITE HANGING HEART T-LIGHT HOLDER",
    quantity: str = "1",
    moment: str = "2010-12-01 08:26:00",
    price: str = "2.55",
    customer: str = "17850.0",
    country: str = "United Kingdom",
) -> Row:
    return (number, sku, description, quantity, moment, price, customer, country)


def text_of(rows: Iterable[Row]) -> str:
    """The file as text, quoted where it must be."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return f"{HEADER}\n{text.getvalue()}"


def file_of(folder: Path, rows: Iterable[Row]) -> Path:
    return stored(folder, text_of(rows).encode())


def stored(folder: Path, content: bytes, *, packed: bool = False) -> Path:
    file = folder / f"{uuid4().hex}.csv{'.gz' if packed else ''}"
    file.write_bytes(gzip.compress(content) if packed else content)
    return file
