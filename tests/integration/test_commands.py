"""The command line, as an operator uses it."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner, Result

from orderhouse.assembly import data_folder, examination, places
from orderhouse.assembly.data_folder import FolderInUse
from orderhouse.assembly.places import SCHEMAS
from orderhouse.cli import app
from orderhouse.runtime.database import sqlite
from orderhouse.runtime.settings import Settings
from orderhouse.runtime.tokens import SigningKeys, Verifier


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ORDERHOUSE_DATA_DIR", str(tmp_path / "data"))
    handlers = logging.getLogger().handlers[:]
    yield tmp_path / "data"
    # `up` sends every log line to its own terminal, which is closed by now.
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = handlers


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_a_token_is_printed_and_nothing_else(folder: Path) -> None:
    keys = SigningKeys.made(data_folder.made(folder) / "keys")
    done = run("token", "--role", "clerk", "--subject", "clerk-7", "--minutes", "5")
    assert done.exit_code == 0
    principal = Verifier(keys.jwks()).verify(done.stdout.strip())
    assert (principal.subject, principal.role) == ("clerk-7", "clerk")
    assert done.stdout.count("\n") == 1


def test_a_token_needs_a_key_and_a_customer_only_for_customers(folder: Path) -> None:
    without = run("token", "--role", "owner")
    assert (without.exit_code, without.stdout) == (2, "")
    SigningKeys.made(data_folder.made(folder) / "keys")
    assert run("token", "--role", "customer").exit_code == 2
    assert run("token", "--role", "emperor").exit_code == 2


def test_migrate_brings_every_database_to_its_latest_revision(folder: Path) -> None:
    assert run("migrate").exit_code == 0
    assert {file.name for file in folder.glob("*.sqlite3")} == {f"{context}.sqlite3" for context in SCHEMAS}
    assert run("migrate").exit_code == 0


def test_wrong_settings_stop_the_start_and_are_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERHOUSE_PORT", "no")
    done = run("up")
    assert done.exit_code == 2
    assert "ORDERHOUSE_PORT" in done.stderr


def test_a_folder_is_served_once(folder: Path) -> None:
    with data_folder.held(folder), pytest.raises(FolderInUse), data_folder.held(folder):
        pass
    with data_folder.held(folder):
        done = run("up")
    assert done.exit_code == 2
    assert "served by another process" in " ".join(done.stderr.split())


def test_an_import_of_something_else_is_refused_and_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("a,b\n1,2\n")
    assert run("import", "online-retail", str(wrong)).exit_code == 2
    assert run("import", "northwind", str(wrong)).exit_code == 2
    assert run("import", "online-retail", str(wrong), "--report", "/nowhere/at/all").exit_code == 2


def test_an_import_tells_its_totals_and_every_refused_row(folder: Path, tmp_path: Path) -> None:
    rows = ["InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"]
    rows += ["1,A,Tea,2,2011-01-01 10:00:00,1.25,7.0,France", "2,A,Tea,x,2011-01-01 10:00:00,1.25,7.0,France"]
    file, report = tmp_path / "some.csv", tmp_path / "report.jsonl"
    file.write_text("\n".join(rows) + "\n")
    done = run("import", "online-retail", str(file), "--report", str(report))
    assert done.exit_code == 1
    assert "1 documents new" in done.stderr
    assert "2.50" in done.stderr
    assert '"row":3' in report.read_text()


def test_the_doctor_finds_what_is_wrong(folder: Path) -> None:
    assert run("doctor").exit_code == 1
    SigningKeys.made(data_folder.made(folder) / "keys")
    assert run("migrate").exit_code == 0
    assert run("doctor").exit_code == 0
    file = sqlite.connect(folder / "orders.sqlite3")
    file.execute("UPDATE fact_head SET position = 5")
    file.execute("DROP INDEX orders_status")
    file.close()
    (folder / "keys").chmod(0o700)
    next((folder / "keys").iterdir()).chmod(0o644)
    found = {what: good for what, good, _ in examination.examine(Settings(data_dir=folder))}
    wrong = {what for what, good in found.items() if not good}
    assert wrong == {"signing keys", "orders: schema", "orders: log of facts"}


def test_a_forgotten_column_is_one_command(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import shutil

    import sqlalchemy as sa

    from orderhouse.orders import models
    from orderhouse.runtime.migrate import Schema

    history = tmp_path / "migrations"
    shutil.copytree(places.SCHEMAS["orders"].history, history)
    monkeypatch.setattr(Schema, "history", property(lambda self: history))
    monkeypatch.setattr(places, "SCHEMAS", {"orders": places.SCHEMAS["orders"]})
    assert run("migrate").exit_code == 0
    forgotten = sa.Column("channel", sa.Text)
    models.orders.append_column(forgotten)
    try:
        assert run("revise", "orders", "the sales channel").exit_code == 0
        written = next((history / "versions").glob("0002*.py")).read_text()
        assert "channel" in written
        assert run("migrate").exit_code == 0
    finally:
        models.orders._columns.remove(forgotten)  # type: ignore[attr-defined]
    assert run("revise", "nobody", "x").exit_code == 2
