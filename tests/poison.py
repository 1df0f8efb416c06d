"""Facts no context would tell, put into the log of one as it stands on the disk."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import orjson

from orderhouse.assembly.places import SCHEMAS
from orderhouse.kernel.ids import new_id
from orderhouse.runtime.database.database import Database, open_database
from orderhouse.runtime.database.sql import as_id
from orderhouse.runtime.database.transaction import Transaction
from tests.installation import Installation

WRONG = {"country": 33, "active": True}


async def told(
    installation: Installation,
    name: str,
    data: Mapping[str, object],
    *,
    about: UUID,
    sequence: int,
    version: int = 1,
) -> None:
    """Tell a fact about a customer past everything that would check it."""

    def work(tx: Transaction, asked: Sequence[None]) -> Sequence[None]:
        tx.run("UPDATE fact_head SET position = position + 1")
        tx.run(
            "INSERT INTO facts (position, id, name, version, aggregate, sequence, data, at, actor, request_id, trace) "
            "SELECT position, :id, :name, :version, :about, :sequence, :data, 1, 'nobody', '', '' FROM fact_head",
            id=new_id(),
            name=name,
            version=version,
            about=about,
            sequence=sequence,
            data=orjson.dumps(data).decode(),
        )
        return asked

    async with _opened("customers", installation) as database:
        await database.write(work, None)


async def dead_letter(installation: Installation) -> str:
    """Return the id of a letter that is dead, and thus stays as it is, while a server runs."""
    about = new_id()
    await told(installation, "CustomerAdded", WRONG, about=about, sequence=1)

    def work(tx: Transaction, asked: Sequence[None]) -> Sequence[str | None]:
        found = tx.row("UPDATE queue SET state = 'dead' WHERE lane = :about RETURNING id", about=str(about))
        return [str(as_id(found[0])) if found else None for _ in asked]

    async with _opened("orders", installation) as database, asyncio.timeout(10):
        while not (letter := await database.write(work, None)):
            await asyncio.sleep(0.01)
    return letter


@asynccontextmanager
async def _opened(context: str, installation: Installation) -> AsyncIterator[Database]:
    database = open_database(context, installation.place(context), SCHEMAS[context].tables, refusals={})
    try:
        yield database
    finally:
        await database.close()


def customer(installation: Installation, about: UUID) -> None:
    """Tell of a customer whose country is a number."""
    asyncio.run(told(installation, "CustomerAdded", WRONG, about=about, sequence=1))
