"""OAuth 2.1 and OpenID Connect, on SQLite and on PostgreSQL, by clients as they are written elsewhere."""

import base64
from pathlib import Path
from typing import Any

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.discovery import OpenIDProviderMetadata
from joserfc import jwt
from joserfc.jwk import KeySet

from orderhouse.auth.models import SECOND
from orderhouse.auth.routes.oauth import metadata
from orderhouse.runtime.database.database import Place
from tests.integration.auth_world import ADA, code, served
from tests.integration.oauth_world import BACK, TOKEN, Visit, added, refused, sent_back

pytestmark = [pytest.mark.anyio, pytest.mark.context("auth")]

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


async def test_somebody_lets_a_client_in_which_acts_within_its_scope(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        person = await api.world.somebody()
        visit = Visit(api, await added(api))
        page = await visit.page()
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        assert "Shelf labels (client.example)" in page.text
        assert "orders:read" in page.text
        answer = await visit.answers()
        said = sent_back(answer)
        assert (answer.status_code, said["state"], said["iss"]) == (303, "s-1", "orderhouse")
        traded = await visit.trades(said["code"])
        assert (traded.status_code, traded.headers["cache-control"]) == (200, "no-store")
        given = traded.json()
        assert (given["token_type"], given["expires_in"], given["scope"]) == ("Bearer", 600, "openid email orders:read")
        who = api.world.verifier.verify(given["access_token"])
        assert (who.subject, who.may("orders:read"), who.may("orders:place")) == (str(person.id), True, False)
        keys: Any = api.keys.jwks()
        known = jwt.decode(given["id_token"], KeySet.import_key_set(keys), algorithms=["EdDSA"]).claims
        assert (known["sub"], known["aud"], known["nonce"]) == (str(person.id), visit.client["id"], "n-1")
        assert (known["email"], known["email_verified"], known["amr"], "name" in known) == (ADA, True, ["pwd"], False)
        # Who a person is, is no token to act by.
        assert (await api("GET", "/v1/auth/sessions", token=given["id_token"])).status_code == 401


async def test_a_client_goes_on_by_refresh_tokens_that_are_good_once(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        await api.world.somebody()
        visit = Visit(api, await added(api))
        given = await visit.tokens()
        form = {"grant_type": "refresh_token", "refresh_token": given["refresh_token"], "client_id": visit.client["id"]}
        again = await api.form(TOKEN, form)
        assert (again.status_code, again.json()["scope"]) == (200, "openid email orders:read")
        other = await added(api)
        foreign = {**form, "refresh_token": again.json()["refresh_token"], "client_id": other["id"]}
        assert refused(await api.form(TOKEN, foreign)) == (400, "invalid_grant")
        first_party = {"refresh_token": again.json()["refresh_token"]}
        assert code(await api("POST", "/v1/auth/tokens", first_party)) == (401, "refresh_refused")
        # Used again: the family is over, and within a second what it gave.
        assert refused(await api.form(TOKEN, form)) == (400, "invalid_grant")
        await api.world.follow()
        with pytest.raises(Exception, match="revoked"):
            api.world.verifier.verify(again.json()["access_token"])


async def test_a_client_that_keeps_a_secret_proves_itself_by_it(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        await api.world.somebody()
        client = await added(api, confidential=True)
        visit = Visit(api, client)
        assert refused(await visit.trades(await visit.code())) == (401, "invalid_client")
        wrong = await visit.trades(await visit.code(), client_secret="ohs_wrong")
        assert refused(wrong) == (401, "invalid_client")
        posted = await visit.trades(await visit.code(), client_secret=client["secret"])
        assert posted.status_code == 200
        basic = base64.b64encode(f"{client['id']}:{client['secret']}".encode()).decode()
        form = {"grant_type": "authorization_code", "code": await visit.code(), "code_verifier": visit.verifier}
        answer = await api.form(TOKEN, {**form, "redirect_uri": BACK}, authorization=f"Basic {basic}")
        assert answer.status_code == 200
        ((digest,),) = await api.world.rows("SELECT secret_digest FROM oauth_clients")
        assert client["secret"].encode() not in bytes(digest)


async def test_a_client_acts_for_itself_within_its_scope(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        client = await added(
            api, grants=["client_credentials"], redirect_uris=[], scope=["orders:read"], confidential=True
        )
        form = {"grant_type": "client_credentials", "client_id": client["id"], "client_secret": client["secret"]}
        given = (await api.form(TOKEN, form)).json()
        assert "refresh_token" not in given
        who = api.world.verifier.verify(given["access_token"])
        assert (who.subject, who.may("orders:read"), who.may("customers:read")) == (
            f"client:{client['id']}",
            True,
            False,
        )
        assert refused(await api.form(TOKEN, {**form, "scope": "orders:place"})) == (400, "invalid_scope")
        assert refused(await api.form(TOKEN, {**form, "client_secret": "x"})) == (401, "invalid_client")
        # Taken away, it is out within a second with what it was given.
        boss = api.keys.issue("boss", "owner", minutes=5)
        assert (await api("DELETE", f"/v1/auth/clients/{client['id']}", token=boss)).status_code == 204
        await api.world.follow()
        with pytest.raises(Exception, match="revoked"):
            api.world.verifier.verify(given["access_token"])
        assert refused(await api.form(TOKEN, form)) == (400, "invalid_client")


async def test_who_says_no_or_is_not_who_they_say_lets_nobody_in(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        await api.world.somebody()
        visit = Visit(api, await added(api))
        assert sent_back(await visit.answers("deny", email="", password=""))["error"] == "access_denied"
        for who in ({"password": "not this one"}, {"email": "nobody@example.com"}, {"email": "<script>"}):
            page = await visit.answers(**who)
            assert (page.status_code, "The e-mail address or the password is wrong." in page.text) == (403, True)
            assert "<script>" not in page.text
        assert await api.world.rows("SELECT * FROM oauth_codes") == []


@pytest.mark.parametrize(
    ("asks", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "users:write"}, "invalid_scope"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
    ],
)
async def test_a_client_that_asks_wrongly_is_told_where_it_wants_to_be(
    place: Place, tmp_path: Path, asks: dict[str, Any], error: str
) -> None:
    async with served(place, tmp_path) as api:
        said = sent_back(await Visit(api, await added(api), **asks).page())
        assert (said["error"], said["state"], said["iss"]) == (error, "s-1", "orderhouse")


@pytest.mark.parametrize(
    "asks",
    [
        {"client_id": "nobody"},
        {"client_id": None},
        {"client_id": 'a"b\\'},
        {"redirect_uri": "https://thief.example/callback"},
        {"redirect_uri": f"{BACK}/more"},
        {"redirect_uri": f"{BACK}?a=b"},
        {"redirect_uri": "https://client.example.thief.example/callback"},
        {"redirect_uri": 'javascript:alert("x")'},
    ],
)
async def test_nobody_is_sent_where_the_client_did_not_say(place: Place, tmp_path: Path, asks: dict[str, Any]) -> None:
    async with served(place, tmp_path) as api:
        answer = await Visit(api, await added(api), **asks).page()
        assert code(answer) == (422, "authorization_wrong")
        assert "location" not in answer.headers


async def test_on_this_machine_any_port_will_do(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        await api.world.somebody()
        client = await added(api, redirect_uris=["http://127.0.0.1/back", "http://[::1]:80/back"])
        for good in ("http://127.0.0.1:51234/back", "http://127.0.0.1/back", "http://[::1]:4711/back"):
            assert (await Visit(api, client, redirect_uri=good).page()).status_code == 200
        for bad in (
            "http://127.0.0.1:51234/other",
            "http://127.0.0.2:1/back",
            "http://localhost:1/back",
            "http://127.0.0.1:x/back",
        ):
            assert (await Visit(api, client, redirect_uri=bad).page()).status_code == 422


@pytest.mark.parametrize(
    "wrong",
    [
        {"redirect_uris": []},
        {"redirect_uris": ["http://client.example/back"]},
        {"redirect_uris": ["https://client.example/back#part"]},
        {"redirect_uris": ["https://user@client.example/"]},
        {"redirect_uris": ["javascript:alert(1)"]},
        {"redirect_uris": ["http://127.0.0.1.thief.example/"]},
        {"grants": ["client_credentials"]},
    ],
)
async def test_there_are_clients_that_cannot_be(place: Place, tmp_path: Path, wrong: dict[str, Any]) -> None:
    async with served(place, tmp_path) as api:
        wanted = {"name": "x", "grants": ["authorization_code"], "redirect_uris": [BACK], "scope": ["openid"], **wrong}
        boss = api.keys.issue("boss", "owner", minutes=5)
        assert code(await api("POST", "/v1/auth/clients", wanted, token=boss)) == (422, "client_wrong")
        wide = {**wanted, "grants": ["authorization_code"], "redirect_uris": [BACK], "scope": ["users:identify"]}
        assert code(await api("POST", "/v1/auth/clients", wide, token=boss)) == (403, "scope_too_wide")
        assert (await api("GET", "/v1/auth/clients", token=boss)).json() == {"items": []}


async def test_a_device_is_let_in_from_elsewhere(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        person = await api.world.somebody()
        begun = (await api.form("/oauth/device-authorization", {"client_id": "orderhouse-login"})).json()
        assert begun["verification_uri_complete"].endswith(f"?user_code={begun['user_code']}")
        polls = {"grant_type": DEVICE_GRANT, "client_id": "orderhouse-login", "device_code": begun["device_code"]}
        assert refused(await api.form(TOKEN, polls)) == (400, "authorization_pending")
        assert refused(await api.form(TOKEN, polls)) == (400, "slow_down")
        who = {"email": ADA, "password": "correct horse battery staple", "decision": "allow"}
        # As people type it.
        typed = begun["user_code"].lower().replace("-", " ")
        answer = await api.form("/oauth/device", {**who, "user_code": typed})
        assert (answer.status_code, "The device is in." in answer.text) == (200, True)
        assert (await api.form("/oauth/device", {**who, "user_code": typed})).status_code == 403
        given = (await api.form(TOKEN, polls)).json()
        known = api.world.verifier.verify(given["access_token"])
        assert (known.subject, known.may("account:use")) == (str(person.id), True)
        assert refused(await api.form(TOKEN, polls)) == (400, "invalid_request")
        form = {"grant_type": "refresh_token", "refresh_token": given["refresh_token"], "client_id": "orderhouse-login"}
        assert (await api.form(TOKEN, form)).status_code == 200


async def test_a_device_that_is_kept_out_or_waits_too_long_stays_out(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        await api.world.somebody()
        begun = (await api.form("/oauth/device-authorization", {"client_id": "orderhouse-login"})).json()
        who = {"email": ADA, "password": "correct horse battery staple", "user_code": begun["user_code"]}
        assert (await api.form("/oauth/device", {**who, "password": "not this one"})).status_code == 403
        assert "stays out" in (await api.form("/oauth/device", {**who, "decision": "deny"})).text
        polls = {"grant_type": DEVICE_GRANT, "client_id": "orderhouse-login", "device_code": begun["device_code"]}
        assert refused(await api.form(TOKEN, polls)) == (400, "access_denied")
        late = (await api.form("/oauth/device-authorization", {"client_id": "orderhouse-login"})).json()
        await api.world.rows_written(f"UPDATE oauth_device_codes SET expires_at = expires_at - {700 * SECOND}")
        assert refused(await api.form(TOKEN, {**polls, "device_code": late["device_code"]})) == (400, "expired_token")
        assert (await api.form("/oauth/device", {**who, "user_code": late["user_code"]})).status_code == 403
        for nobody in ("nobody", (await added(api))["id"]):
            answer = await api.form("/oauth/device-authorization", {"client_id": nobody})
            assert answer.status_code == 400


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": "password", "username": ADA, "password": "x"}, "unsupported_grant_type"),
        ({"grant_type": 'a"b\\'}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code"}, "invalid_client"),
        ({"grant_type": "authorization_code", "client_id": "é"}, "invalid_request"),
        ({"grant_type": "refresh_token", "client_id": "orderhouse-login"}, "invalid_request"),
        ({"grant_type": "refresh_token", "client_id": "orderhouse-login", "refresh_token": "x"}, "invalid_grant"),
        ({"grant_type": DEVICE_GRANT, "client_id": "orderhouse-login", "device_code": "x"}, "invalid_request"),
        ({"grant_type": "client_credentials", "client_id": "orderhouse-login"}, "invalid_client"),
    ],
)
async def test_what_is_no_grant_is_refused_as_clients_know_it(
    place: Place, tmp_path: Path, form: dict[str, str], error: str
) -> None:
    async with served(place, tmp_path) as api:
        assert refused(await api.form(TOKEN, form))[1] == error


def test_what_is_told_of_the_house_is_what_the_standards_want() -> None:
    told = metadata("https://orderhouse.test")
    AuthorizationServerMetadata(told).validate()
    # The one thing that is not: OpenID Connect wants RS256 too, which has nothing over EdDSA but its age.
    OpenIDProviderMetadata({**told, "id_token_signing_alg_values_supported": ["EdDSA", "RS256"]}).validate()


async def test_the_house_tells_what_there_is_and_where(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        for name in ("oauth-authorization-server", "openid-configuration"):
            answer = await api("GET", f"/.well-known/{name}")
            assert (answer.status_code, answer.json()) == (200, metadata("orderhouse"))
        for name, where in metadata("").items():
            if name.endswith("_endpoint") or name == "jwks_uri":
                assert (await api("DELETE", where)).status_code == 405, name
