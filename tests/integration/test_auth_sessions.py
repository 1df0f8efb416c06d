"""Sessions, on SQLite and on PostgreSQL: one successor for each refresh token, and an end that everybody honours."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from orderhouse.auth import reads
from orderhouse.auth.errors import RefreshRefused, SessionNotFound
from orderhouse.auth.models import DAY, IDLE, LONGEST
from orderhouse.auth.service.sessions import Given
from orderhouse.kernel import clock
from orderhouse.kernel.errors import Unauthenticated, Unavailable
from orderhouse.kernel.ids import new_id
from orderhouse.runtime.database.database import Place
from orderhouse.runtime.database.transaction import Transaction
from tests.integration.auth_world import ADA, World, opened

pytestmark = [pytest.mark.anyio, pytest.mark.context("auth")]


async def live(world: World) -> list[UUID]:
    found = await world.rows("SELECT user_id FROM sessions LIMIT 1")
    user = UUID(bytes=found[0][0] if isinstance(found[0][0], bytes) else found[0][0].bytes)
    return [one.id for one in await world.auth.database.read(reads.sessions, user, clock.now())]


async def test_a_session_goes_on_with_one_refresh_token_after_the_other(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as world:
        ada = await world.somebody(role="clerk")
        given = await world.signs_in()
        for _ in range(5):
            following = await world.refreshes(given.refresh_token)
            assert following.refresh_token != given.refresh_token
            assert following.session_id == given.session_id
            given = following
        # A new token says who somebody is by now.
        world.people.become(ada.id, role="manager")
        assert world.caller(await world.refreshes(given.refresh_token)).role == "manager"


async def test_only_digests_are_kept(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as world:
        await world.somebody()
        given = await world.refreshes((await world.signs_in()).refresh_token, "key-1")
        kept = str([await world.rows(f"SELECT * FROM {table}") for table in ("refresh_tokens", "sessions", "audit")])
        for secret in (given.refresh_token, given.access_token, given.refresh_token[4:30]):
            assert secret not in kept


@pytest.mark.parametrize("key", [None, "the same"])
async def test_of_fifty_racing_uses_there_is_one_successor(place: Place, tmp_path: Path, key: str | None) -> None:
    async with opened(place, tmp_path) as world:
        await world.somebody()
        given = await world.signs_in()
        racing = (world.refreshes(given.refresh_token, key) for _ in range(50))
        outcomes = await asyncio.gather(*racing, return_exceptions=True)
        successors = {one.refresh_token for one in outcomes if isinstance(one, Given)}
        assert len(successors) == 1
        assert all(isinstance(one, Given | RefreshRefused) for one in outcomes)
        kept = await world.rows("SELECT * FROM refresh_tokens")
        # Two sessions were begun, with a token each, and there was one successor.
        assert len(kept) == 3
        if key:
            assert not any(isinstance(one, RefreshRefused) for one in outcomes)
            await world.refreshes(successors.pop())


async def test_a_token_that_is_used_again_ends_its_family_and_its_access_tokens(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as world:
        await world.somebody()
        first = await world.signs_in()
        other = await world.signs_in()
        second = await world.refreshes(first.refresh_token)
        with pytest.raises(RefreshRefused):
            await world.refreshes(first.refresh_token)
        with pytest.raises(RefreshRefused):
            await world.refreshes(second.refresh_token)
        await world.follow()
        for given in (first, second):
            with pytest.raises(Unauthenticated):
                world.caller(given)
        world.caller(other)
        await world.refreshes(other.refresh_token)
        assert "session_ended" in await world.audited()


async def test_a_retry_with_its_key_hears_of_the_same_successor_until_that_was_used(
    place: Place, tmp_path: Path
) -> None:
    async with opened(place, tmp_path) as world:
        await world.somebody()
        first = await world.signs_in()
        second = await world.refreshes(first.refresh_token, "key-1")
        assert (await world.refreshes(first.refresh_token, "key-1")).refresh_token == second.refresh_token
        third = await world.refreshes(second.refresh_token, "key-2")
        with pytest.raises(RefreshRefused):
            await world.refreshes(first.refresh_token, "key-1")
        with pytest.raises(RefreshRefused):
            await world.refreshes(third.refresh_token, "key-3")


async def test_a_thief_without_the_key_ends_the_family(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as world:
        await world.somebody()
        first = await world.signs_in()
        second = await world.refreshes(first.refresh_token, "key-1")
        with pytest.raises(RefreshRefused):
            await world.refreshes(first.refresh_token, "key-2")
        with pytest.raises(RefreshRefused):
            await world.refreshes(second.refresh_token, "key-3")


@pytest.mark.parametrize("token", ["", "ohr_unknown", "\ud800", "x" * 500])
async def test_what_is_no_refresh_token_ends_nothing(place: Place, tmp_path: Path, token: str) -> None:
    async with opened(place, tmp_path) as world:
        await world.somebody()
        given = await world.signs_in()
        with pytest.raises(RefreshRefused):
            await world.refreshes(token)
        await world.refreshes(given.refresh_token)


async def test_another_client_cannot_use_it(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as world:
        await world.somebody()
        given = await world.signs_in()
        with pytest.raises(RefreshRefused):
            await world.refreshes(given.refresh_token, client="somebody-else")
        await world.refreshes(given.refresh_token)


async def test_a_token_nobody_used_for_long_and_a_session_that_is_old_are_over(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as world:
        await world.somebody()
        given = await world.signs_in()
        world.later = IDLE + 1_000_000
        with pytest.raises(RefreshRefused):
            await world.refreshes(given.refresh_token)
        world.later = 0
        given = await world.signs_in()
        for _ in range(9):
            world.later += 13 * DAY if world.later < LONGEST - 14 * DAY else DAY
            if world.later > LONGEST:
                break
            given = await world.refreshes(given.refresh_token)
        world.later = LONGEST + DAY
        with pytest.raises(RefreshRefused):
            await world.refreshes(given.refresh_token)


async def test_without_users_nothing_is_used_up(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as world:
        await world.somebody()
        given = await world.signs_in()
        world.people.down = True
        with pytest.raises(Unavailable):
            await world.refreshes(given.refresh_token)
        world.caller(given)
        world.people.down = False
        await world.refreshes(given.refresh_token)


async def test_who_is_not_active_any_more_is_out(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as world:
        ada = await world.somebody()
        given = await world.signs_in()
        world.people.become(ada.id, active=False)
        with pytest.raises(RefreshRefused):
            await world.refreshes(given.refresh_token)
        world.people.become(ada.id, active=True)
        with pytest.raises(RefreshRefused):
            await world.refreshes(given.refresh_token)


async def test_each_device_can_be_signed_out_and_only_ones_own(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as world:
        await world.somebody()
        await world.do(
            world.auth.sessions.end_others, None, replace(world.caller(await world.signs_in()), session=None)
        )
        await world.somebody("eve@example.com")
        eve = world.caller(await world.signs_in("eve@example.com"))
        here, there = await world.signs_in(), await world.signs_in()
        with pytest.raises(SessionNotFound):
            await world.do(world.auth.sessions.end, there.session_id, eve)
        with pytest.raises(SessionNotFound):
            await world.do(world.auth.sessions.end, new_id(), world.caller(here))
        await world.do(world.auth.sessions.end, there.session_id, world.caller(here))
        with pytest.raises(SessionNotFound):
            await world.do(world.auth.sessions.end, there.session_id, world.caller(here))
        with pytest.raises(RefreshRefused):
            await world.refreshes(there.refresh_token)
        await world.follow()
        with pytest.raises(Unauthenticated):
            world.caller(there)
        world.caller(here)
        assert await live(world) == [here.session_id]


async def test_all_other_devices_can_be_signed_out_at_once(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as world:
        await world.somebody()
        given = [await world.signs_in() for _ in range(4)]
        await world.do(world.auth.sessions.end_others, None, world.caller(given[2]))
        assert await live(world) == [given[2].session_id]


async def test_a_refresh_token_can_be_handed_back(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as world:
        await world.somebody()
        given = await world.signs_in()
        await world.do(world.auth.sessions.by_refresh_token, "ohr_unknown")
        await world.do(world.auth.sessions.by_refresh_token, given.refresh_token)
        with pytest.raises(RefreshRefused):
            await world.refreshes(given.refresh_token)


@pytest.mark.parametrize("sql", ["UPDATE audit SET actor = 'somebody else'", "DELETE FROM audit"])
async def test_what_was_audited_stays(place: Place, tmp_path: Path, sql: str) -> None:
    async with opened(place, tmp_path) as world:
        await world.somebody()
        before = await world.rows("SELECT * FROM audit ORDER BY id")
        assert before

        def spoil(tx: Transaction, asked: Sequence[None]) -> list[int]:
            return [tx.run(sql) for _ in asked]

        with pytest.raises(Exception, match="stays"):
            await world.auth.database.write(spoil, None)
        assert await world.rows("SELECT * FROM audit ORDER BY id") == before
        assert ADA not in str(before)
