"""Bar 25, second half: a code used again, sent elsewhere, without its verifier or by another client gives nothing."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from orderhouse.auth.routes.provider import CodeGrant, Pkce
from orderhouse.auth.service.grants import GrantService
from orderhouse.auth.wiring import SCHEMA
from orderhouse.runtime import migrate
from orderhouse.runtime.database.database import Place
from tests.bars.counts import count
from tests.integration.auth_world import served
from tests.integration.oauth_world import Visit, added

pytestmark = [pytest.mark.anyio, pytest.mark.context("auth"), pytest.mark.timeout(600)]


@pytest.fixture
def small(tmp_path: Path) -> Place:
    """One that is enough for a defect to be seen."""
    where = tmp_path / "auth.sqlite3"
    migrate.migrate(SCHEMA, where)
    return where


async def accepted(place: Place, folder: Path) -> list[str]:
    """Try what must not be accepted; return what was."""
    tampered: dict[str, dict[str, Any]] = {
        "without a verifier": {"code_verifier": None},
        "another verifier": {"code_verifier": "x" * 60},
        "the challenge as verifier": {"code_verifier": "challenge"},
        "a foreign client": {"client_id": "foreign"},
        "no client": {"client_id": None},
        "another redirect": {"redirect_uri": "https://client.example/other"},
        "no redirect": {"redirect_uri": None},
    }
    careless: dict[str, dict[str, Any]] = {
        "no challenge": {"code_challenge": None, "code_challenge_method": None},
        "plain": {"code_challenge_method": "plain", "code_challenge": "x" * 60},
        "a method left out": {"code_challenge_method": None},
    }
    found = []
    async with served(place, folder) as api:
        await api.world.somebody()
        client, foreign = await added(api), await added(api)
        for _ in range(count(1, 20)):
            for name, more in tampered.items():
                visit = Visit(api, client)
                theirs = {"challenge": visit.asks["code_challenge"], "foreign": foreign["id"]}
                more = {what: theirs.get(value, value) for what, value in more.items()}
                if (await visit.trades(await visit.code(), **more)).status_code == 200:
                    found.append(name)
            for name, asks in careless.items():
                visit = Visit(api, client, **asks)
                if (await visit.page()).status_code == 200:
                    found.append(name)
            visit = Visit(api, client)
            code = await visit.code()
            racing = await asyncio.gather(*(visit.trades(code) for _ in range(10)))
            given = [answer.json() for answer in racing if answer.status_code == 200]
            if len(given) != 1:
                found.append(f"a code {len(given)} times")
            await api.world.follow()
            if given and (await api("GET", "/v1/auth/sessions", token=given[0]["access_token"])).status_code != 401:
                found.append("what came of a code that was used again")
    return found


async def test_bar_25_a_code_is_good_for_one_trade_by_whom_it_was_given_to(place: Place, tmp_path: Path) -> None:
    assert await accepted(place, tmp_path) == []


async def test_bar_25_control_a_verifier_that_is_not_looked_at_is_caught(
    small: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pkce, "validate_code_verifier", lambda *_: None)
    assert set(await accepted(small, tmp_path)) == {
        "without a verifier",
        "another verifier",
        "the challenge as verifier",
    }


async def test_bar_25_control_a_redirect_that_is_not_looked_at_is_caught(
    small: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_before = CodeGrant.query_authorization_code

    def careless(self: CodeGrant, code: str, client: object) -> object:
        found = asked_before(self, code, client)  # type: ignore[arg-type]
        if found is not None:
            found.row = found.row._replace(redirect_said=False)
        return found

    monkeypatch.setattr(CodeGrant, "query_authorization_code", careless)
    assert set(await accepted(small, tmp_path)) == {"another redirect", "no redirect"}


async def test_bar_25_control_a_code_that_ends_nothing_is_caught(
    small: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GrantService, "_end_of", lambda *_: None)
    assert await accepted(small, tmp_path)
