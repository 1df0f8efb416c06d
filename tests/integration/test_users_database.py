"""What the database makes certain of, on SQLite and on PostgreSQL: lists by an index, nothing half done, no drift."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from orderhouse.kernel.errors import Unavailable
from orderhouse.kernel.ids import new_id
from orderhouse.kernel.pages import CursorInvalid, PagesDoNotCombine
from orderhouse.runtime import migrate
from orderhouse.runtime.database.database import Place
from orderhouse.runtime.database.transaction import Reading
from orderhouse.users import reads
from orderhouse.users.contract import FACTS
from orderhouse.users.schemas import AddUser, ListUsers, Target
from orderhouse.users.wiring import SCHEMA, Users
from tests.integration.users_world import added, asked, facts_of, opened, together, told

pytestmark = [pytest.mark.anyio, pytest.mark.context("users")]

LIST = TypeAdapter(ListUsers)


async def listed(users: Users, **wanted: Any) -> reads.Page[Any]:
    return await users.database.read(reads.users, LIST.validate_strings({k: str(v) for k, v in wanted.items()}))


async def filled(users: Users, count: int) -> None:
    wanted = [
        asked(AddUser(email=f"u{n}@example.com", name=f"{'Ada' if n % 3 else 'Zoë'} Person {n:04}", role="clerk"))
        for n in range(count)
    ]
    await users.database.write_many(users.service.add, wanted)


async def test_the_migrated_schema_is_the_one_the_code_knows(place: Place) -> None:
    assert migrate.drift(SCHEMA, place) == []


async def test_a_migration_can_be_taken_back_and_made_again(place: Place) -> None:
    migrate.migrate(SCHEMA, place, "base")
    assert migrate.drift(SCHEMA, place) != []
    migrate.migrate(SCHEMA, place)
    assert migrate.drift(SCHEMA, place) == []
    async with opened(place) as users:
        await added(users)


@pytest.mark.parametrize("sort", ["created_at", "-created_at", "name", "-name"])
async def test_walking_by_cursor_and_by_offset_meets_everybody_once_and_in_order(place: Place, sort: str) -> None:
    async with opened(place) as users:
        await filled(users, 25)
        walked: list[Any] = []
        page = await listed(users, sort=sort, limit=7)
        while True:
            walked += page.items
            if page.next is None:
                break
            page = await listed(users, sort=sort, limit=7, cursor=page.next)
        by_offset = [one for at in (0, 10, 20) for one in (await listed(users, sort=sort, limit=10, offset=at)).items]
        assert walked == by_offset
        assert len({one.id for one in walked}) == 25
        key = (lambda one: one.name.casefold()) if "name" in sort else (lambda one: one.id)
        assert walked == sorted(walked, key=key, reverse=sort.startswith("-"))
        assert (await listed(users, offset=0)).total == 25


async def test_who_is_searched_for_is_found_by_the_beginnings_of_words(place: Place) -> None:
    async with opened(place) as users:
        ada = await added(users, "ada@lovelace.test", "Ada Lovelace", "owner")
        ben = await added(users, "b.smith@example.com", "Ben Ångström-Smith")

        async def found(search: str, **more: str) -> set[str]:
            return {one.name for one in (await listed(users, search=search, **more)).items}

        for search in ("ada", "LOVE", "love ad", "ada@lovelace.test", "lovelace.test"):
            assert await found(search) == {ada.name}, search
        for search in ("ångström", "ÅNGSTRÖM smith", "smith ben", "b.smith@", "example"):
            assert await found(search) == {ben.name}, search
        for search in ("ovelace", "ada smith", "%", "_", "---", "ada'"):
            assert (await found(search) == {ada.name}) is (search == "ada'"), search
        assert await found("a", role="owner") == {ada.name}
        assert await found("a", status="invited") == set()


async def test_whoever_is_called_something_else_is_found_by_that_alone(place: Place) -> None:
    from orderhouse.users.schemas import ChangeUser, UserChange

    async with opened(place) as users:
        ada = await added(users, "ada@example.com", "Ada Byron")
        change = UserChange(ada.id, 1, ChangeUser(name="Ada Lovelace"))
        await users.database.write(users.service.change, asked(change))
        assert [one.id for one in (await listed(users, search="ada lovelace")).items] == [ada.id]
        assert (await listed(users, search="byron")).items == []


async def test_pages_do_not_combine_and_a_cursor_is_for_its_own_list(place: Place) -> None:
    async with opened(place) as users:
        await filled(users, 3)
        cursor = (await listed(users, limit=1)).next
        with pytest.raises(PagesDoNotCombine):
            await listed(users, cursor=cursor, offset=0)
        with pytest.raises(CursorInvalid):
            await listed(users, cursor=cursor, sort="name")


@pytest.mark.parametrize(
    "wanted",
    [
        {"sort": "-created_at"},
        {"sort": "name"},
        {"sort": "-name", "status": "active"},
        {"sort": "created_at", "role": "owner"},
        {"sort": "name", "role": "owner"},
        {"search": "zoe person"},
        {"search": "u7", "offset": "0"},
    ],
    ids=str,
)
async def test_every_list_is_read_by_an_index(place: Place, wanted: dict[str, str]) -> None:
    async with opened(place) as users:
        await filled(users, 300)
        for plan in await users.database.read(_plans, wanted):
            walked = [line for line in plan if "Seq Scan" in line or ("SCAN" in line and "INDEX" not in line)]
            assert walked == [], plan
            if "search" in wanted:
                # Whoever searches is answered from the words, however many users there are who have none of them.
                assert not any(line.startswith("SCAN users") for line in plan), plan


def _plans(reading: Reading, wanted: dict[str, str]) -> list[list[str]]:
    """Return the plan of each statement the list asks."""
    plans: list[list[str]] = []
    if reading.dialect == "postgresql":
        # On so few rows reading all of them would be cheaper; whether an index could be read is what is asked here.
        reading.rows("SELECT set_config('enable_seqscan', 'off', false)")

    class Explaining:
        def rows(self, sql: str, **values: object) -> Any:
            told = reading.rows(
                f"{'EXPLAIN' if reading.dialect == 'postgresql' else 'EXPLAIN QUERY PLAN'} {sql}", **values
            )
            lines = [str(row[-1]).strip().removeprefix("->").strip() for row in told]
            plans.append([line for line in lines if "fact" not in line and "counted" not in line])
            return reading.rows(sql, **values)

        def row(self, sql: str, **values: object) -> Any:
            return self.rows(sql, **values)[0]

    reads.users(Explaining(), LIST.validate_strings(wanted))  # type: ignore[arg-type]  # all a list needs of it
    return plans


async def test_what_fails_half_way_leaves_nothing_behind(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(place) as users:
        ada = await added(users)

        def broken(*_: object) -> None:
            raise RuntimeError("half-way")

        monkeypatch.setattr("orderhouse.users.contract.UserDeactivated.told", broken)
        with pytest.raises(RuntimeError, match="half-way"):
            await users.database.write(users.service.deactivate, asked(Target(ada.id, None)))
        assert (await users.database.read(reads.user, ada.id)) == ada
        assert await facts_of(users.database) == ["UserJoined"]


async def test_only_the_bad_one_of_many_fails(place: Place) -> None:
    async with opened(place) as users:
        wanted = [asked(AddUser(email=f"c{n % 9}@example.com", name=f"C {n}", role="clerk")) for n in range(10)]
        outcomes = await users.database.write_many(users.service.add, wanted)
        assert [type(outcome).__name__ for outcome in outcomes] == ["UserState"] * 9 + ["AddressTaken"]
        facts = await told(users.database)
        assert [fact.position for fact in facts] == list(range(1, 10))


async def test_the_first_owner_is_made_once_and_is_the_same_at_every_start(place: Place) -> None:
    async with opened(place) as users:
        first = await users.first_owner("owner@example.com")
        assert first is not None
    async with opened(place) as again:
        assert await again.first_owner("OWNER@example.com") == first
        assert await again.first_owner("other@example.com") is None
        found = await again.database.read(reads.person, first)
        assert found is not None
        assert (found.role, found.email_verified, found.active) == ("owner", True, True)
        assert await facts_of(again.database) == ["UserJoined"]


async def test_of_many_who_start_at_once_one_makes_the_first_owner(place: Place) -> None:
    async with opened(place) as users, opened(place) as elsewhere:
        houses = [users, elsewhere]
        made = await together(8, lambda n: houses[n % 2].first_owner(f"owner-{n}@example.com"))
        assert sum(one is not None for one in made) == 1
        assert await facts_of(users.database) == ["UserJoined"]


@pytest.mark.parametrize("role", ["clerk", "owner"])
async def test_where_there_is_anybody_no_owner_is_made(place: Place, role: str) -> None:
    async with opened(place) as users:
        await added(users, "ada@example.com", role=role)
        assert await users.first_owner("owner@example.com") is None
        assert await facts_of(users.database) == ["UserJoined"]


async def test_whoever_is_no_active_owner_any_more_is_not_let_in_as_the_first_one(place: Place) -> None:
    let_in: list[Any] = []

    async def remember(user_id: Any) -> None:
        let_in.append(user_id)

    async with opened(place) as users:
        await users.welcome_first_owner("owner@example.com", remember)
        await users.welcome_first_owner("owner@example.com", remember)
        assert len(let_in) == 2
        assert len(set(let_in)) == 1
        await added(users, "heir@example.com", role="owner")
        await users.database.write(users.service.deactivate, asked(Target(let_in[0], None)))
        await users.welcome_first_owner("owner@example.com", remember)
        assert len(let_in) == 2


async def test_who_cannot_be_let_in_now_keeps_nobody_from_starting_and_is_tried_again(place: Place) -> None:
    tried: list[Any] = []

    async def busy(user_id: Any) -> None:
        tried.append(user_id)
        if len(tried) == 1:
            raise Unavailable

    async with opened(place) as users:
        await users.welcome_first_owner("owner@example.com", busy)
        await users.welcome_first_owner("owner@example.com", busy)
        assert len(set(tried)) == 1
        assert len(tried) == 2


async def test_every_fact_reads_back_as_what_it_was_told_as(place: Place) -> None:
    async with opened(place) as users:
        ada = await added(users)
        await users.database.write(users.service.deactivate, asked(Target(ada.id, None)))
        read = [FACTS[fact.name].read(fact) for fact in await told(users.database)]
        assert [(fact.name, fact.id, fact.version) for fact in read] == [
            ("UserJoined", ada.id, 1),
            ("UserDeactivated", ada.id, 2),
        ]
        assert new_id() not in {fact.id for fact in read}
