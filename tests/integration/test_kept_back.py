"""What a transaction keeps back is written as it was given, whatever it holds, on both databases."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orderhouse.runtime.database.database import Place, open_database
from orderhouse.runtime.database.sql import as_id
from orderhouse.runtime.database.tables import Id, Json, tables_of
from orderhouse.runtime.database.transaction import Transaction
from tests.integration import things

TABLES = tables_of("kinds")
KINDS = sa.Table(
    "kinds",
    TABLES,
    sa.Column("id", Id, primary_key=True),
    sa.Column("small", sa.SmallInteger),
    sa.Column("whole", sa.Integer),
    sa.Column("large", sa.BigInteger),
    sa.Column("words", sa.Text),
    sa.Column("sorted", sa.Text().with_variant(sa.Text(collation="C"), "postgresql")),
    sa.Column("flag", sa.Boolean),
    sa.Column("raw", sa.LargeBinary),
    sa.Column("short", sa.LargeBinary(16)),
    sa.Column("said", Json),
)
SEEN = sa.Table("seen", TABLES, sa.Column("id", Id, primary_key=True), sa.Column("version", sa.Integer, nullable=False))
NAMES = tuple(column.name for column in KINDS.columns)

Row = tuple[Any, ...]

# What an array's text gives a meaning to, and what JSON escapes, more often than chance would have it.
_text = st.text(
    st.one_of(st.sampled_from('"\\{},nt\n\t\r\x01 '), st.characters(exclude_characters="\0", codec="utf-8"))
)
_words = st.one_of(st.none(), st.just("NULL"), st.just(""), _text)


def _int(bits: int) -> st.SearchStrategy[int | None]:
    return st.one_of(st.none(), st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1))


rows = st.lists(
    st.tuples(
        st.builds(uuid4),
        _int(16),
        _int(32),
        _int(64),
        _words,
        _words,
        st.one_of(st.none(), st.booleans()),
        st.one_of(st.none(), st.binary()),
        st.one_of(st.none(), st.binary(max_size=16)),
        st.one_of(st.none(), st.sampled_from(['{"a": "\\"b\\\\n"}', "[]", "null", '"NULL"'])),
    ),
    min_size=1,
    max_size=5,
)


@pytest.fixture
def kinds(empty: Callable[[str], Place]) -> Place:
    where = empty("kinds")
    things.create(where, TABLES)
    return where


@given(first=rows, values=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_are_kept_as_they_were_added_and_changed(kinds: Place, first: list[Row], values: st.DataObject) -> None:
    others = values.draw(st.lists(rows.map(lambda some: some[0]), min_size=len(first), max_size=len(first)))
    second = [(old[0], *new[1:]) for old, new in zip(first, others, strict=True)]

    def add(tx: Transaction, asked: Sequence[None]) -> list[None]:
        tx.add(KINDS, first)
        return [None for _ in asked]

    def change(tx: Transaction, asked: Sequence[None]) -> list[None]:
        tx.change(KINDS, NAMES[1:], second)
        return [None for _ in asked]

    async def kept() -> None:
        database = open_database("kinds", kinds, TABLES, refusals={})
        try:
            for work, expected in ((add, first), (change, second)):
                await database.write(work, None)
                found = await database.read(
                    lambda r: r.rows(
                        f"SELECT {', '.join(NAMES)} FROM kinds WHERE id IN :ids", ids=[x[0] for x in first]
                    )
                )
                assert {as_id(row[0]): tuple(row)[1:] for row in found} == {row[0]: row[1:] for row in expected}
        finally:
            await database.close()

    asyncio.run(kept())


@pytest.mark.anyio
async def test_an_id_that_came_with_a_row_can_be_given_back(kinds: Place) -> None:
    database = open_database("kinds", kinds, TABLES, refusals={})

    def again(tx: Transaction, asked: Sequence[int]) -> list[None]:
        [(found,)] = tx.rows("SELECT id FROM kinds")
        tx.change(KINDS, ["whole"], [(found, asked[0])])
        return [None]

    def add(tx: Transaction, asked: Sequence[int]) -> list[None]:
        made = uuid4()
        tx.add(KINDS, [(made, *(None,) * 9)])
        return [None for _ in asked]

    try:
        await database.write(add, 0)
        await database.write(again, 7)
        assert [tuple(row) for row in await database.read(lambda r: r.rows("SELECT whole FROM kinds"))] == [(7,)]
    finally:
        await database.close()


@pytest.mark.anyio
@pytest.mark.parametrize("kept", ["added", "changed", "run", "nothing"])
async def test_what_expects_a_row_that_is_another_by_now_is_undone_and_done_again(kinds: Place, kept: str) -> None:
    database = open_database("kinds", kinds, TABLES, refusals={})
    there, gone, changed = uuid4(), uuid4(), uuid4()
    tried: list[bool] = []
    numbers = count(2)

    def begin(tx: Transaction, asked: Sequence[None]) -> list[None]:
        tx.add(SEEN, [(there, 3)])
        tx.add(KINDS, [(changed, 1, *(None,) * 8)])
        return [None for _ in asked]

    def work(tx: Transaction, asked: Sequence[list[Row]]) -> list[None]:
        tried.append(tx.wary)
        if not tx.wary:
            tx.expect(SEEN, asked[0])
        if kept == "added":
            tx.add(KINDS, [(uuid4(), 2, *(None,) * 8)])
        elif kept == "changed":
            tx.change(KINDS, ["whole" if tx.wary else "small"], [(changed, next(numbers))])
        elif kept == "run":
            tx.run("UPDATE kinds SET small = small + 1")
        return [None]

    async def after(*expected: Row) -> tuple[list[bool], list[int]]:
        tried.clear()
        await database.write(work, list(expected))
        found = await database.read(lambda r: r.rows("SELECT small FROM kinds ORDER BY small"))
        return list(tried), [row[0] for row in found]

    values = {
        "added": ([1, 2], [1, 2, 2], [1, 2, 2, 2], [1, 2, 2, 2, 2]),
        "changed": ([2], [2], [2], [2]),
        "run": ([2], [3], [4], [5]),
        "nothing": ([1], [1], [1], [1]),
    }[kept]
    try:
        await database.write(begin, None)
        assert await after((there, 3)) == ([False], values[0])
        assert await after((there, 2)) == ([False, True], values[1])
        assert await after((gone, 1)) == ([False, True], values[2])
        assert await after((there, 3), (gone, 1)) == ([False, True], values[3])
    finally:
        await database.close()
