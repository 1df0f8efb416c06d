"""Where each context's database is, and how all of them are brought to the schema this version needs."""

from orderhouse.assembly.data_folder import made
from orderhouse.auth.wiring import SCHEMA as AUTH
from orderhouse.customers.wiring import SCHEMA as CUSTOMERS
from orderhouse.jobs.wiring import SCHEMA as JOBS
from orderhouse.orders.wiring import SCHEMA as ORDERS
from orderhouse.runtime import migrate
from orderhouse.runtime.database.database import Place
from orderhouse.runtime.database.postgres import PostgresPlace
from orderhouse.runtime.migrate import Schema
from orderhouse.runtime.settings import Settings
from orderhouse.tasks.wiring import SCHEMA as TASKS
from orderhouse.users.wiring import SCHEMA as USERS

SCHEMAS: dict[str, Schema] = {schema.context: schema for schema in (CUSTOMERS, JOBS, ORDERS, USERS, TASKS, AUTH)}
"""Every context that has a database."""


def place_of(context: str, settings: Settings) -> Place:
    """Return where the database of `context` is: a schema of PostgreSQL, or a file in the data folder."""
    if settings.postgres_url:
        return PostgresPlace(
            settings.postgres_url,
            context,
            statement_ms=settings.statement_ms,
            lock_ms=settings.lock_ms,
            connect_s=settings.connect_ms / 1000,
            readers=settings.readers,
            direct_url=settings.direct_url,
        )
    return made(settings.data_dir).resolve() / f"{context}.sqlite3"


def migrate_all(settings: Settings) -> None:
    """Bring every context's database to its latest revision, made if it is not there."""
    for context, schema in SCHEMAS.items():
        migrate.migrate(schema, place_of(context, settings))
