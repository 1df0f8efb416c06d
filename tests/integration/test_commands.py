"""The command line, as an operator uses it."""

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import structlog
from typer.testing import CliRunner, Result

from orderhouse.assembly import data_folder, examination, places, subscribers
from orderhouse.assembly.contexts import Contexts
from orderhouse.assembly.data_folder import FolderInUse
from orderhouse.assembly.places import SCHEMAS
from orderhouse.cli import app
from orderhouse.kernel.ids import new_id
from orderhouse.runtime.database import sqlite
from orderhouse.runtime.settings import Settings, loaded
from orderhouse.runtime.tokens import SigningKeys, Verifier
from tests import poison
from tests.installation import Installation


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


def test_keys_are_rotated_and_old_ones_kept_as_long_as_tokens_of_theirs(folder: Path) -> None:
    keys = data_folder.made(folder) / "keys"
    assert "key" in run("rotate-keys").stderr
    assert not keys.exists()
    SigningKeys.made(keys)
    done = run("rotate-keys")
    assert (done.exit_code, len(list(keys.glob("*.pem")))) == (0, 2)
    assert "0 old keys" in done.stderr
    # As if the first one had been followed by the second an hour and more ago.
    for file in keys.glob("*.pem"):
        made = UUID(file.stem)
        file.rename(file.with_stem(str(UUID(int=made.int - ((3_700_000) << 80)))))
    done = run("rotate-keys")
    assert (done.exit_code, len(list(keys.glob("*.pem")))) == (0, 2)
    assert "1 old key" in done.stderr


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


def test_an_older_version_says_that_it_is_one_and_touches_nothing(folder: Path) -> None:
    assert run("migrate").exit_code == 0
    file = sqlite.connect(folder / "orders.sqlite3")
    file.execute("UPDATE alembic_version SET version_num = '9999'")
    file.close()
    for command in ("migrate", "up", "seed"):
        done = run(command)
        assert done.exit_code == 2
        assert "orders: its database is at revision 9999" in done.stderr
        assert "A later version made it" in done.stderr
    told = {what: said for what, good, said in examination.examine(Settings(data_dir=folder)) if not good}
    assert told["orders: revision"].startswith("9999, made by a later version")


def test_a_forgotten_column_is_one_command(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import shutil

    import sqlalchemy as sa

    from orderhouse.orders import models
    from orderhouse.runtime.database.tables import Id
    from orderhouse.runtime.migrate import Schema

    history = tmp_path / "migrations"
    shutil.copytree(places.SCHEMAS["orders"].history, history)
    monkeypatch.setattr(Schema, "history", property(lambda self: history))
    monkeypatch.setattr(places, "SCHEMAS", {"orders": places.SCHEMAS["orders"]})
    assert run("migrate").exit_code == 0
    forgotten: list[sa.Column[Any]] = [sa.Column("channel", sa.Text), sa.Column("channel_id", Id)]
    for column in forgotten:
        models.orders.append_column(column)
    try:
        assert run("revise", "orders", "the sales channel").exit_code == 0
        written = max((history / "versions").glob("[0-9]*.py")).read_text()
        assert "channel" in written
        assert run("migrate").exit_code == 0
    finally:
        for column in forgotten:
            models.orders._columns.remove(column)
    assert run("revise", "nobody", "x").exit_code == 2


def letters(folder: Path) -> list[str]:
    """Return the ids of the dead letters, as the command lists them."""
    return [line.split("\t")[0] for line in run("dead-letters", "list").stdout.splitlines()]


async def park(folder: Path) -> None:
    """Bring the customers' facts to orders, as a server does; what fails is parked."""
    contexts = Contexts.opened(loaded())
    try:
        for one in subscribers.kept_in_databases(contexts):
            assert one.follower
            await one.follower.catch_up()
            while await one.sink.idle():
                pass
    finally:
        await contexts.close()


def test_a_dead_letter_is_shown_mended_replayed_and_dropped(folder: Path) -> None:
    assert run("migrate").exit_code == 0
    about = new_id()
    poison.customer(Installation(folder), about)
    asyncio.run(park(folder))
    [letter] = letters(folder)
    shown = json.loads(run("dead-letters", "show", letter).stdout)
    assert (shown["reader"], shown["event"]["subject"]) == ("orders.customers", str(about))
    assert "fact_malformed" in shown["reason"]

    for wrong in ("{", "[1]", '{"country": 33, "active": true}'):
        refused = run("dead-letters", "edit", letter, "--data", wrong)
        assert (refused.exit_code, refused.stdout) == (2, "")
    edited = CliRunner().invoke(
        app, ["dead-letters", "edit", letter, "--data", "-"], input='{"country": "France", "active": true}'
    )
    assert json.loads(edited.stdout)["event"]["data"] == {"country": "France", "active": True}
    assert json.loads(run("dead-letters", "replay", letter).stdout)["attempts"] == 0
    asyncio.run(park(folder))
    assert letters(folder) == []
    assert run("dead-letters", "show", letter).exit_code == 2

    poison.customer(Installation(folder), new_id())
    asyncio.run(park(folder))
    assert run("dead-letters", "list", "--dead").stdout == "", "it is still tried"
    [letter] = letters(folder)
    assert run("dead-letters", "drop", letter).exit_code == 0
    assert letters(folder) == []
    assert run("dead-letters", "drop", letter).exit_code == 2
    assert run("dead-letters", "list", "--reader", "nobody").exit_code == 2


def test_readers_are_told_and_have_a_range_of_facts_again(folder: Path) -> None:
    assert run("seed").exit_code == 0
    asyncio.run(park(folder))
    readers = {line.split()[0]: line for line in run("readers").stdout.splitlines()[1:]}
    assert readers.keys() == {"orders.customers", "orders.users", "auth.users", "tasks.orders"}
    name, log, position, lag, waiting, dead, attempts, oldest = readers["orders.customers"].split()
    assert (name, log, lag, waiting, dead) == ("orders.customers", "customers", "0", "0", "0")
    assert (attempts, oldest) == ("0", "-"), "nothing waits"
    queued = run("replay", "orders.customers", "1", position)
    assert queued.exit_code == 0
    assert f"{position} facts are queued" in queued.stderr
    waits = run("readers").stdout.splitlines()[1].split()
    assert (waits[4], waits[7] > "2026") == (position, True), "since when, too"
    assert run("replay", "orders.customers", "1", "1").exit_code == 2, "the first is under way"
    asyncio.run(park(folder))
    assert run("readers").stdout.splitlines()[1].split()[4] == "0"
    assert run("replay", "orders.customers", "1", str(int(position) + 1)).exit_code == 2
    told = run("replay", "analytics.orders", "1", "1")
    assert (told.exit_code, "orders.customers" in told.stderr) == (2, True)
