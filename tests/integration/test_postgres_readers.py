"""The connections that only ask: their number is kept, and one that broke or was left is never asked again."""

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from orderhouse.kernel.errors import Invalid
from orderhouse.runtime.database.errors import DatabaseBusy, DatabaseUnavailable
from orderhouse.runtime.database.postgres import PostgresPlace, PostgresReaders
from orderhouse.runtime.database.transaction import Reading

pytestmark = pytest.mark.anyio


class TooSmall(Invalid):
    """It is too small."""

    code = "too_small"


@pytest.fixture
async def readers(postgres_url: str) -> AsyncIterator[PostgresReaders]:
    opened = PostgresReaders(PostgresPlace(postgres_url, "public", statement_ms=2_000, connect_s=0.5, readers=2))
    yield opened
    await opened.close()


def backend(reading: Reading) -> int:
    found = reading.row("SELECT pg_backend_pid()")
    assert found
    return int(found[0])


def asleep(reading: Reading, seconds: float) -> int:
    reading.rows("SELECT pg_sleep(:seconds)", seconds=seconds)
    return backend(reading)


async def test_many_questions_take_turns_on_few_connections(readers: PostgresReaders) -> None:
    asked = await asyncio.gather(*(readers.ask(asleep, 0.01) for _ in range(20)))
    assert len(asked) == 20
    assert len(set(asked)) == 2


async def test_who_waits_too_long_for_a_turn_is_told_so_and_the_others_are_answered(readers: PostgresReaders) -> None:
    long = [asyncio.create_task(readers.ask(asleep, 1.0)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(DatabaseUnavailable):
        await readers.ask(backend)
    assert len(set(await asyncio.gather(*long))) == 2
    assert await readers.ask(backend)


async def test_a_refusal_keeps_the_connection_and_a_failure_costs_it(readers: PostgresReaders) -> None:
    first = await readers.ask(backend)

    def refused(reading: Reading) -> None:
        assert backend(reading) == first
        raise TooSmall

    def broken(reading: Reading) -> None:
        assert backend(reading) == first
        reading.rows("SELECT 1 / 0")

    with pytest.raises(TooSmall):
        await readers.ask(refused)
    with pytest.raises(Exception, match="division by zero"):
        await readers.ask(broken)
    assert await readers.ask(backend) != first


async def test_a_question_that_is_left_leaves_nothing_behind(readers: PostgresReaders) -> None:
    for _ in range(6):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await readers.ask(asleep, 1.5)
    # Three times as many as there are connections: both are free again, and answer what they are asked.
    assert len(set(await asyncio.gather(readers.ask(asleep, 0.05), readers.ask(asleep, 0.05)))) == 2


async def test_a_question_that_takes_too_long_is_ended(readers: PostgresReaders) -> None:
    with pytest.raises(DatabaseBusy):
        await readers.ask(asleep, 10.0)
    assert await readers.ask(backend)


async def test_a_connection_the_server_ended_is_made_anew(readers: PostgresReaders, postgres_url: str) -> None:
    lost = await readers.ask(backend)
    with psycopg.connect(postgres_url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [lost])
        while other.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [lost]).fetchone():
            await asyncio.sleep(0.01)
    # The end of the line is heard in the loop: the question before that may still go into it.
    for _ in range(2):
        try:
            assert await readers.ask(backend) != lost
        except DatabaseUnavailable:
            continue
        break
    assert await readers.ask(backend) != lost


async def test_nothing_is_left_open(readers: PostgresReaders, postgres_url: str) -> None:
    await asyncio.gather(*(readers.ask(asleep, 0.01) for _ in range(4)))
    await readers.close()
    with psycopg.connect(postgres_url, autocommit=True) as other:
        for _ in range(500):
            found = other.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                "AND application_name = 'orderhouse public'"
            ).fetchone()
            if found == (0,):
                return
            await asyncio.sleep(0.01)
    pytest.fail("connections stayed open")
