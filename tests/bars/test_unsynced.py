"""Bar 9: nobody is answered before the disk has heard, also where an administrator's default would allow it."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from orderhouse.assembly import examination
from orderhouse.runtime.database.postgres import PostgresPlace, PostgresWriter
from orderhouse.runtime.settings import Settings
from tests.bars.counts import count
from tests.bars.load import Findings, Load
from tests.bars.traced import Tracer, tracer
from tests.installation import Installation
from tests.postgres import OwnPostgres, own_postgres

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(3600)]

CLIENTS = 8


@pytest.fixture
def traced(tmp_path: Path) -> Iterator[Tracer]:
    with tracer(tmp_path) as started:
        yield started


async def watched(traced: Tracer, folder: Path, *defects: str) -> dict[str, int]:
    """Return what a tracer saw of the log's writes, its syncs and the answers, under load."""
    installation = Installation(folder / "data", "")
    traced.start(installation, *defects, watch="order")
    load = Load(installation.token(), clients=CLIENTS, each=count(10, 1000))
    await load.prepare(traced.url)
    await load.run(traced.url)
    assert not load.refused
    assert await load.settled(traced.url) == Findings()
    return traced.stop().told


async def test_bar_9_no_answer_is_sent_while_its_bytes_in_the_log_are_unsynced(traced: Tracer, tmp_path: Path) -> None:
    seen = await watched(traced, tmp_path)
    assert seen["answers"] >= 2 * CLIENTS * count(10, 1000)
    assert seen["syncs"]
    assert seen["early"] == 0


@pytest.mark.parametrize("defect", ["syncs_now_and_then", "answers_before_the_commit"])
async def test_bar_9_control_an_answer_before_the_sync_is_caught(traced: Tracer, tmp_path: Path, defect: str) -> None:
    assert (await watched(traced, tmp_path, defect))["early"]


@pytest.fixture
def own() -> Iterator[OwnPostgres]:
    with own_postgres() as server:
        yield server


async def in_force(url: str, setting: str) -> str:
    """Return what a setting is where the product commits."""
    writer = PostgresWriter(PostgresPlace(url, "public"))
    try:
        found, _ = await writer.perform(lambda tx: tx.rows(f"SHOW {setting}"), briefly=True)
    finally:
        await writer.close()
    return str(found[0][0])


async def test_bar_9_commits_wait_for_the_disk_whatever_the_databases_default_is(own: OwnPostgres) -> None:
    assert await in_force(own.url, "synchronous_commit") == "on"
    own.run("ALTER DATABASE postgres SET synchronous_commit = off")
    assert await in_force(own.url, "synchronous_commit") == "on"
    own.run("ALTER DATABASE postgres SET synchronous_commit = remote_apply")
    assert await in_force(own.url, "synchronous_commit") == "remote_apply"


async def test_bar_9_control_a_setting_that_is_off_is_seen(own: OwnPostgres, monkeypatch: pytest.MonkeyPatch) -> None:
    own.run("ALTER DATABASE postgres SET synchronous_commit = off")
    monkeypatch.setattr("orderhouse.runtime.database.postgres._SYNCED", "SELECT")
    assert await in_force(own.url, "synchronous_commit") == "off"


def test_bar_9_the_doctor_says_when_postgresql_does_not_sync(own: OwnPostgres, tmp_path: Path) -> None:
    settings = Installation(tmp_path, own.url).settings
    assert told_of_syncing(settings) == (True, "on the disk")
    own.run("ALTER SYSTEM SET fsync = off")
    own.run("SELECT pg_reload_conf()")
    wait_until_off(own.url)
    good, found = told_of_syncing(settings)
    assert not good
    assert "fsync" in found


def told_of_syncing(settings: Settings) -> tuple[bool, str]:
    return next((good, found) for what, good, found in examination.examine(settings) if "commits" in what)


def wait_until_off(url: str) -> None:
    """Wait until the server took the setting: it is told by a signal."""
    with psycopg.connect(url, autocommit=True) as connection:
        while connection.execute("SHOW fsync").fetchone() != ("off",):
            connection.execute("SELECT pg_sleep(0.01)")
