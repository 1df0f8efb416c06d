"""API keys, on SQLite and on PostgreSQL."""

from pathlib import Path
from typing import Any

import pytest

from orderhouse.auth.errors import ApiKeyRefused
from orderhouse.auth.models import DAY
from orderhouse.runtime.database.database import Place
from tests.integration.auth_world import Api, code, served

pytestmark = [pytest.mark.anyio, pytest.mark.context("auth")]

KEYS, TOKENS = "/v1/auth/api-keys", "/v1/auth/api-key-tokens"


async def made(api: Api, token: str, **more: Any) -> dict[str, Any]:
    answer = await api("POST", KEYS, {"name": "Till 3", "scope": ["orders:place", "orders:read"], **more}, token=token)
    assert answer.status_code == 201, answer.text
    key: dict[str, Any] = answer.json()
    return key


async def test_a_machine_comes_in_within_its_scope(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        person = await api.world.somebody()
        token = (await api.signs_in())["access_token"]
        key = await made(api, token)
        assert key["key"].startswith(key["prefix"])
        assert (key["used_at"], key["expires_at"], key["scope"]) == (None, None, ["orders:place", "orders:read"])
        answer = await api("POST", TOKENS, {"api_key": key["key"]})
        given = answer.json()
        assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
        assert (given["token_type"], given["expires_in"], given["scope"]) == ("Bearer", 600, "orders:place orders:read")
        who = api.world.verifier.verify(given["access_token"])
        assert (who.subject, who.role) == (str(person.id), "clerk")
        assert who.may("orders:place")
        assert not who.may("customers:write")
        (shown,) = (await api("GET", KEYS, token=token)).json()["items"]
        assert (shown["prefix"], shown["used_at"] is not None, "key" in shown) == (key["prefix"], True, False)
        ((digest,),) = await api.world.rows("SELECT digest FROM api_keys")
        assert key["key"].encode() not in bytes(digest)
        assert [one for one in await api.world.audited() if "key" in one] == ["api_key_added", "api_key_used"]


async def test_a_key_gives_no_more_than_its_owner_has_now(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        person = await api.world.somebody(role="manager")
        token = (await api.signs_in())["access_token"]
        key = (await made(api, token, scope=["analytics:read"]))["key"]
        api.world.people.become(person.id, role="clerk")
        given = (await api("POST", TOKENS, {"api_key": key})).json()
        assert not api.world.verifier.verify(given["access_token"]).may("analytics:read")
        api.world.people.become(person.id, active=False)
        assert code(await api("POST", TOKENS, {"api_key": key})) == (401, "api_key_refused")


@pytest.mark.parametrize("scope", [["users:write"], ["orders:read", "account:use"], ["auth:follow"]])
async def test_nobody_gives_what_they_have_not(place: Place, tmp_path: Path, scope: list[str]) -> None:
    async with served(place, tmp_path) as api:
        await api.world.somebody()
        token = (await api.signs_in())["access_token"]
        refused = await api("POST", KEYS, {"name": "x", "scope": scope}, token=token)
        assert code(refused) == (403, "scope_too_wide")
        assert refused.json()["detail"] == scope[-1]
        for wrong in ([], ["nothing:known"]):
            assert (await api("POST", KEYS, {"name": "x", "scope": wrong}, token=token)).status_code == 422
        assert await api.world.rows("SELECT * FROM api_keys") == []


async def test_a_machine_makes_no_keys_and_touches_no_account(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        await api.world.somebody()
        key = await made(api, (await api.signs_in())["access_token"])
        token = (await api("POST", TOKENS, {"api_key": key["key"]})).json()["access_token"]
        for method, path in (("POST", KEYS), ("GET", "/v1/auth/sessions"), ("DELETE", "/v1/auth/sessions")):
            assert code(await api(method, path, token=token)) == (403, "permission_missing")


async def test_a_key_that_is_ended_is_out_with_all_that_was_given_for_it(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        await api.world.somebody()
        await api.world.somebody("grace@example.com")
        token = (await api.signs_in())["access_token"]
        stranger = (await api.signs_in("grace@example.com"))["access_token"]
        key = await made(api, token)
        given = (await api("POST", TOKENS, {"api_key": key["key"]})).json()["access_token"]
        assert code(await api("DELETE", f"{KEYS}/{key['id']}", token=stranger)) == (404, "api_key_not_found")
        assert (await api("DELETE", f"{KEYS}/{key['id']}", token=token)).status_code == 204
        assert code(await api("DELETE", f"{KEYS}/{key['id']}", token=token)) == (404, "api_key_not_found")
        await api.world.follow()
        assert (await api("GET", "/v1/auth/sessions", token=given)).status_code == 401
        assert code(await api("POST", TOKENS, {"api_key": key["key"]})) == (401, "api_key_refused")
        assert (await api("GET", KEYS, token=token)).json() == {"items": []}


async def test_a_key_ends_by_itself_and_what_is_none_lets_nobody_in(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        await api.world.somebody()
        key = await made(api, (await api.signs_in())["access_token"], expires_in_days=1)
        use = api.world.auth.api_keys.use
        assert (await api.world.do(use, key["key"]))[1] == "orders:place orders:read"
        api.world.later = DAY
        with pytest.raises(ApiKeyRefused):
            await api.world.do(use, key["key"])
        for wrong in ("x", key["prefix"], key["key"][:-1], key["key"] + "A"):
            assert code(await api("POST", TOKENS, {"api_key": wrong})) == (401, "api_key_refused")


async def test_without_users_no_machine_comes_in(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        await api.world.somebody()
        key = await made(api, (await api.signs_in())["access_token"])
        api.world.people.down = True
        refused = await api("POST", TOKENS, {"api_key": key["key"]})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
