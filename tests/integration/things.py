"""A context as small as can be, on which the runtime is tested: named things, each name once."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import sqlalchemy as sa

from orderhouse.kernel import ids
from orderhouse.kernel.errors import Conflict, Invalid, Refusal
from orderhouse.kernel.events import NewFact, Origin
from orderhouse.kernel.principal import Principal
from orderhouse.runtime.database.database import Database, Place, open_database
from orderhouse.runtime.database.postgres import PostgresPlace
from orderhouse.runtime.database.tables import Id, tables_of
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.once import Answer, Asked, OnceCall

TABLES = tables_of("things")
THINGS = sa.Table(
    "things",
    TABLES,
    sa.Column("id", Id, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Index("things_name", "name", unique=True),
)
ME = Principal("me", "owner")

Thing = tuple[UUID, str, int]


class NameTaken(Conflict):
    """There is a thing of that name."""

    code = "name_taken"


class NameUgly(Invalid):
    """No thing is called that."""

    code = "name_ugly"


class Things:
    """Makes things, and counts how often it was asked to."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def make(self, tx: Transaction, asked: Sequence[Asked[str]]) -> Sequence[Thing | Refusal]:
        self.calls.append(len(asked))
        if any(one.wanted == "boom" for one in asked):
            raise RuntimeError("boom")
        outcomes: list[Thing | Refusal] = [
            NameUgly() if one.wanted == "ugly" else (ids.new_id(), one.wanted, 1) for one in asked
        ]
        made = [(thing, one) for thing, one in zip(outcomes, asked, strict=True) if not isinstance(thing, Refusal)]
        tx.add(THINGS, [thing for thing, _ in made])
        tx.tell(NewFact("ThingMade", thing[0], 1, {"size": thing[2]}, one.at, one.origin) for thing, one in made)
        return outcomes


def told(thing: Thing) -> Answer:
    return Answer(201, (("location", f"/things/{thing[0]}"),), repr(thing).encode())


def call(database: Database, key: str | None, *, fingerprint: bytes = b"same", caller: Principal = ME) -> OnceCall:
    return OnceCall(
        database,
        caller=caller,
        origin=Origin(caller.subject, "request-1"),
        operation="POST /things",
        key=key,
        fingerprint=fingerprint,
    )


def create(place: Place, tables: sa.MetaData = TABLES) -> None:
    """Make the tables without a migration."""
    if isinstance(place, PostgresPlace):
        url = sa.make_url(place.url).set(drivername="postgresql+psycopg")
        engine = sa.create_engine(url, connect_args={"options": f"-csearch_path={place.schema}"})
    else:
        engine = sa.create_engine(f"sqlite:///{place}")
    with engine.begin() as connection:
        if isinstance(place, PostgresPlace):
            connection.execute(sa.text(f'CREATE SCHEMA "{place.schema}"'))
        tables.create_all(connection)
        connection.execute(sa.text("INSERT INTO fact_head VALUES (1, 0)"))
    engine.dispose()


@asynccontextmanager
async def opened(place: Place, *, bound: int = 2048) -> AsyncIterator[Database]:
    database = open_database("things", place, TABLES, refusals={"things_name": NameTaken}, bound=bound)
    try:
        yield database
    finally:
        await database.close()


async def names(database: Database) -> list[str]:
    return [row[0] for row in await database.read(lambda r: r.rows("SELECT name FROM things ORDER BY name"))]
