"""Sales figures over facts: every rule on a small ledger, and any facts, zone and range against Decimal."""

import asyncio
import threading
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orderhouse.analytics.changes import Changes
from orderhouse.analytics.errors import (
    CurrencyNeeded,
    FactsMissing,
    LimitNeedsFallingOrder,
    RangeInvalid,
    ZoneUnknown,
)
from orderhouse.analytics.projection import Projection
from orderhouse.analytics.readers import ProjectionSink
from orderhouse.analytics.schemas import SalesQuery
from orderhouse.analytics.service import SalesService
from orderhouse.analytics.zones import DAY, LocalDays
from orderhouse.kernel.clock import from_datetime
from orderhouse.kernel.events import Fact
from orderhouse.kernel.ids import new_id

ZONES = [
    "Europe/London",
    "Asia/Tokyo",
    "Asia/Kolkata",
    "America/Los_Angeles",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "America/Sao_Paulo",
    "Pacific/Apia",
    "UTC",
]
MADE = "2011-05-05T12:00:00+00:00"


class Log:
    """Facts as orders would tell them, in order."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []

    def tell(self, name: str, order: UUID, **data: object) -> UUID:
        self.facts.append(Fact(len(self.facts) + 1, new_id(), name, 1, order, 1, data, 0))
        return order

    def place(self, amount: str, at: str = MADE, **more: Any) -> UUID:
        data = {
            "kind": "sale",
            "status": "placed",
            "currency": "GBP",
            "customer_id": None,
            "country": "France",
            "owner_id": None,
            "placed_at": from_datetime(datetime.fromisoformat(at)),
            "amount": amount,
        }
        return self.tell(more.pop("name", "OrderPlaced"), more.pop("order", None) or new_id(), **(data | more))


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def projection(tmp_path: Path) -> Projection:
    return Projection(tmp_path / "analytics.duckdb", memory_mb=64, threads=1)


def asked(projection: Projection, facts: Sequence[Fact], **query: Any) -> dict[str, Any]:
    projection.apply(facts)
    given_ = {"by": "day", "from": date(2011, 5, 1), "to": date(2011, 5, 31)} | query
    return SalesService(projection, "UTC").sales(SalesQuery(**given_))


def test_sales_credits_adjustments_and_cancelled_count_as_they_should(projection: Projection, log: Log) -> None:
    log.place("10.004")
    log.place("0.001")
    log.place("-3.50", kind="credit", status="returned")
    log.place("-100", kind="adjustment")
    log.tell("OrderMoved", log.place("77"), **{"from": "placed", "to": "cancelled"})
    log.place("5", status="cancelled")
    told = asked(projection, log.facts, by="status")
    assert told["totals"] == {
        "orders": 2,
        "credits": 1,
        "gross": "10.01",
        "credit_total": "-3.50",
        "net": "6.51",
        "adjustments": "-100.00",
    }
    assert [item["key"] for item in told["items"]] == ["placed", "returned"]


def test_days_weeks_and_months_come_without_gaps_and_edges_count_the_range_only(
    projection: Projection, log: Log
) -> None:
    for day in ("2011-04-30", "2011-05-01", "2011-05-02", "2011-05-31", "2011-06-01"):
        log.place("1", f"{day}T12:00:00+00:00")
    days = asked(projection, log.facts)
    assert [item["key"] for item in days["items"]] == [f"2011-05-{n:02}" for n in range(1, 32)]
    assert sum(item["orders"] for item in days["items"]) == days["totals"]["orders"] == 3
    weeks = asked(projection, log.facts, by="week")
    assert [(item["key"], item["orders"]) for item in weeks["items"]] == [
        ("2011-04-25", 1),
        ("2011-05-02", 1),
        ("2011-05-09", 0),
        ("2011-05-16", 0),
        ("2011-05-23", 0),
        ("2011-05-30", 1),
    ]
    months = asked(projection, log.facts, by="month", **{"from": date(2011, 4, 30)})
    assert [(item["key"], item["orders"]) for item in months["items"]] == [("2011-04", 1), ("2011-05", 3)]


def test_a_day_that_a_zone_left_out_sold_nothing(projection: Projection, log: Log) -> None:
    # Samoa went over the date line: 2011-12-29 was followed by 2011-12-31.
    log.place("1", "2011-12-30T09:59:59+00:00")
    log.place("2", "2011-12-30T10:00:00+00:00")
    gone = date(2011, 12, 30)
    apia = {"time_zone": "Pacific/Apia", "currency": "GBP"}
    for by in ("day", "month", "country"):
        assert asked(projection, log.facts, by=by, **apia, **{"from": gone, "to": gone})["totals"]["net"] == "0.00"
    around = asked(projection, log.facts, **apia, **{"from": date(2011, 12, 29), "to": date(2011, 12, 31)})
    assert [item["net"] for item in around["items"]] == ["1.00", "0.00", "2.00"]


def test_ranked_cuts_fall_by_net_and_what_has_no_key_is_unassigned(projection: Projection, log: Log) -> None:
    for country, amount in (("A", "1"), ("B", "5"), ("C", "3"), (None, "2"), ("B", "1")):
        log.place(amount, country=country)
    told = asked(projection, log.facts, by="country", limit=2)
    assert [(item["key"], item["net"]) for item in told["items"]] == [("B", "6.00"), ("C", "3.00")]
    assert told["unassigned"]["net"] == "2.00"
    assert "country=none" in told["unassigned"]["links"]["orders"]
    assert told["totals"]["net"] == "12.00"


def test_who_is_answerable_may_change_and_a_document_be_replaced(projection: Projection, log: Log) -> None:
    order = log.place("10", owner_id="a")
    other = log.place("1", owner_id="a")
    projection.apply(log.facts)
    log.tell("OrderAssigned", order, owner_id="b")
    log.place("4", order=other, name="OrderReplaced", owner_id="c")
    log.tell("OrderNoteChanged", order)
    told = asked(projection, log.facts, by="user")
    assert {item["key"]: item["net"] for item in told["items"]} == {"b": "10.00", "c": "4.00"}


def test_several_currencies_need_one_to_be_named(projection: Projection, log: Log) -> None:
    log.place("1", currency="EUR")
    log.place("1", currency="JPY")
    with pytest.raises(CurrencyNeeded) as refused:
        asked(projection, log.facts)
    assert refused.value.more["currencies"] == ["EUR", "JPY"]
    assert asked(projection, log.facts, currency="JPY")["totals"]["net"] == "1"
    nothing = asked(projection, log.facts, **{"from": date(2000, 1, 1), "to": date(2000, 1, 2)})
    assert (nothing["currency"], nothing["totals"]["orders"], len(nothing["items"])) == (None, 0, 2)


@pytest.mark.parametrize(
    ("query", "refusal"),
    [
        ({"from": date(2011, 6, 1)}, RangeInvalid),
        ({"from": date(2001, 1, 1)}, RangeInvalid),
        ({"time_zone": "Mars/Olympus"}, ZoneUnknown),
        ({"limit": 5}, LimitNeedsFallingOrder),
    ],
)
def test_what_makes_no_sense_is_refused(
    projection: Projection, log: Log, query: dict[str, Any], refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        asked(projection, log.facts, **query)


def test_facts_twice_or_out_of_order_change_nothing_and_a_gap_is_told(projection: Projection, log: Log) -> None:
    for _ in range(5):
        log.place("1")
    projection.apply(log.facts[:3])
    projection.apply(log.facts[1:4])
    with pytest.raises(FactsMissing):
        projection.apply([Fact(9, new_id(), "OrderMoved", 1, new_id(), 1, {"to": "cancelled"}, 0)])
    assert projection.position() == 4
    assert asked(projection, log.facts)["totals"]["orders"] == 5


def test_effect_and_position_are_kept_together_or_not_at_all(
    projection: Projection, log: Log, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:

    log.place("1")
    made = Changes.make

    def killed(self: Changes, *given: Any) -> None:
        made(self, *given)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Changes, "make", killed)
        with pytest.raises(KeyboardInterrupt):
            projection.apply(log.facts)
    projection.close()
    again = Projection(tmp_path / "analytics.duckdb", memory_mb=64)
    assert again.position() == 0
    assert asked(again, log.facts)["totals"]["orders"] == 1


def test_words_first_met_in_what_is_undone_are_met_anew(
    projection: Projection, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:

    made = Changes.make

    def failing(self: Changes, *given: Any) -> None:
        made(self, *given)
        raise OSError

    log.place("1", country="Malta")
    with monkeypatch.context() as patched:
        patched.setattr(Changes, "make", failing)
        with pytest.raises(OSError):
            projection.apply(log.facts)
    # The same position holds something else now, so that a code remembered wrongly would name the wrong country.
    other = Log()
    for amount, country in (("2", "France"), ("3", "Malta"), ("4", None)):
        other.place(amount, country=country)
    told = asked(projection, other.facts, by="country")
    assert {item["key"]: item["net"] for item in told["items"]} == {"France": "2.00", "Malta": "3.00"}
    assert told["unassigned"]["net"] == "4.00"


def test_more_words_than_are_remembered_keep_their_codes(
    projection: Projection, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orderhouse.analytics.changes._REMEMBERED", 3)
    for turn in range(3):
        for n in range(8):
            log.place(str(n + 1), owner_id=f"clerk-{n}")
        projection.apply(log.facts)
        assert len(projection._words._known["owner"]) <= 3 + 8, turn
    told = asked(projection, log.facts, by="user")
    assert [(item["key"], item["net"]) for item in told["items"]] == [
        (f"clerk-{n}", f"{3 * (n + 1)}.00") for n in reversed(range(8))
    ]


@pytest.mark.parametrize("spoil", ["deleted", "damaged", "another version"])
def test_a_file_that_is_gone_or_cannot_be_used_is_made_anew(
    projection: Projection, log: Log, tmp_path: Path, spoil: str
) -> None:
    log.place("1")
    before = asked(projection, log.facts)
    if spoil == "another version":
        projection._connection.execute("UPDATE progress SET version = 0")
    projection.close()
    file = tmp_path / "analytics.duckdb"
    if spoil == "deleted":
        file.unlink()
    elif spoil == "damaged":
        file.write_bytes(b"\x00" * 5000)
    again = Projection(file, memory_mb=64)
    assert again.position() == 0
    assert asked(again, log.facts) == before


documents = st.lists(
    st.tuples(
        st.datetimes(datetime(2009, 1, 1), datetime(2013, 1, 1)),
        st.integers(-(10**12), 10**12),
        st.sampled_from(["sale", "credit", "adjustment"]),
        st.booleans(),
    ),
    max_size=30,
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(documents, st.sampled_from(ZONES), st.dates(date(2009, 1, 1), date(2012, 12, 1)), st.integers(0, 90))
def test_any_facts_any_zone_any_range_equal_decimal(
    tmp_path_factory: pytest.TempPathFactory,
    made: list[tuple[datetime, int, str, bool]],
    zone: str,
    first: date,
    length: int,
) -> None:
    last = first + timedelta(days=length)
    log, there = Log(), ZoneInfo(zone)
    expected: dict[date, list[Decimal]] = {first + timedelta(days=n): [] for n in range(length + 1)}
    for at, millionths, kind, cancelled in made:
        moment = at.replace(tzinfo=UTC)
        amount = Decimal(millionths).scaleb(-6)
        status = "cancelled" if cancelled else "placed"
        log.place(f"{amount:f}", moment.isoformat(), kind=kind, status=status)
        day = moment.astimezone(there).date()
        if first <= day <= last and kind != "adjustment" and not cancelled:
            expected[day].append(amount)
    projection = Projection(tmp_path_factory.mktemp("p") / "a.duckdb", memory_mb=64, threads=1)
    told = asked(projection, log.facts, **{"from": first, "to": last}, time_zone=zone, currency="GBP")
    projection.close()
    shown = {item["key"]: (item["orders"] + item["credits"], item["net"]) for item in told["items"]}
    penny = Decimal("0.01")
    assert shown == {
        day.isoformat(): (len(sums), f"{sum(sums, Decimal(0)).quantize(penny, ROUND_HALF_UP) + 0:f}")
        for day, sums in expected.items()
    }


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(ZONES), st.datetimes(datetime(1900, 1, 2), datetime(2150, 1, 1)))
def test_a_local_day_is_what_the_calendar_says(zone: str, at: datetime) -> None:
    moment = at.replace(tzinfo=UTC)
    instant = from_datetime(moment)
    day = moment.astimezone(ZoneInfo(zone)).date()
    days = LocalDays.between(day, day, zone)
    assert days.begin <= instant < days.end
    assert 22 * DAY // 24 <= days.end - days.begin <= 49 * DAY // 24


def test_a_midnight_that_does_not_exist_begins_with_the_jump() -> None:
    # In São Paulo the clock jumped from midnight to one o'clock on 2018-11-04.
    days = LocalDays.between(date(2018, 11, 4), date(2018, 11, 4), "America/Sao_Paulo")
    assert days.begin == from_datetime(datetime(2018, 11, 4, 3, tzinfo=UTC))
    assert days.end - days.begin == 23 * DAY // 24


def test_without_dates_the_last_thirty_days_are_told(projection: Projection) -> None:
    now = from_datetime(datetime(2011, 5, 31, 23, 30, tzinfo=UTC))
    service = SalesService(projection, "UTC", now=lambda: now)
    for zone, last in (("UTC", "2011-05-31"), ("Asia/Tokyo", "2011-06-01"), ("America/Los_Angeles", "2011-05-31")):
        told = service.sales(SalesQuery(by="day", time_zone=zone))
        assert (told["items"][-1]["key"], len(told["items"])) == (last, 30)


def test_figures_made_anew_take_the_place_of_the_others_with_their_file(projection: Projection, tmp_path: Path) -> None:
    before, after = Log(), Log()
    for currency in ("GBP", "USD", "EUR"):
        before.place("1", currency=currency)
    # In another order, so that the same words have other codes.
    for currency in ("EUR", "GBP", "USD", "GBP"):
        after.place("2", currency=currency)
    projection.apply(before.facts)
    made = Projection(tmp_path / "anew.duckdb", memory_mb=64, threads=1)
    made.apply(after.facts)
    assert projection.replace_by(made)
    assert asked(projection, [], currency="GBP")["totals"]["net"] == "4.00"
    after.place("2")
    assert asked(projection, after.facts, currency="GBP")["totals"]["net"] == "6.00"
    projection.close()
    opened_again = Projection(tmp_path / "analytics.duckdb", memory_mb=64, threads=1)
    assert asked(opened_again, after.facts, currency="GBP")["totals"]["net"] == "6.00"
    assert [file.name for file in tmp_path.iterdir() if file.suffix == ".duckdb"] == ["analytics.duckdb"]


def test_figures_made_anew_that_are_behind_are_not_taken(projection: Projection, log: Log, tmp_path: Path) -> None:
    log.place("1")
    log.place("1")
    projection.apply(log.facts)
    made = Projection(tmp_path / "anew.duckdb", memory_mb=64, threads=1)
    made.apply(log.facts[:1])
    assert not projection.replace_by(made)
    assert asked(projection, log.facts)["totals"]["net"] == "2.00"
    made.remove()
    assert not (tmp_path / "anew.duckdb").exists()


def test_facts_that_come_while_figures_are_made_anew_are_counted_once(
    projection: Projection, log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(4):
        log.place("1")
    projection.apply(log.facts[:1])
    kept = Projection.keep

    def replaced_first(self: Projection, changes: Changes) -> bool:
        """Have the file made anew, with some of these facts in it, right before they are kept."""
        monkeypatch.setattr(Projection, "keep", kept)
        made = Projection(tmp_path / "anew.duckdb", memory_mb=64, threads=1)
        made.apply(log.facts[:3])
        assert self.replace_by(made)
        return kept(self, changes)

    monkeypatch.setattr(Projection, "keep", replaced_first)
    asyncio.run(ProjectionSink(projection).take(log.facts))
    assert projection.position() == 4
    assert asked(projection, [])["totals"]["net"] == "4.00"


def test_who_asks_while_figures_are_replaced_hears_the_one_or_the_other(projection: Projection, tmp_path: Path) -> None:
    logs = [Log(), Log()]
    for log, amount, currencies in zip(logs, ("1", "2"), (("GBP", "EUR"), ("EUR", "GBP")), strict=True):
        for currency in currencies * 3:
            log.place(amount, currency=currency)
    projection.apply(logs[0].facts)
    heard: list[str] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            heard.append(asked(projection, [], currency="GBP")["totals"]["net"])

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    for turn in range(1, 7):
        made = Projection(tmp_path / "anew.duckdb", memory_mb=64, threads=1)
        made.apply(logs[turn % 2].facts)
        assert projection.replace_by(made)
    over.set()
    for asker in askers:
        asker.join()
    assert set(heard) == {"3.00", "6.00"}
