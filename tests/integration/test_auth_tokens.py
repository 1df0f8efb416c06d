"""Tokens looked at and given up, on SQLite and on PostgreSQL: RFC 7662 and RFC 7009."""

from pathlib import Path
from typing import Any

import httpx2
import pytest

from orderhouse.runtime.database.database import Place
from tests.integration.auth_world import Api, served

pytestmark = [pytest.mark.anyio, pytest.mark.context("auth")]


async def told(api: Api, token: str, **more: str) -> dict[str, Any]:
    """Return what a service is told of a token."""
    answer = await sent(
        api, "/oauth/introspection", {"token": token, **more}, api.keys.issue("s", "service", minutes=5)
    )
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "private, no-cache")
    found: dict[str, Any] = answer.json()
    return found


async def sent(api: Api, path: str, form: dict[str, str], token: str | None = None) -> httpx2.Response:
    return await api.form(path, form, token=token)


async def test_a_token_is_told_of_as_long_as_it_is_good(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        person = await api.world.somebody()
        given = await api.signs_in()
        access = await told(api, given["access_token"], token_type_hint="refresh_token")
        assert (access["active"], access["sub"], access["client_id"], access["sid"], access["role"]) == (
            True,
            str(person.id),
            "orderhouse",
            given["session_id"],
            "clerk",
        )
        assert access["exp"] - access["iat"] == 600
        refresh = await told(api, given["refresh_token"])
        assert (refresh["active"], refresh["sub"], refresh["sid"]) == (True, str(person.id), given["session_id"])
        # Used up, it is good for nothing, and looking at it is no use of it.
        again = (await api("POST", "/v1/auth/tokens", {"refresh_token": given["refresh_token"]})).json()
        assert await told(api, given["refresh_token"]) == {"active": False}
        assert (await told(api, again["refresh_token"]))["active"]
        for nothing in ("", "x", given["access_token"][:-4] + "AAAA", "ohr_nothing"):
            if nothing:
                assert await told(api, nothing) == {"active": False}


async def test_what_was_signed_out_is_told_of_at_once(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        await api.world.somebody()
        given = await api.signs_in()
        assert (await told(api, given["access_token"]))["active"]
        assert (await api("DELETE", "/v1/auth/session", token=given["access_token"])).status_code == 204
        for token in (given["access_token"], given["refresh_token"]):
            assert await told(api, token) == {"active": False}


async def test_nobody_but_a_neighbour_looks_at_tokens(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        await api.world.somebody()
        given = await api.signs_in()
        form = {"token": given["access_token"]}
        assert (await sent(api, "/oauth/introspection", form)).status_code == 401
        assert (await sent(api, "/oauth/introspection", form, given["access_token"])).status_code == 403


async def test_a_refresh_token_given_up_takes_its_session_along(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        await api.world.somebody()
        given, other = await api.signs_in(), await api.signs_in()
        assert (await sent(api, "/oauth/revocation", {"token": given["refresh_token"]})).status_code == 200
        for token in (given["access_token"], given["refresh_token"]):
            assert await told(api, token) == {"active": False}
        refused = await api("POST", "/v1/auth/tokens", {"refresh_token": given["refresh_token"]})
        assert refused.status_code == 401
        assert (await told(api, other["access_token"]))["active"]


async def test_an_access_token_given_up_goes_alone(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        await api.world.somebody()
        given = await api.signs_in()
        answer = await sent(api, "/oauth/revocation", {"token": given["access_token"], "token_type_hint": "nonsense"})
        assert (answer.status_code, answer.content) == (200, b"{}")
        assert await told(api, given["access_token"]) == {"active": False}
        await api.world.follow()
        assert (await api("GET", "/v1/auth/sessions", token=given["access_token"])).status_code == 401
        refreshed = await api("POST", "/v1/auth/tokens", {"refresh_token": given["refresh_token"]})
        assert refreshed.status_code == 201
        assert "token_revoked" in await api.world.audited()


async def test_what_is_no_token_is_given_up_like_any_other(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        for token in ("x", "ohr_nothing", "a b"):
            assert (await sent(api, "/oauth/revocation", {"token": token})).status_code == 200
        for form in ({}, {"token": ""}, {"token": "é"}, {"token": "x" * 5000}):
            answer = await sent(api, "/oauth/revocation", {**form, "a": "b"})
            assert answer.status_code == 422
        assert await api.world.rows("SELECT * FROM revocations") == []
