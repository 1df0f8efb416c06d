"""The oracle itself, held against what is published of the file, and against documents counted by hand."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from tests.independent import online_retail_ledger as ledger
from tests.online_retail import file_of, row


def test_the_whole_file_adds_up_to_what_is_published(real_data: Path, whole_file: bool) -> None:
    if not whole_file:
        pytest.skip("ORDERHOUSE_REAL_DATA names no folder with the whole file")
    documents = ledger.read(real_data)
    everything = ledger.cut(documents, "day", date(2010, 12, 1), date(2011, 12, 9), "Europe/London")
    assert (len(documents), sum(document.lines for document in documents)) == (25_900, 541_909)
    assert (everything.totals.orders, everything.totals.gross) == (22_061, Decimal("10655622.484"))
    assert (everything.totals.credits, everything.totals.credit_total) == (3_836, Decimal("-896812.49"))
    assert everything.totals.net == Decimal("9758809.994")
    assert everything.adjustments == Decimal("-11062.06")
    trading = [day for day, figures in everything.items.items() if figures.orders or figures.credits]
    assert (len(trading), len(everything.items)) == (305, 374)
    assert len(ledger.cut(documents, "country", date(2010, 12, 1), date(2011, 12, 9), "Europe/London").items) == 38


def test_every_cut_of_the_same_days_has_the_same_totals(real_data: Path) -> None:
    documents = ledger.read(real_data)
    cuts = [
        ledger.cut(documents, by, date(2010, 12, 1), date(2011, 12, 9), "Europe/London")
        for by in ("day", "week", "month", "customer", "country", "status")
    ]
    for found in cuts:
        figures = [*found.items.values(), found.unassigned]
        assert found.totals == cuts[0].totals
        assert sum((one.net for one in figures), Decimal(0)) == found.totals.net
        assert sum(one.orders + one.credits for one in figures) == found.totals.orders + found.totals.credits


def test_days_are_those_of_the_zone_that_is_asked_for(tmp_path: Path) -> None:
    late = row("1", moment="2011-07-01 23:30:00", quantity="2", price="1.005")
    documents = ledger.read(file_of(tmp_path, [late, row("1", moment="2011-07-01 23:29:00", price="0")]))
    for zone, day in (
        ("Europe/London", date(2011, 7, 1)),
        ("Asia/Tokyo", date(2011, 7, 2)),
        ("Asia/Kolkata", date(2011, 7, 2)),
        ("America/Los_Angeles", date(2011, 7, 1)),
    ):
        found = ledger.cut(documents, "day", date(2011, 7, 1), date(2011, 7, 2), zone)
        assert found.items[day].as_shown() == {
            "orders": 1,
            "credits": 0,
            "gross": "2.01",
            "credit_total": "0.00",
            "net": "2.01",
        }
        assert sum(figures.orders for figures in found.items.values()) == 1


def test_weeks_begin_on_monday_months_on_the_first_and_empty_ones_are_there() -> None:
    weeks = ledger.cut([], "week", date(2011, 1, 1), date(2011, 1, 17), "Europe/London")
    assert list(weeks.items) == [date(2010, 12, 27), date(2011, 1, 3), date(2011, 1, 10), date(2011, 1, 17)]
    months = ledger.cut([], "month", date(2010, 12, 31), date(2011, 2, 1), "Europe/London")
    assert list(months.items) == [date(2010, 12, 1), date(2011, 1, 1), date(2011, 2, 1)]


def test_who_has_no_customer_is_unassigned_and_adjustments_are_apart(tmp_path: Path) -> None:
    rows = [row("1", customer=""), row("C2", quantity="-1", price="0.5"), row("A3", customer="", price="-7")]
    documents = ledger.read(file_of(tmp_path, rows))
    found = ledger.cut(documents, "customer", date(2010, 12, 1), date(2010, 12, 1), "Europe/London")
    assert found.unassigned.orders == 1
    assert found.items["17850"].net == Decimal("-0.5")
    assert found.adjustments == Decimal(-7)
    assert found.totals.credits == 1


@pytest.mark.parametrize(
    ("exact", "shown"), [("1.005", "1.01"), ("-1.005", "-1.01"), ("0.0049", "0.00"), ("2", "2.00")]
)
def test_amounts_are_rounded_half_away_from_zero(exact: str, shown: str) -> None:
    assert ledger.rounded(Decimal(exact)) == shown
