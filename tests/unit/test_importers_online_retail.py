"""The format: what a row and a document are, and that one bad row refuses its whole document and nobody else's."""

import random
import tracemalloc
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orderhouse.kernel import clock, money
from orderhouse.orders.importers import csv_rows
from orderhouse.orders.importers.csv_rows import FileUnreadable
from orderhouse.orders.importers.documents import Document, Found, RefusedDocument, RefusedRow
from orderhouse.orders.importers.online_retail import COLUMNS, MOST_LINES, OnlineRetail
from tests.independent import online_retail_ledger as ledger
from tests.online_retail import HEADER, Row, file_of, row, stored, text_of

LONDON = ZoneInfo("Europe/London")
HERE = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@contextmanager
def reading(file: Path, zone: ZoneInfo = LONDON) -> Iterator[OnlineRetail]:
    with OnlineRetail(file, file.parent, zone) as source:
        source.read()
        yield source


def found_in(file: Path, zone: ZoneInfo = LONDON) -> list[Found]:
    with reading(file, zone) as source:
        return list(source.documents())


def documents(found: Iterable[Found]) -> list[Document]:
    return [one for one in found if isinstance(one, Document)]


def refused(found: Iterable[Found]) -> list[RefusedRow]:
    return [one for one in found if isinstance(one, RefusedRow)]


def document(folder: Path, *rows: Row, zone: ZoneInfo = LONDON) -> Document:
    [only] = found_in(file_of(folder, rows), zone)
    assert isinstance(only, Document)
    return only


def test_the_columns_are_those_of_the_file() -> None:
    assert ",".join(COLUMNS) == HEADER


@pytest.mark.parametrize(
    ("number", "kind", "status"),
    [("536365", "sale", "delivered"), ("C536379", "credit", "returned"), ("A563185", "adjustment", "delivered")],
)
def test_the_prefix_says_what_a_document_is(tmp_path: Path, number: str, kind: str, status: str) -> None:
    wanted = document(tmp_path, row(number)).wanted
    assert (wanted.kind, wanted.status, wanted.external_reference) == (kind, status, number)
    assert (wanted.source, wanted.currency, wanted.note) == ("online-retail", "GBP", None)


def test_lines_are_exact_and_texts_are_kept_to_the_byte(tmp_path: Path) -> None:
    rows = [
        row(sku="85123a", description=' SET 7 "BABUSHKA", £ ', quantity="-80995", price="11062.061"),
        row(sku="85123A", description="", quantity="0", price="-0.000001"),
        row(sku="85123A", description="", quantity="0", price="-0.000001"),
    ]
    found = document(tmp_path, *rows)
    assert [tuple(line) for line in found.wanted.lines] == [
        ("85123a", ' SET 7 "BABUSHKA", £ ', -80995, 11_062_061_000),
        ("85123A", None, 0, -1),
        ("85123A", None, 0, -1),
    ]
    assert found.amount == -80995 * 11_062_061_000


@pytest.mark.parametrize(("customer", "external_id"), [("17850.0", "17850"), ("17850", "17850"), ("", None)])
def test_a_customer_is_the_number_in_front_of_the_point(tmp_path: Path, customer: str, external_id: str | None) -> None:
    found = document(tmp_path, row(customer=customer, country="EIRE"))
    if external_id is None:
        assert found.customer is None
    else:
        assert tuple(found.customer or ()) == (external_id, f"Customer {external_id}", "EIRE")
    assert (found.wanted.customer_id, found.wanted.country) == (None, "EIRE")


def test_a_document_without_country_has_none(tmp_path: Path) -> None:
    assert document(tmp_path, row(country="")).wanted.country is None


@pytest.mark.parametrize(
    ("wall", "instant"),
    [
        ("2010-12-01 08:26:00", "2010-12-01T08:26:00.000000Z"),
        ("2011-07-01 08:26:00", "2011-07-01T07:26:00.000000Z"),
        # The night the clock is put forward: 01:30 is never shown, and is half an hour past one all the same.
        ("2011-03-27 01:30:00", "2011-03-27T01:30:00.000000Z"),
        # The night it is put back: 01:30 is shown twice, and the first time counts.
        ("2011-10-30 01:30:00", "2011-10-30T00:30:00.000000Z"),
    ],
)
def test_times_are_those_of_the_shops_wall(tmp_path: Path, wall: str, instant: str) -> None:
    assert clock.as_text(document(tmp_path, row(moment=wall)).wanted.placed_at) == instant


def test_the_zone_can_be_another_and_the_smallest_time_of_a_document_is_its_time(tmp_path: Path) -> None:
    rows = [row(moment="2011-02-01 11:20:00"), row(moment="2011-02-01 11:19:00")]
    found = document(tmp_path, *rows, zone=ZoneInfo("Asia/Tokyo"))
    assert clock.as_text(found.wanted.placed_at) == "2011-02-01T02:19:00.000000Z"


def test_the_rows_of_a_document_need_not_be_together(tmp_path: Path) -> None:
    found = documents(found_in(file_of(tmp_path, [row("1", sku="A"), row("2", sku="B"), row("1", sku="C")])))
    assert [(one.reference, [line.sku for line in one.wanted.lines]) for one in found] == [
        ("1", ["A", "C"]),
        ("2", ["B"]),
    ]
    assert [one.row for one in found] == [2, 3]


def test_the_fingerprint_is_that_of_the_content(tmp_path: Path) -> None:
    one, two = row(sku="A", price="2.50"), row(sku="B", description="")

    def fingerprint(*rows: Row) -> bytes:
        return document(tmp_path, *rows).wanted.fingerprint

    same = fingerprint(one, two)
    assert fingerprint(two, one) == same
    assert fingerprint(row(sku="A", price="2.5", customer="17850"), two) == same
    others = [
        (one,),
        (one, two, two),
        (row(sku="A", price="2.51"), two),
        (row(sku="A", price="2.50", quantity="2"), two),
        (row(sku="a", price="2.50"), two),
        (row(sku="A", price="2.50", description="other"), two),
        tuple(row(*r[:1], sku=r[1], description=r[2], price=r[5], moment="2010-12-01 08:27:00") for r in (one, two)),
        tuple(row(*r[:1], sku=r[1], description=r[2], price=r[5], customer="1") for r in (one, two)),
        tuple(row(*r[:1], sku=r[1], description=r[2], price=r[5], country="EIRE") for r in (one, two)),
    ]
    assert len({same, *(fingerprint(*other) for other in others)}) == len(others) + 1


def test_the_fingerprint_of_this_version_is_that_of_the_last(tmp_path: Path) -> None:
    """Databases hold it: if this fails, every document that was ever imported would be told as changed."""
    assert document(tmp_path, row()).wanted.fingerprint.hex() == "62c305644e16ab5280f9bbcc0fd07db7"


BAD = {
    "column missing": ",".join(row()[:-1]),
    "column too many": ",".join([*row(), "x"]),
    "number of a stranger": ",".join(row("X536365")),
    "no number": ",".join(row("")),
    "no stock code": ",".join(row(sku="")),
    "stock code too long": ",".join(row(sku="x" * 65)),
    "stock code with a control": ",".join(row(sku="x\0")),
    "description too long": ",".join(row(description="x" * 501)),
    "description with a control": ",".join(row(description="x\x1b[0m")),
    "quantity empty": ",".join(row(quantity="")),
    "quantity broken": ",".join(row(quantity="1.5")),
    "quantity in words": ",".join(row(quantity="six")),
    "quantity in other digits": ",".join(row(quantity="٣")),
    "quantity absurd": ",".join(row(quantity="1000001")),
    "price empty": ",".join(row(price="")),
    "price not finite": ",".join(row(price="NaN")),
    "price in science": ",".join(row(price="1e3")),
    "price too fine": ",".join(row(price="0.0000001")),
    "price with a sign of money": ",".join(row(price="£2.55")),
    "price with a comma": ",".join(row(price='"2,55"')),
    "time empty": ",".join(row(moment="")),
    "time of no day": ",".join(row(moment="2011-02-29 08:26:00")),
    "time of another country": ",".join(row(moment="12/1/2010 8:26")),
    "time absurd": ",".join(row(moment="0001-01-01 00:00:00")),
    "customer broken": ",".join(row(customer="17850.5")),
    "customer in words": ",".join(row(customer="Ada")),
    "country blank": ",".join(row(country="  ")),
    "country too long": ",".join(row(country="x" * 61)),
    "quote not closed": ",".join(row(description='"WHITE')),
    "text behind a quote": ",".join(row(description='"WHITE"HEART')),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_row_refuses_its_document_and_no_other(tmp_path: Path, bad: str) -> None:
    good = text_of([row(), row("536366"), row()])
    found = found_in(stored(tmp_path, f"{good}{bad}\n{','.join(row('536367'))}\n".encode()))
    named = bad.startswith("536365")
    assert [one.reference for one in documents(found)] == (
        ["536366", "536367"] if named else ["536365", "536366", "536367"]
    )
    assert [one.row for one in refused(found)] == ([2, 4, 5] if named else [5])
    reasons = [one.reason for one in refused(found)]
    assert all(reason == "its document is refused for row 5" for reason in reasons[:-1])
    assert reasons[-1]
    assert "its document" not in reasons[-1]
    [whole] = [one for one in found if isinstance(one, RefusedDocument)]
    assert (whole.reference, whole.lines) == (("536365", 3) if named else ("", 1))


def test_bytes_that_are_no_text_refuse_their_document(tmp_path: Path) -> None:
    content = text_of([row(), row("536366")]).encode() + b"536366,85123A,\xa3,1,2010-12-01 08:26:00,1,17850.0,EIRE\n"
    found = found_in(stored(tmp_path, content))
    assert [one.reference for one in documents(found)] == ["536365"]
    assert [(one.row, one.reference) for one in refused(found)] == [(3, "536366"), (4, "536366")]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([row(), row(customer="12345.0")], "its document names more than one customer"),
        ([row(), row(customer="")], "its document names more than one customer"),
        ([row(), row(country="EIRE")], "its document names more than one country"),
        ([row(quantity="1000000", price="999999999999")], "its document amounts to more than can be kept exactly"),
        ([row(quantity="-1000000", price="600000")] * 2, "its document amounts to more than can be kept exactly"),
    ],
)
def test_a_document_that_contradicts_itself_is_refused(tmp_path: Path, rows: list[Row], reason: str) -> None:
    found = found_in(file_of(tmp_path, rows))
    assert [one.reason for one in refused(found)] == [reason] * len(rows)
    assert not documents(found)


def test_a_document_may_be_long_and_not_too_long(tmp_path: Path) -> None:
    assert document(tmp_path, *[row()] * MOST_LINES).lines == MOST_LINES
    found = found_in(file_of(tmp_path, [row()] * (MOST_LINES + 1)))
    assert len(refused(found)) == MOST_LINES + 1
    assert refused(found)[0].reason == f"its document has more than {MOST_LINES} rows"


def test_a_refused_document_still_says_what_the_file_says_of_it(tmp_path: Path) -> None:
    bad = row("C1", quantity="-2", price="1.5", moment="never")
    found = found_in(file_of(tmp_path, [row("C1", quantity="-1", price="0.001"), bad]))
    assert found[0] == RefusedDocument("C1", "credit", 2, -3_001_000)


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"PK\x03\x04", HEADER.encode()[:-1], HEADER.replace(",", ";").encode()]
)
def test_another_file_is_not_read(tmp_path: Path, content: bytes) -> None:
    with OnlineRetail(stored(tmp_path, content), tmp_path) as source, pytest.raises(FileUnreadable):
        source.read()


def test_a_file_with_a_header_alone_holds_nothing(tmp_path: Path) -> None:
    assert found_in(stored(tmp_path, HEADER.encode())) == []


# A few documents, each row of which may be good or one of the bad ones, in any order.
SHUFFLED = st.lists(st.tuples(st.sampled_from(["1", "2", "C3", "A4"]), st.sampled_from(["", *BAD])), max_size=30)


@given(SHUFFLED)
@HERE
def test_every_row_is_taken_with_its_whole_document_or_refused_once_with_its_number(
    tmp_path: Path, wanted: list[tuple[str, str]]
) -> None:
    lines = [
        (BAD[bad].replace("536365", number) if bad else ",".join(row(number, sku=str(n))), bad)
        for n, (number, bad) in enumerate(wanted)
    ]
    found = found_in(stored(tmp_path, f"{HEADER}\n{''.join(line + chr(10) for line, _ in lines)}".encode()))

    bad_rows = {n for n, (_, bad) in enumerate(lines, 2) if bad}
    bad_numbers = {number for number, bad in wanted if bad and BAD[bad].startswith("536365")}
    expected = Counter(number for number, bad in wanted if not bad and number not in bad_numbers)
    assert {one.reference: one.lines for one in documents(found)} == expected
    told = Counter(one.row for one in refused(found))
    assert set(told.values()) <= {1}
    assert bad_rows <= set(told)
    assert sum(one.lines for one in documents(found)) + len(told) == len(lines)
    assert sum(one.lines for one in found if isinstance(one, RefusedDocument)) == len(told)


@given(st.binary(max_size=400), st.integers(0, 2**32))
@HERE
def test_no_bytes_whatever_stop_the_reading(tmp_path: Path, noise: bytes, seed: int) -> None:
    lines = text_of([row("1"), row("2", description="a,b"), row("3")]).encode().splitlines(keepends=True)
    at = random.Random(seed).randrange(1, len(lines) + 1)
    found = found_in(stored(tmp_path, b"".join(lines[:at]) + noise + b"".join(lines[at:])))
    for one in documents(found):
        assert one.reference
        assert one.wanted.lines


def test_rows_in_any_order_make_the_same_documents(tmp_path: Path, real_data: Path) -> None:
    lines = first_lines(real_data, 20_000)
    header, *rows = lines
    in_order = contents(found_in(stored(tmp_path, b"".join(lines))))
    random.Random(1).shuffle(rows)
    shuffled = contents(found_in(stored(tmp_path, header + b"".join(rows))))
    assert shuffled == in_order
    assert len(in_order) > 10


def test_line_ends_of_windows_a_byte_order_mark_and_packing_change_nothing(tmp_path: Path, real_data: Path) -> None:
    plain = b"".join(first_lines(real_data, 500))
    expected = contents(found_in(stored(tmp_path, plain)))
    windows = b"\xef\xbb\xbf" + plain.replace(b"\n", b"\r\n")
    assert contents(found_in(stored(tmp_path, windows))) == expected
    assert contents(found_in(stored(tmp_path, windows, packed=True))) == expected


def test_all_of_the_real_data_is_taken_to_the_last_digit(tmp_path: Path, real_data: Path, whole_file: bool) -> None:
    sums: Counter[str] = Counter()
    with OnlineRetail(real_data, tmp_path) as source:
        rows = source.read()
        counts: Counter[str] = Counter()
        for found in source.documents():
            assert isinstance(found, Document)
            sums[found.kind] += found.amount
            counts[found.kind] += 1
            rows -= found.lines
    assert rows == 0
    expected: Counter[str] = Counter()
    for one in ledger.read(real_data):
        expected[one.kind] += int(one.amount * money.SCALE)
    assert sums == expected
    if whole_file:
        assert counts == {"sale": 22_061, "credit": 3_836, "adjustment": 3}


@pytest.mark.parametrize("in_order", [True, False])
def test_ten_times_the_rows_need_no_more_memory(tmp_path: Path, *, in_order: bool) -> None:
    def peak(rows: int) -> int:
        numbers = (n // 10 if in_order else n % (rows // 10) for n in range(rows))
        file = file_of_numbers(tmp_path / f"{rows}.csv", numbers)
        tracemalloc.start()
        with OnlineRetail(file, tmp_path) as source:
            assert source.read() == rows
            assert sum(1 for _ in source.documents()) == rows // 10
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    few = peak(3_000)
    # What is remembered of texts seen before is bounded, but not full yet. 27,000 rows more would be 7.5 MB.
    assert peak(30_000) < few + 3_000_000


def file_of_numbers(file: Path, numbers: Iterable[int]) -> Path:
    """A file with a row for each of `numbers`, all of them different."""
    with file.open("w") as text:
        text.write(f"{HEADER}\n")
        for n, number in enumerate(numbers):
            text.write(",".join(row(str(number), sku=f"S{n}", description=f"THING {n}")) + "\n")
    return file


def first_lines(file: Path, count: int) -> list[bytes]:
    with csv_rows.opened(file) as (content, _):
        return list(islice(content, count))


def contents(found: Iterable[Found]) -> dict[str, tuple[object, ...]]:
    """What each document says, whatever the order of its lines."""
    return {
        one.reference: (
            one.wanted._replace(lines=[]),
            sorted((line.sku, line.description or "", line.quantity, line.unit_price) for line in one.wanted.lines),
            one.customer,
            one.amount,
        )
        for one in documents(found)
    }
