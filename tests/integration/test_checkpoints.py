"""What is committed gets from SQLite's log into the file beside the commits, and not inside one of them."""

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest
import structlog

from orderhouse.runtime.database import checkpoints
from tests.integration import things
from tests.integration.things import Things, call, opened, told

pytestmark = pytest.mark.anyio


def in_the_file_alone(file: Path) -> int:
    """Count what would be there without the log."""
    copy = file.with_name("copy.sqlite3")
    copy.write_bytes(file.read_bytes())
    with sqlite3.connect(copy) as connection:
        return int(connection.execute("SELECT count(*) FROM things").fetchone()[0])


async def test_what_was_committed_is_moved_while_the_writer_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "_EVERY_ROWS", 100)
    file = tmp_path / "things.sqlite3"
    things.create(file)
    async with opened(file) as database:
        before, made = file.stat().st_size, 0
        async with asyncio.timeout(10):
            while file.stat().st_size == before:
                await asyncio.gather(
                    *(call(database, None)(Things().make, f"{made + n}", answer=told) for n in range(50))
                )
                made += 50
    assert in_the_file_alone(file) == made, "closing moves the rest"


async def test_control_without_checkpoints_the_log_keeps_it_all(tmp_path: Path) -> None:
    file = tmp_path / "things.sqlite3"
    things.create(file)
    async with opened(file) as database:
        before = file.stat().st_size
        await asyncio.gather(*(call(database, None)(Things().make, f"{n}", answer=told) for n in range(500)))
        assert file.stat().st_size == before
        assert in_the_file_alone(file) == 0


async def test_a_checkpoint_that_fails_is_logged_and_the_next_one_is_made(tmp_path: Path) -> None:
    moved, failures = threading.Event(), 2

    class Stubborn:
        """A file that cannot be had twice, and then can."""

        def execute(self, _sql: str) -> None:
            nonlocal failures
            failures -= 1
            if failures >= 0:
                raise sqlite3.OperationalError("disk I/O error")
            moved.set()

        def close(self) -> None: ...

    checkpointer = checkpoints.Checkpointer(Stubborn)  # type: ignore[arg-type]  # as much of a connection as is used
    with structlog.testing.capture_logs() as log:
        rows = 0
        async with asyncio.timeout(10):
            while not moved.is_set():
                rows += checkpoints._EVERY_ROWS
                checkpointer.committed(rows)
                await asyncio.sleep(0.001)
        checkpointer.close()
    assert {line["event"] for line in log} == {"checkpoint_failed"}
