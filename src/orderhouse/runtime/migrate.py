"""Migrations: one Alembic history per context, applied at `up` before anything is served, and checked for drift."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from orderhouse.kernel.errors import Unavailable
from orderhouse.runtime.database import sqlite
from orderhouse.runtime.database.database import Place
from orderhouse.runtime.database.postgres import PostgresPlace


class MigrationFailed(Unavailable):
    """The database cannot be brought to the schema this version needs."""

    code = "migration_failed"


@dataclass(frozen=True, slots=True)
class Schema:
    """A context's schema: its tables as the code knows them, and the history that makes them."""

    context: str
    tables: MetaData

    @property
    def history(self) -> Path:
        """The folder with the context's migrations."""
        return Path(str(files(f"orderhouse.{self.context}"))) / "migrations"

    @property
    def head(self) -> str:
        """The latest revision: files are named and ordered by theirs."""
        return max(file.stem.split("_", 1)[0] for file in (self.history / "versions").glob("[0-9]*.py"))


def migrate(schema: Schema, place: Place, revision: str = "head") -> None:
    """Bring the database at `place` to `revision`, made if it is not there; another process at it is waited for."""
    if revision == "head" and current(schema, place) == schema.head:
        return
    # Alembic costs a quarter of a second to import: only who migrates pays for it.
    from alembic import command

    with _connected(schema, place) as connection:
        if (there := _revision(connection) or "") > schema.head:
            raise MigrationFailed(
                f"{schema.context}: its database is at revision {there}, and this version knows none past "
                f"{schema.head}. A later version made it: use that one."
            )
        config = _config(schema, connection)
        # Revisions are numbers, and sort; what comes before the first has a name that would sort behind them.
        if revision == "head" or (revision != "base" and revision > there):
            command.upgrade(config, revision)
        else:
            command.downgrade(config, revision)


def drift(schema: Schema, place: Place) -> list[Any]:
    """Return what differs between the migrated database at `place` and the tables the code knows; empty is right."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with _connected(schema, place) as connection:
        return list(compare_metadata(MigrationContext.configure(connection, opts=_OPTIONS), schema.tables))


def revise(schema: Schema, place: Place, message: str) -> Path:
    """Write the next migration: what turns the database at `place` into the tables the code knows. Returns its file."""
    from alembic import command

    with _connected(schema, place) as connection:
        made = command.revision(
            _config(schema, connection), message, autogenerate=True, rev_id=f"{int(schema.head) + 1:04}"
        )
    assert made is not None
    assert not isinstance(made, list)
    return Path(made.path)


def current(schema: Schema, place: Place) -> str | None:
    """Return the revision the database at `place` is at; None when it has none."""
    if isinstance(place, Path):
        if not place.exists():
            return None
        with closing(sqlite.connect(place)) as file:
            known = file.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
            found = file.execute("SELECT version_num FROM alembic_version").fetchone() if known else None
            return str(found[0]) if found else None
    with _connected(schema, place) as connection:
        return _revision(connection)


def run() -> None:
    """Run the migrations Alembic asks for: all that a context's `migrations/env.py` has to say."""
    from alembic import context

    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=context.config.attributes["tables"],
        **_OPTIONS,
    )
    with context.begin_transaction():
        context.run_migrations()


_OPTIONS: dict[str, Any] = {
    "render_as_batch": True,
    "compare_type": True,
    "transaction_per_migration": False,
    # A migration that is written imports the house's column types by name.
    "user_module_prefix": "",
}


def _config(schema: Schema, connection: Connection) -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(schema.history))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    config.attributes["tables"] = schema.tables
    return config


def _revision(connection: Connection) -> str | None:
    from sqlalchemy import inspect

    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).first()
    return str(found[0]) if found else None


@contextmanager
def _connected(schema: Schema, place: Place) -> Iterator[Connection]:
    """Yield a connection in a transaction that no other migration of this context runs beside."""
    engine = _sqlite(place) if isinstance(place, Path) else _postgres(place)
    try:
        with engine.begin() as connection:
            if isinstance(place, PostgresPlace):
                # Transaction locks: they go with the commit, or with the process.
                connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": schema.context})
                connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{place.schema}"'))
            yield connection
    except DBAPIError as error:
        raise MigrationFailed(f"{schema.context}: {error.orig}") from error
    finally:
        engine.dispose()


def _sqlite(file: Path) -> Engine:
    engine = create_engine("sqlite://", creator=lambda: sqlite.connect(file, busy_ms=30_000))

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # The driver would begin late and commit before DDL; a migration is to be kept whole or not at all.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _postgres(place: PostgresPlace) -> Engine:
    return create_engine(
        make_url(place.url).set(drivername="postgresql+psycopg"),
        connect_args={
            "options": f"-csearch_path={place.schema} -clock_timeout=30s",
            "connect_timeout": max(2, int(place.connect_s)),
        },
    )
