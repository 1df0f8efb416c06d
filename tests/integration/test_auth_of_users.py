"""What auth does at the facts of users, on SQLite and on PostgreSQL."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import UUID

import orjson
import pytest

from orderhouse.auth.errors import RefreshRefused, SignInRefused
from orderhouse.auth.readers import follow_users
from orderhouse.kernel import clock
from orderhouse.kernel.errors import Unauthenticated
from orderhouse.kernel.events import Fact, Origin
from orderhouse.kernel.ids import new_id
from orderhouse.runtime.database.database import Place
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.users import contract as users
from tests.integration.auth_world import World, opened

pytestmark = [pytest.mark.anyio, pytest.mark.context("auth")]

NOTHING: Mapping[str, object] = {}


async def told(world: World, kind: type[users.UsersFact], whom: UUID, data: Mapping[str, object] = NOTHING) -> None:
    """Let auth hear of something that happened in users."""
    fact = Fact(1, new_id(), kind.name, 1, whom, 1, data, clock.now(), Origin("boss", "request-9"))

    def followed(tx: Transaction, asked: Sequence[Sequence[Fact]]) -> Sequence[Sequence[Fact]]:
        for facts in asked:
            follow_users(tx, facts)
        return asked

    await world.auth.database.write(followed, [fact])
    await world.follow()


def role(name: str) -> Mapping[str, object]:
    return {"role": name, "customer_id": None}


async def test_whoever_is_deactivated_is_out_at_once(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as world:
        ada = await world.somebody()
        given = await world.signs_in()
        await told(world, users.UserDeactivated, ada.id)
        with pytest.raises(Unauthenticated):
            world.caller(given)
        with pytest.raises(RefreshRefused):
            await world.refreshes(given.refresh_token)


async def test_whoever_has_another_role_is_asked_to_refresh_and_has_it_then(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as world:
        ada = await world.somebody(role="manager")
        given = await world.signs_in()
        world.people.become(ada.id, role="clerk")
        await told(world, users.UserRoleChanged, ada.id, role("clerk"))
        with pytest.raises(Unauthenticated):
            world.caller(given)
        fresh = await world.refreshes(given.refresh_token)
        assert world.caller(fresh).role == "clerk"
        # Whoever comes in after the change is not meant, though the news of it come later.
        late = await world.signs_in()
        assert world.caller(late).role == "clerk"


async def test_of_whoever_is_erased_nothing_is_left_to_come_in_with(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as world:
        ada = await world.somebody()
        await world.signs_in()
        await told(world, users.UserErased, ada.id)
        assert await world.rows("SELECT * FROM credentials") == []
        with pytest.raises(SignInRefused):
            await world.signs_in()


async def test_role_changes_are_audited_with_before_and_after_and_by_whom(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as world:
        whom = new_id()
        await told(world, users.UserJoined, whom, role("clerk"))
        await told(world, users.UserRoleChanged, whom, role("manager"))
        await told(world, users.RoleChanged, new_id(), {"permissions": ["orders:read"], "before": ["orders:change"]})
        await told(world, users.TeamJoined, new_id(), {"user_id": str(whom)})
        rows = await world.rows("SELECT action, actor, request_id, before, after, user_id FROM audit ORDER BY id")
        assert [row[0] for row in rows] == ["user_joined", "role_changed", "role_redefined", "team_joined"]
        changed = rows[1]
        assert (changed[1], changed[2]) == ("boss", "request-9")
        assert orjson.loads(changed[3]) == {"role": "clerk"}
        assert orjson.loads(changed[4])["role"] == "manager"
        assert (orjson.loads(rows[2][3]), orjson.loads(rows[2][4])["permissions"]) == (
            {"permissions": ["orders:change"]},
            ["orders:read"],
        )
        assert rows[2][5] is None
        assert rows[3][5] is not None


async def test_what_expired_is_forgotten_and_nothing_else(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as world:
        await world.somebody()
        given = await world.signs_in()
        with pytest.raises(SignInRefused):
            await world.signs_in(password="wrong, wrong, wrong")
        await world.auth.forget()
        await world.refreshes(given.refresh_token)
        assert await world.rows("SELECT 1 FROM attempts")
        await world.rows_written("UPDATE sessions SET expires_at = 0")
        await world.rows_written("UPDATE attempts SET until = 0")
        await world.auth.forget()
        for table in ("sessions", "refresh_tokens", "attempts"):
            assert await world.rows(f"SELECT 1 FROM {table}") == []
        assert await world.rows("SELECT 1 FROM audit")
