"""Auth over HTTP, on SQLite and on PostgreSQL: what a caller sends and hears."""

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import pyotp
import pytest

from orderhouse.kernel import clock
from orderhouse.kernel.ids import new_id
from orderhouse.runtime.database.database import Place
from tests.integration.auth_world import ADA, PASSWORD, code, served

pytestmark = [pytest.mark.anyio, pytest.mark.context("auth")]

GRACE = {"email": "grace@example.com", "name": "Grace", "password": PASSWORD}
NEW = "another horse, another battery"


def told(answer: httpx2.Response) -> dict[str, Any]:
    """Return what an answer says that is not of this very request."""
    return {name: value for name, value in answer.json().items() if name != "request_id"}


async def test_somebody_registers_verifies_comes_in_and_goes_out(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        answer = await api("POST", "/v1/auth/registrations", GRACE)
        assert (answer.status_code, answer.json()) == (202, {"message": "Look into your mail."})
        wanted = {"token": api.world.letters.token(), "password": PASSWORD}
        assert (await api("POST", "/v1/auth/verifications", wanted)).status_code == 204
        given = await api.signs_in("grace@example.com", device="Grace's phone")
        assert given["token_type"] == "Bearer"
        assert given["expires_in"] == 600
        sessions = (await api("GET", "/v1/auth/sessions", token=given["access_token"])).json()["items"]
        (session,) = sessions
        assert (session["device"], session["address"], session["current"], session["factors"]) == (
            "Grace's phone",
            "192.0.2.7",
            True,
            ["pwd"],
        )
        assert (await api("DELETE", "/v1/auth/session", token=given["access_token"])).status_code == 204
        await api.world.follow()
        assert code(await api("GET", "/v1/auth/sessions", token=given["access_token"])) == (401, "unauthenticated")
        refresh = {"refresh_token": given["refresh_token"]}
        assert code(await api("POST", "/v1/auth/tokens", refresh)) == (401, "refresh_refused")


async def test_what_holds_a_secret_is_kept_by_no_cache(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        await api.world.somebody()
        signed_in = await api("POST", "/v1/auth/sessions", {"email": ADA, "password": PASSWORD})
        refreshed = await api("POST", "/v1/auth/tokens", {"refresh_token": signed_in.json()["refresh_token"]})
        for answer in (signed_in, refreshed):
            assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")


async def test_the_known_and_the_unknown_hear_the_same(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        await api.world.somebody()
        known = await api("POST", "/v1/auth/sessions", {"email": ADA, "password": NEW})
        unknown = await api("POST", "/v1/auth/sessions", {"email": "nobody@example.com", "password": NEW})
        assert code(known) == (401, "sign_in_refused")
        assert told(known) == told(unknown)
        for path, body in (
            ("/v1/auth/registrations", {"name": "Ada", "password": PASSWORD}),
            ("/v1/auth/password-resets", {}),
        ):
            known = await api("POST", path, {"email": ADA, **body})
            unknown = await api("POST", path, {"email": "nobody@example.com", **body})
            assert (known.status_code, known.content) == (unknown.status_code, unknown.content)
            assert known.status_code == 202


async def test_a_refresh_token_is_good_once_except_for_a_retry(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        await api.world.somebody()
        refresh = {"refresh_token": (await api.signs_in())["refresh_token"]}
        first = await api("POST", "/v1/auth/tokens", refresh, idempotency_key="retry-1")
        again = await api("POST", "/v1/auth/tokens", refresh, idempotency_key='"retry-1"')
        assert first.json()["refresh_token"] == again.json()["refresh_token"]
        assert code(await api("POST", "/v1/auth/tokens", refresh, idempotency_key="")) == (
            400,
            "idempotency_key_invalid",
        )
        assert code(await api("POST", "/v1/auth/tokens", refresh)) == (401, "refresh_refused")
        successor = {"refresh_token": first.json()["refresh_token"]}
        assert code(await api("POST", "/v1/auth/tokens", successor)) == (401, "refresh_refused")


async def test_a_password_is_changed_and_set_by_mail(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        await api.world.somebody()
        token = (await api.signs_in())["access_token"]
        wrong = {"password": "not this one", "new_password": NEW}
        assert code(await api("PUT", "/v1/auth/password", wrong, token=token)) == (422, "password_wrong")
        weak = {"password": PASSWORD, "new_password": "password123"}
        assert code(await api("PUT", "/v1/auth/password", weak, token=token)) == (422, "password_too_weak")
        right = {"password": PASSWORD, "new_password": NEW}
        assert (await api("PUT", "/v1/auth/password", right, token=token)).status_code == 204
        await api.signs_in(password=NEW)
        assert (await api("POST", "/v1/auth/password-resets", {"email": ADA})).status_code == 202
        completion = {"token": api.world.letters.token(), "new_password": PASSWORD}
        assert (await api("POST", "/v1/auth/password-resets/completion", completion)).status_code == 204
        answer = await api("POST", "/v1/auth/password-resets/completion", completion)
        assert code(answer) == (422, "mailed_token_invalid")
        await api.signs_in()


async def test_a_second_factor_is_set_up_used_and_removed(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        await api.world.somebody()
        token = (await api.signs_in())["access_token"]
        path = "/v1/auth/second-factor"
        assert (await api("GET", path, token=token)).json() == {"on": False, "codes_left": 0}
        offered = (await api("POST", path, token=token)).json()
        assert "ada%40example.com" in offered["uri"]
        wrong = await api("POST", f"{path}/confirmation", {"code": "000000"}, token=token)
        assert code(wrong) == (422, "code_wrong")
        right = {"code": pyotp.TOTP(offered["secret"]).at(clock.now() // 1_000_000)}
        codes = (await api("POST", f"{path}/confirmation", right, token=token)).json()["codes"]
        assert (await api("GET", path, token=token)).json() == {"on": True, "codes_left": 10}
        credentials = {"email": ADA, "password": PASSWORD}
        assert code(await api("POST", "/v1/auth/sessions", credentials)) == (401, "second_factor_needed")
        assert (await api("POST", "/v1/auth/sessions", {**credentials, "code": codes[0]})).status_code == 201
        assert (await api("POST", f"{path}/removal", {"code": codes[1]}, token=token)).status_code == 204
        assert (await api("POST", "/v1/auth/sessions", credentials)).status_code == 201


async def test_codes_are_not_guessed_by_whoever_has_a_token(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        await api.world.somebody()
        token = (await api.signs_in())["access_token"]
        await api("POST", "/v1/auth/second-factor", token=token)
        guesses = [
            await api("POST", "/v1/auth/second-factor/confirmation", {"code": f"{n:06}"}, token=token)
            for n in range(25)
        ]
        assert {answer.status_code for answer in guesses[:20]} == {422}
        assert {code(answer) for answer in guesses[20:]} == {(429, "too_many_attempts")}
        assert int(guesses[-1].headers["retry-after"]) > 0


async def test_one_signs_out_on_ones_own_devices_only(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        await api.world.somebody()
        await api.world.somebody("eve@example.com")
        ada, eve = await api.signs_in(), await api.signs_in("eve@example.com")
        path = f"/v1/auth/sessions/{ada['session_id']}"
        assert code(await api("DELETE", path, token=eve["access_token"])) == (404, "session_not_found")
        other = await api.signs_in()
        assert (await api("DELETE", path, token=other["access_token"])).status_code == 204
        assert (await api("DELETE", "/v1/auth/sessions", token=other["access_token"])).status_code == 204
        listed = (await api("GET", "/v1/auth/sessions", token=other["access_token"])).json()["items"]
        assert [one["id"] for one in listed] == [other["session_id"]]


async def test_an_operators_token_has_no_sessions(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        operator = api.keys.issue("operator", "owner", minutes=5)
        assert code(await api("GET", "/v1/auth/sessions", token=operator)) == (403, "not_a_person")
        assert code(await api("DELETE", "/v1/auth/session", token=operator)) == (404, "session_not_found")
        machine = api.keys.issue(str(new_id()), "service", minutes=5)
        assert code(await api("GET", "/v1/auth/sessions", token=machine)) == (403, "permission_missing")


async def test_neighbours_are_told_what_was_revoked_and_nobody_else(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        await api.world.somebody()
        given = await api.signs_in()
        await api("DELETE", "/v1/auth/session", token=given["access_token"])
        service = api.keys.issue("orders", "service", minutes=5)
        items = (await api("GET", "/v1/auth/revocations", token=service)).json()["items"]
        assert (items[-1]["kind"], items[-1]["of"]) == ("session", given["session_id"])
        owner = api.keys.issue("boss", "owner", minutes=5)
        assert code(await api("GET", "/v1/auth/revocations", token=owner)) == (403, "permission_missing")


async def test_more_than_can_be_hashed_are_told_to_come_back_and_the_rest_goes_on(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path, memory_kib=4096, passes=4, at_once=1, waiting=1) as api:
        await api.world.somebody()
        token = (await api.signs_in())["access_token"]
        flood = [
            asyncio.create_task(api("POST", "/v1/auth/sessions", {"email": f"n{n}@example.com", "password": NEW}))
            for n in range(40)
        ]
        listed = await api("GET", "/v1/auth/sessions", token=token)
        assert listed.status_code == 200
        answers = [await one for one in flood]
        assert {code(answer) for answer in answers} == {(401, "sign_in_refused"), (503, "passwords_busy")}
        assert all(int(answer.headers["retry-after"]) > 0 for answer in answers if answer.status_code == 503)


async def test_while_users_is_away_nobody_comes_in_and_all_is_said(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        await api.world.somebody()
        given = await api.signs_in()
        api.world.people.down = True
        refused = await api("POST", "/v1/auth/sessions", {"email": ADA, "password": PASSWORD})
        assert code(refused) == (503, "unavailable")
        assert int(refused.headers["retry-after"]) > 0
        assert (await api("POST", "/v1/auth/tokens", {"refresh_token": given["refresh_token"]})).status_code == 503
        assert (await api("GET", "/v1/auth/sessions", token=given["access_token"])).status_code == 200
        api.world.people.down = False
        assert (await api("POST", "/v1/auth/tokens", {"refresh_token": given["refresh_token"]})).status_code == 201


@pytest.mark.parametrize("password", ["π" * 512, "\U0001f600" * 12 + "abcdef", "  spaces around  "])
async def test_a_password_is_taken_as_it_is_typed(place: Place, tmp_path: Path, password: str) -> None:
    async with served(place, tmp_path) as api:
        wanted = {**GRACE, "password": f"{password[:500]}Aq7!xyz"}
        assert (await api("POST", "/v1/auth/registrations", wanted)).status_code == 202
        await api.signs_in("grace@example.com", wanted["password"])
        wrong = {"email": "grace@example.com", "password": wanted["password"].strip()[:-1]}
        assert code(await api("POST", "/v1/auth/sessions", wrong)) == (401, "sign_in_refused")
