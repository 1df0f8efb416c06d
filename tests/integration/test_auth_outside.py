"""Signing in by an outside provider, which is a second house of ours: real discovery, real keys, real tokens."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from orderhouse.auth.models import MINUTE
from orderhouse.auth.outside import OutsideProvider, Registration
from orderhouse.auth.wiring import SCHEMA
from orderhouse.runtime import migrate
from orderhouse.runtime.database.database import Place
from tests.integration.auth_world import ADA, PASSWORD, Api, code, served
from tests.integration.oauth_world import added, sent_back

pytestmark = [pytest.mark.anyio, pytest.mark.context("auth")]

THERE = "https://provider.test"
BACK = "https://house.test/back"
BEGIN = "/v1/auth/outside-sign-ins"

Change = Callable[[httpx2.Request, dict[str, Any]], Any]


class Through(httpx2.BaseTransport):
    """The way from a thread of one house to the routes of the other, on which answers can be changed."""

    def __init__(self) -> None:
        self.to: Api
        self.loop = asyncio.get_running_loop()
        self.change: Change = lambda _, told: told
        self.down = False

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if self.down:
            raise httpx2.ConnectError("refused")
        path, body = request.url.raw_path.decode(), request.read()
        kind = {"content-type": request.headers["content-type"]} if body else {}
        sending = self.to._client.request(request.method, path, content=body, headers=kind)
        answer = asyncio.run_coroutine_threadsafe(sending, self.loop).result(30)
        return httpx2.Response(answer.status_code, json=self.change(request, answer.json()))


@dataclass
class Both:
    """The house people come into, and the one that knows them."""

    house: Api
    provider: Api
    way: Through

    async def begun(self) -> dict[str, Any]:
        answer = await self.house("POST", BEGIN)
        assert answer.status_code == 201, answer.text
        begun: dict[str, Any] = answer.json()
        return begun

    async def says_yes(self, url: str) -> dict[str, str]:
        """Let Ada say who she is at the provider, as a browser does; return what she is sent back with."""
        asks = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        filled = {**asks, "email": ADA, "password": PASSWORD, "decision": "allow"}
        return sent_back(await self.provider.form("/oauth/authorization", filled), BACK)

    async def completes(self, **more: str) -> httpx2.Response:
        begun = await self.begun()
        said = await self.says_yes(begun["url"])
        back = {"ticket": begun["ticket"], "code": said["code"], "state": said["state"], **more}
        return await self.house("POST", f"{BEGIN}/completion", back)


@asynccontextmanager
async def both(place: Place, folder: Path) -> AsyncIterator[Both]:
    there, way = folder / "there", Through()
    there.mkdir()
    migrate.migrate(SCHEMA, there / "auth.sqlite3")
    async with served(there / "auth.sqlite3", there, issuer=THERE) as provider:
        way.to = provider
        await provider.world.somebody()
        client = await added(provider, redirect_uris=[BACK], confidential=True, scope=["openid", "email"])
        outside = OutsideProvider(Registration(THERE, client["id"], client["secret"], BACK), way)
        async with served(place, folder, outside=outside) as house:
            yield Both(house, provider, way)


async def test_somebody_comes_in_by_an_address_that_is_proved_on_both_sides(place: Place, tmp_path: Path) -> None:
    async with both(place, tmp_path) as two:
        person = await two.house.world.somebody()
        answer = await two.completes(device="Ada's laptop")
        assert answer.status_code == 201, answer.text
        given = answer.json()
        assert two.house.world.verifier.verify(given["access_token"]).subject == str(person.id)
        (session, *_) = (await two.house("GET", "/v1/auth/sessions", token=given["access_token"])).json()["items"]
        assert (session["device"], session["factors"]) == ("Ada's laptop", ["fed"])
        # Linked once, she comes in however her address changes.
        two.house.world.people.become(person.id, email="ada@elsewhere.example")
        assert (await two.completes()).status_code == 201
        assert len(await two.house.world.rows("SELECT * FROM links")) == 1
        assert (await two.house.world.audited()).count("linked") == 1


async def test_nobody_comes_in_by_an_address_that_was_not_proved(place: Place, tmp_path: Path) -> None:
    async with both(place, tmp_path) as two:
        assert code(await two.completes()) == (401, "outside_refused")
        person = await two.house.world.somebody()
        two.house.world.people.become(person.id, email_verified=False)
        assert code(await two.completes()) == (401, "outside_refused")
        two.house.world.people.become(person.id, email_verified=True)
        there = next(iter(two.provider.world.people.people))
        two.provider.world.people.become(there, email_verified=False)
        assert code(await two.completes()) == (401, "outside_refused")
        two.provider.world.people.become(there, email_verified=True)
        two.house.world.people.become(person.id, active=False)
        assert code(await two.completes()) == (401, "outside_refused")
        assert await two.house.world.rows("SELECT * FROM links") == []


async def test_what_comes_back_is_of_use_to_whoever_began_alone(place: Place, tmp_path: Path) -> None:
    async with both(place, tmp_path) as two:
        await two.house.world.somebody()
        mine, theirs = await two.begun(), await two.begun()
        said = await two.says_yes(theirs["url"])
        for wrong in (
            {"ticket": mine["ticket"]},
            {"ticket": mine["ticket"][:-8] + "AAAAAAA="},
            {"ticket": "é"},
            {"state": "x"},
            {"code": "x"},
        ):
            back = {"ticket": theirs["ticket"], "code": said["code"], "state": said["state"], **wrong}
            assert code(await two.house("POST", f"{BEGIN}/completion", back)) == (401, "outside_refused"), wrong
        right = {"ticket": theirs["ticket"], "code": said["code"], "state": said["state"]}
        assert (await two.house("POST", f"{BEGIN}/completion", right)).status_code == 201
        assert code(await two.house("POST", f"{BEGIN}/completion", right)) == (401, "outside_refused")


async def test_a_ticket_is_good_for_ten_minutes(place: Place, tmp_path: Path) -> None:
    async with both(place, tmp_path) as two:
        world = two.house.world
        world.later = -11 * MINUTE
        begun = await world.do(world.auth.outside_sign_ins.begin, None)
        said = await two.says_yes(begun.url)
        back = {"ticket": begun.ticket, "code": said["code"], "state": said["state"]}
        assert code(await two.house("POST", f"{BEGIN}/completion", back)) == (401, "outside_refused")


def _without(name: str) -> Change:
    return lambda _, told: {key: value for key, value in told.items() if key != name}


def _instead(name: str, value: Any) -> Change:
    return lambda _, told: {**told, name: value} if name in told else told


@pytest.mark.parametrize(
    "change",
    [
        _instead("issuer", "https://other.test"),
        _instead("keys", []),
        _without("id_token"),
        _instead("id_token", "eyJhbGciOiJub25lIn0.e30."),
        _without("jwks_uri"),
        lambda *_: ["nothing"],
    ],
)
async def test_a_provider_that_says_something_else_lets_nobody_in(place: Place, tmp_path: Path, change: Change) -> None:
    async with both(place, tmp_path) as two:
        await two.house.world.somebody()
        two.way.change = change
        answer = await two.house("POST", BEGIN)
        if answer.status_code == 201:
            said = await two.says_yes(answer.json()["url"])
            back = {"ticket": answer.json()["ticket"], "code": said["code"], "state": said["state"]}
            answer = await two.house("POST", f"{BEGIN}/completion", back)
        assert code(answer) == (401, "outside_refused")


async def test_a_provider_that_is_away_is_told_of_and_passwords_go_on(place: Place, tmp_path: Path) -> None:
    async with both(place, tmp_path) as two:
        await two.house.world.somebody()
        two.way.down = True
        refused = await two.house("POST", BEGIN)
        assert (code(refused), refused.headers["retry-after"]) == ((503, "outside_away"), "1")
        await two.house.signs_in()


async def test_where_no_provider_is_set_up_there_is_none(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        assert code(await api("POST", BEGIN)) == (404, "outside_unset")
        page = await api("GET", "/oauth/return?code=c-1&state=<s>")
        assert (page.status_code, "c-1 &lt;s&gt;" in page.text) == (200, True)
