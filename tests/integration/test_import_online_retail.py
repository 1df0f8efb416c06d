"""The import, end to end below the command line: right to the last digit, once, whole or not at all."""

import asyncio
import io
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from orderhouse.kernel.errors import Refusal
from orderhouse.orders.importers import csv_rows, driver
from orderhouse.orders.importers.csv_rows import FileUnreadable
from orderhouse.orders.importers.driver import ImportStopped, Progress
from orderhouse.orders.models import Order
from orderhouse.orders.service import OrderService, Wanted
from orderhouse.runtime.database.database import Database
from orderhouse.runtime.database.errors import DatabaseBusy, DatabaseUnavailable, StillRunning
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.once import Asked
from tests.independent import online_retail_ledger as ledger
from tests.installation import Installation
from tests.integration.import_world import opened, shown, told
from tests.online_retail import file_of, row, stored

pytestmark = pytest.mark.anyio


@pytest.fixture
def some_rows(real_data: Path, tmp_path: Path) -> Path:
    """The first rows of the real data, which are some hundred documents."""
    return stored(tmp_path, b"".join(first_lines(real_data, 4_000)))


def first_lines(file: Path, count: int) -> list[bytes]:
    with csv_rows.opened(file) as (content, _):
        return list(islice(content, count))


def expected_totals(file: Path) -> dict[str, tuple[int, int, int]]:
    sums: dict[str, list[Decimal]] = {}
    for document in ledger.read(file):
        of_kind = sums.setdefault(document.kind, [Decimal(0)] * 3)
        more = (Decimal(1), Decimal(document.lines), document.amount * 1_000_000)
        sums[document.kind] = [before + one for before, one in zip(of_kind, more, strict=True)]
    return {kind: (int(documents), int(lines), int(amount)) for kind, (documents, lines, amount) in sums.items()}


async def test_all_of_the_file_is_in_to_the_last_digit_and_again_changes_nothing(
    installation: Installation, real_data: Path
) -> None:
    expected = expected_totals(real_data)
    documents, lines = (sum(one[n] for one in expected.values()) for n in (0, 1))
    async with opened(installation) as world:
        report = await world.take(real_data)
        assert report.clean
        assert (report.rows, report.documents, report.lines) == (lines, {"new": documents}, {"new": lines})
        assert report.in_file == report.in_orders
        assert {kind: (t.documents, t.lines, t.amount) for kind, t in report.in_file.items()} == expected
        assert await world.totals() == expected
        before = await world.rows("SELECT position FROM fact_head")
        assert before == [(documents,)]

        again = await world.take(real_data)
        assert (again.clean, again.documents, again.lines) == (True, {"there": documents}, {"there": lines})
        assert again.in_orders == report.in_orders
        assert await world.rows("SELECT position FROM fact_head") == before
        assert await world.totals() == expected
    assert not list(installation.folder.glob("spool-*"))


async def test_rows_in_another_order_are_the_same_documents(installation: Installation, some_rows: Path) -> None:
    header, *rows = some_rows.read_bytes().splitlines(keepends=True)
    random.Random(7).shuffle(rows)
    async with opened(installation) as world:
        await world.take(stored(installation.folder, header + b"".join(rows)))
        assert await world.totals() == expected_totals(some_rows)
        again = await world.take(some_rows)
        assert (again.clean, set(again.documents)) == (True, {"there"})


async def test_customers_come_from_the_file_once_with_the_country_they_were_first_seen_in(
    installation: Installation,
) -> None:
    rows = [
        row("1", customer="17850.0", country="EIRE"),
        row("2", customer="17850.0", country="France"),
        row("3", customer="", country="Spain"),
        row("4", customer="12345.0", price="free"),
    ]
    async with opened(installation) as world:
        await world.take(file_of(installation.folder, rows))
        await world.take(file_of(installation.folder, [row("5", customer="17850.0", country="Spain")]))
        found = await world.customers.database.scan(
            lambda r: r.rows("SELECT source, external_id, name, email, country FROM customers")
        )
        assert [tuple(one) for one in found] == [("online-retail", "17850", "Customer 17850", None, "EIRE")]
        countries = await world.rows(
            "SELECT external_reference, country, customer_id IS NULL FROM orders ORDER BY external_reference"
        )
        assert [(number, country, bool(nobody)) for number, country, nobody in countries] == [
            ("1", "EIRE", False),
            ("2", "France", False),
            ("3", "Spain", True),
            ("5", "Spain", False),
        ]


async def test_a_refused_document_is_told_row_by_row_and_the_others_are_in(installation: Installation) -> None:
    rows = [row("1", price="1.5"), row("2", price="2"), row("C3", quantity="-1", price="0.001"), row("2", price="free")]
    file = stored(installation.folder, file_of(installation.folder, rows).read_bytes() + b"no row at all\n")
    written = io.StringIO()
    async with opened(installation) as world:
        report = await world.take(file, report=written)
        assert not report.clean
        assert report.documents == {"new": 2, "refused": 1}
        assert await world.rows("SELECT external_reference FROM orders ORDER BY 1") == [("1",), ("C3",)]
    *refused, totals = told(written)
    assert [(one["outcome"], one["row"], one["document"]) for one in refused] == [
        ("refused", 3, "2"),
        ("refused", 5, "2"),
        ("refused", 6, None),
    ]
    assert refused[0]["reason"] == "its document is refused for row 5"
    assert "UnitPrice 'free'" in refused[1]["reason"]
    assert refused[2]["reason"] == "it has 1 columns in place of 8"
    assert totals == {
        "outcome": "totals",
        "source": "online-retail",
        "currency": "GBP",
        "rows": 5,
        "documents": {"new": 2, "refused": 1},
        "lines": {"new": 2, "refused": 2},
        "rows_without_document": 1,
        "in_file": {
            "credit": {"documents": 1, "lines": 1, "amount": "-0.001"},
            "sale": {"documents": 2, "lines": 3, "amount": "3.50"},
        },
        "in_orders": {
            "credit": {"documents": 1, "lines": 1, "amount": "-0.001"},
            "sale": {"documents": 1, "lines": 1, "amount": "1.50"},
        },
    }
    assert [one.row for one in report.first_refused] == [3, 5, 6]


async def test_a_document_that_changed_is_told_and_left_alone_unless_asked_for(installation: Installation) -> None:
    before = file_of(installation.folder, [row("1", price="2"), row("1", price="3"), row("2")])
    after = file_of(installation.folder, [row("1", price="2.5", country="EIRE"), row("2")])
    written = io.StringIO()
    async with opened(installation) as world:
        await world.take(before)
        kept = await world.everything()

        report = await world.take(after, report=written)
        assert (report.clean, report.documents) == (False, {"changed": 1, "there": 1})
        assert (shown(report.in_file["sale"].amount), shown(report.in_orders["sale"].amount)) == ("5.05", "7.55")
        assert told(written)[0] == {
            "outcome": "changed",
            "document": "1",
            "reason": "it has changed since it was imported",
        }
        assert await world.everything() == kept

        report = await world.take(after, update=True)
        assert (report.clean, report.documents) == (True, {"replaced": 1, "there": 1})
        now = await world.everything()
        assert [line[:2] for line in now["lines"]] == [("1", 1), ("2", 1)]
        assert now["facts"] == [("OrderPlaced", "1", 1), ("OrderReplaced", "1", 2), ("OrderPlaced", "2", 1)]
        assert report.in_orders["sale"].amount == report.in_file["sale"].amount == 5_050_000

        again = await world.take(after, update=True)
        assert again.documents == {"there": 2}
        assert await world.everything() == now


async def test_a_file_of_another_kind_writes_nothing(installation: Installation, some_rows: Path) -> None:
    cut = stored(installation.folder, some_rows.read_bytes(), packed=True)
    cut.write_bytes(cut.read_bytes()[:-100])
    async with opened(installation) as world:
        for file in (cut, stored(installation.folder, b"Name,Email\n"), installation.folder / "none.csv"):
            with pytest.raises(FileUnreadable):
                await world.take(file)
        assert (await world.everything())["orders"] == []


async def test_progress_is_told_in_rows_up_to_the_last(installation: Installation, some_rows: Path) -> None:
    seen: list[Progress] = []
    async with opened(installation) as world:
        report = await world.take(some_rows, progress=seen.append)
    rows = [one for one in seen if one.stage == "importing"]
    assert seen[0].stage == "reading"
    assert {one.total for one in rows} == {report.rows}
    assert [one.done for one in rows] == sorted(one.done for one in rows)
    assert rows[-1].done == report.rows


class Counting(OrderService):
    """The service, and how many lines each of its transactions had."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[list[int]] = []

    def place(self, tx: Transaction, asked: Sequence[Asked[Wanted]]) -> Sequence[Order | Refusal]:
        self.lines.append([len(one.wanted.lines) for one in asked])
        return super().place(tx, asked)


async def test_a_transaction_has_whole_documents_and_not_too_many_lines(
    installation: Installation, some_rows: Path
) -> None:
    service = Counting()
    async with opened(installation) as world:
        report = await world.take(some_rows, service=service)
    assert sum(sum(one) for one in service.lines) == report.rows
    # All but the last document of a transaction are within what was wished for.
    assert max(sum(one[:-1]) for one in service.lines) <= driver._Pace._MOST


def test_the_pace_falls_at_once_and_rises_by_and_by() -> None:
    pace = driver._Pace()
    pace.took(pace.lines, 1.0)
    slow = pace.lines
    assert slow == driver._Pace._FEWEST
    pace.took(slow, 0.001)
    assert slow < pace.lines < slow * 40
    for _ in range(20):
        pace.took(pace.lines, pace.lines * 0.06 / 1_000)
    assert pace.lines == pytest.approx(1_000, abs=5)


class Shaky:
    """A database whose writes fail in some way before they succeed."""

    def __init__(self, database: Database, failures: Iterable[Refusal], *, after: bool = False) -> None:
        self._database = database
        self._failures = iter(failures)
        self._after = after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    async def write_many(self, work: Any, asked: Sequence[Any]) -> list[Any]:
        failure = next(self._failures, None)
        if failure is None:
            return await self._database.write_many(work, asked)
        if self._after:
            await self._database.write_many(work, asked)
        raise failure


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "_DELAYS_S", (0.001, 0.001, 0.001))


@pytest.mark.usefixtures("hurried")
async def test_a_database_that_is_away_for_a_while_is_waited_for(installation: Installation, some_rows: Path) -> None:
    async with opened(installation) as world:
        shaky: Any = Shaky(world.orders.database, [DatabaseBusy(), DatabaseUnavailable(), StillRunning()])
        report = await world.take(some_rows, orders=shaky)
        assert (report.clean, set(report.documents)) == (True, {"new"})
        assert await world.totals() == expected_totals(some_rows)


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    for bound in ("_FEWEST", "_FIRST", "_MOST"):
        monkeypatch.setattr(driver._Pace, bound, 40)


@pytest.mark.usefixtures("hurried", "small_batches")
async def test_what_was_kept_although_we_were_told_otherwise_is_there_once(
    installation: Installation, some_rows: Path
) -> None:
    async with opened(installation) as world:
        shaky: Any = Shaky(world.orders.database, [DatabaseUnavailable()], after=True)
        report = await world.take(some_rows, orders=shaky)
        assert (report.clean, set(report.documents)) == (True, {"new", "there"})
        assert await world.totals() == expected_totals(some_rows)


@pytest.mark.usefixtures("hurried")
async def test_one_of_a_batch_that_a_database_was_not_up_to_is_tried_again(
    installation: Installation, some_rows: Path
) -> None:
    class Half(Shaky):
        async def write_many(self, work: Any, asked: Sequence[Any]) -> list[Any]:
            if next(self._failures, None) is None:
                return await self._database.write_many(work, asked)
            kept = await self._database.write_many(work, asked[::2])
            outcomes: list[Any] = [DatabaseBusy() for _ in asked]
            outcomes[::2] = kept
            return outcomes

    async with opened(installation) as world:
        half: Any = Half(world.orders.database, [DatabaseBusy()])
        report = await world.take(some_rows, orders=half)
        assert (report.clean, set(report.documents)) == (True, {"new"})
        assert await world.totals() == expected_totals(some_rows)


@pytest.mark.usefixtures("hurried")
async def test_a_database_that_stays_away_stops_the_import_which_goes_on_where_it_was(
    installation: Installation, some_rows: Path
) -> None:
    async with opened(installation) as world:
        away: Any = Shaky(world.orders.database, [DatabaseUnavailable() for _ in range(4)])
        with pytest.raises(ImportStopped, match=r"cannot be reached.* 0 of \d+ rows .*run it again"):
            await world.take(some_rows, orders=away)
        assert await world.totals() == {}
        report = await world.take(some_rows)
        assert report.clean
        assert await world.totals() == expected_totals(some_rows)


async def test_two_imports_at_once_take_every_document_once(installation: Installation, some_rows: Path) -> None:
    async with opened(installation) as one, opened(installation) as other:
        reports = await asyncio.gather(one.take(some_rows), other.take(some_rows))
        assert all(report.clean for report in reports)
        documents = sum((Counter(report.documents) for report in reports), Counter())
        assert documents["new"] == documents["there"]
        assert await one.totals() == expected_totals(some_rows)
        assert reports[0].in_orders == reports[1].in_orders


@pytest.mark.usefixtures("small_batches")
async def test_an_import_that_is_called_off_leaves_whole_documents_and_goes_on_later(
    installation: Installation, some_rows: Path
) -> None:
    async with opened(installation) as world:
        begun = asyncio.Event()
        running = asyncio.create_task(
            world.take(some_rows, progress=lambda seen: begun.set() if seen.stage == "importing" else None)
        )
        # Begun or failed: whoever only waited for the one would never hear of the other.
        await asyncio.wait({running, asyncio.create_task(begun.wait())}, return_when=asyncio.FIRST_COMPLETED)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert (await world.take(some_rows)).clean
        assert await world.totals() == expected_totals(some_rows)


def killed_at(moment: float, installation: Installation, file: Path) -> int:
    """Import `file` in a process of its own and kill it so many seconds after it began; return how it ended."""
    command = [sys.executable, "-m", "tests.integration.import_world"]
    command += [str(installation.folder), str(file), installation.database_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ, cwd=Path(__file__).parents[2]) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        return process.wait()


async def test_killed_at_random_moments_and_run_again_the_result_is_the_same(
    installation: Installation, real_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = stored(tmp_path_factory.mktemp("file"), b"".join(first_lines(real_data, 8_000)))
    chance = random.Random(11)
    # An earlier and a later one: how long all of it takes is a matter of the machine.
    ended = [killed_at(chance.uniform(0.5, 1) * moment, installation, file) for moment in (0.05, 0.3)]
    assert -signal.SIGKILL in ended
    async with opened(installation) as world:
        report = await world.take(file)
        assert report.clean
        assert await world.totals() == expected_totals(file)
        found = await world.everything()
        assert found["positions"] == len(found["facts"]) == len(found["orders"])
    assert not list(installation.folder.glob("spool-*"))
