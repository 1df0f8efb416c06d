"""What the ORM costs beside Core and plain SQL: the same rows of the users' own tables, in the same transaction.

Processor time of this process alone: what the database itself needs is the same for all three. They take turns.
"""

import asyncio
import json
import os
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Column, MetaData, Table, Text, insert, select

from bench import servers
from bench.placing import database_of_its_own
from orderhouse.kernel import clock
from orderhouse.kernel.events import Origin
from orderhouse.kernel.ids import new_id
from orderhouse.kernel.pages import cursor_of
from orderhouse.kernel.principal import Principal
from orderhouse.runtime import migrate
from orderhouse.runtime.database.database import Place
from orderhouse.runtime.database.postgres import PostgresPlace
from orderhouse.runtime.database.sql import Row
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.once import Asked
from orderhouse.users import reads
from orderhouse.users.models import Team, User
from orderhouse.users.schemas import AddUser, ListUsers
from orderhouse.users.wiring import SCHEMA, Users

ROUNDS = int(os.environ.get("ORDERHOUSE_BENCH_ROUNDS", "7"))
USERS = 5_000
TIMES = {"get one": 500, "list of 50": 60, "add 50 in a transaction": 20}


def _table_of(model: type[Team | User]) -> Table:
    found = model.__table__
    assert isinstance(found, Table)
    return found


_TEAMS, _USERS = _table_of(Team), _table_of(User)
# Told without their collation, which an array of values has no use for.
_PLAIN_TEAMS = Table(
    "teams",
    MetaData(),
    *(
        Column(c.name, Text() if isinstance(c.type, Text) else c.type, primary_key=c.primary_key)
        for c in _TEAMS.columns
    ),
)

Act = Callable[[Transaction, UUID], object]
W = TypeVar("W")


def measure() -> dict[str, object]:
    """Return microseconds of this process's processor time, by database, by what was done, by how."""
    told: dict[str, object] = {"users": USERS}
    with servers.folder() as folder:
        told["sqlite"] = asyncio.run(_database(Path(folder) / "users.sqlite3"))
    with servers.postgres() as url:
        told["postgresql"] = asyncio.run(_database(PostgresPlace(database_of_its_own(url), "users")))
    return told


async def _database(place: Place) -> dict[str, object]:
    migrate.migrate(SCHEMA, place)
    users = Users.opened(place, bound=1)
    try:
        ids = await _filled(users)
        found = {
            "get one": await _reading(users, "get one", ids, _ONE),
            "list of 50": await _reading(users, "list of 50", ids, _PAGE),
            "add 50 in a transaction": await _adding(users),
        }
    finally:
        await users.database.close()
    return {what: {how: _spread(rounds) for how, rounds in took.items()} for what, took in found.items()}


def _spread(rounds: Sequence[float]) -> dict[str, float]:
    return {"median": round(statistics.median(rounds), 1), "min": round(min(rounds), 1), "max": round(max(rounds), 1)}


async def _filled(users: Users) -> list[UUID]:
    now, maker = clock.now(), Principal("bench", "owner")
    wanted = [AddUser(name=f"Person {n}", email=f"u{n}@example.com", role="clerk") for n in range(USERS)]
    made = await users.database.write_many(
        users.service.add, [Asked(one, maker, now, Origin("bench")) for one in wanted]
    )
    return [one.id for one in made]  # type: ignore[union-attr]  # nobody was refused: all addresses are new


def _orm_one(tx: Transaction, user_id: UUID) -> object:
    tx.session.expunge_all()
    found = tx.session.get(User, user_id)
    assert found is not None
    return found.state


def _core_one(tx: Transaction, user_id: UUID) -> object:
    return tx.session.connection().execute(select(_USERS).where(_USERS.c.id == user_id)).one()


def _orm_page(tx: Transaction, before: UUID) -> object:
    tx.session.expunge_all()
    wanted = select(User).where(User.id < before).order_by(User.id.desc()).limit(50)
    return [user.state for user in tx.session.scalars(wanted)]


def _core_page(tx: Transaction, before: UUID) -> object:
    wanted = select(_USERS).where(_USERS.c.id < before).order_by(_USERS.c.id.desc()).limit(50)
    return tx.session.connection().execute(wanted).all()


def _sql_page(tx: Transaction, before: UUID) -> object:
    return reads.users(tx, ListUsers(limit=50, cursor=cursor_of("users -created_at", before))).items


_ONE: dict[str, Act] = {"orm": _orm_one, "core": _core_one, "sql": reads.user}
_PAGE: dict[str, Act] = {"orm": _orm_page, "core": _core_page, "sql": _sql_page}


async def _reading(users: Users, what: str, ids: Sequence[UUID], ways: dict[str, Act]) -> dict[str, list[float]]:
    # Behind these there is a whole page.
    draw, late = random.Random(5), ids[100:]

    def timed(tx: Transaction, asked: Sequence[Act]) -> list[float]:
        (act,) = asked
        wanted = draw.choices(late, k=TIMES[what])
        began = time.process_time()
        for user_id in wanted:
            act(tx, user_id)
        return [(time.process_time() - began) / TIMES[what] * 1e6]

    return await _turns(ways, lambda act: users.database.write(timed, act))


async def _adding(users: Users) -> dict[str, list[float]]:
    def orm(tx: Transaction, asked: Sequence[Sequence[Row]]) -> Sequence[None]:
        tx.session.add_all(Team(**dict(zip(_TEAMS.columns.keys(), row, strict=True))) for row in asked[0])
        tx.session.flush()
        return [None]

    def core(tx: Transaction, asked: Sequence[Sequence[Row]]) -> Sequence[None]:
        tx.session.connection().execute(
            insert(_TEAMS), [dict(zip(_TEAMS.columns.keys(), row, strict=True)) for row in asked[0]]
        )
        return [None]

    def sql(tx: Transaction, asked: Sequence[Sequence[Row]]) -> Sequence[None]:
        tx.add(_PLAIN_TEAMS, asked[0])
        return [None]

    async def many(work: Callable[[Transaction, Sequence[Sequence[Row]]], Sequence[None]]) -> float:
        batches = [_new_teams() for _ in range(TIMES["add 50 in a transaction"])]
        began = time.process_time()
        for batch in batches:
            await users.database.write(work, batch)
        return (time.process_time() - began) / len(batches) * 1e6

    return await _turns({"orm": orm, "core": core, "sql": sql}, many)


def _new_teams() -> list[Row]:
    columns = [column.name for column in _TEAMS.columns]
    at = clock.now()
    made = []
    for _ in range(50):
        team_id = new_id()
        values = {"id": team_id, "name": str(team_id), "name_key": str(team_id), "version": 1}
        made.append(tuple(values.get(name, at) for name in columns))
    return made


async def _turns(ways: Mapping[str, W], run: Callable[[W], Awaitable[float]]) -> dict[str, list[float]]:
    took: dict[str, list[float]] = {how: [] for how in ways}
    for turn in range(ROUNDS + 1):
        for how, act in ways.items():
            figure = await run(act)
            if turn:  # The first time, statements are compiled and caches are filled.
                took[how].append(figure)
    return took


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
