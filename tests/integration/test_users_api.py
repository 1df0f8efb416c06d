"""Users over HTTP, on both databases: what may be done, and what is refused and leaves nothing."""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from orderhouse.kernel import clock
from orderhouse.kernel.ids import new_id
from orderhouse.kernel.principal import permissions_of
from orderhouse.runtime.database.database import Place
from orderhouse.users.models import LINK_GOOD_FOR
from tests.integration.users_world import Api, code, facts_of, served, together, told

pytestmark = [pytest.mark.anyio, pytest.mark.context("users")]

ADA = {"email": "Ada@Example.com", "name": "Ada Lovelace", "role": "clerk"}


@pytest.fixture
async def api(place: Place, tmp_path: Path) -> AsyncIterator[Api]:
    async with served(place, tmp_path) as running:
        yield running


def match(thing: dict[str, Any]) -> dict[str, str]:
    return {"If-Match": f'"{thing["version"]}"'}


# Users


async def test_a_user_is_added_and_told_as_a_resource(api: Api) -> None:
    answer = await api("POST", "/v1/users", ADA)
    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/users/{made['id']}"
    assert answer.headers["etag"] == '"1"'
    assert (made["email"], made["status"], made["role"], made["email_verified"]) == (
        "Ada@Example.com",
        "active",
        "clerk",
        False,
    )
    got = await api("GET", answer.headers["location"], role="clerk")
    assert got.json() == made | {"links": {k: v for k, v in made["links"].items() if k != "deactivation"}}
    assert (await api("GET", made["links"]["self"], headers={"If-None-Match": '"1"'})).status_code == 304
    assert await facts_of(api.users.database) == ["UserJoined"]


async def test_the_same_request_hears_the_same_answer_and_adds_nobody(api: Api) -> None:
    first, second = [await api("POST", "/v1/users", ADA, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert first.content == second.content
    assert second.headers["idempotency-replayed"] == "true"
    other = await api("POST", "/v1/users", ADA | {"name": "Eve"}, headers={"Idempotency-Key": "k"})
    assert code(other) == (422, "idempotency_key_reused")


async def test_an_address_is_one_users_however_it_is_written(api: Api) -> None:
    await api.user(email="ada@münchen.de")
    taken = await api("POST", "/v1/users", ADA | {"email": "ADA@xn--mnchen-3ya.de"})
    assert code(taken) == (409, "address_taken")
    ben = await api.user("Ben")
    change = await api("PATCH", f"/v1/users/{ben['id']}", {"email": "Ada@münchen.de"}, headers=match(ben))
    assert code(change) == (409, "address_taken")
    assert await facts_of(api.users.database) == ["UserJoined"] * 2


async def test_of_many_who_race_for_an_address_one_gets_it(api: Api) -> None:
    answers = await together(20, lambda n: api("POST", "/v1/users", ADA | {"name": f"Ada {n}"}))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 19}


@pytest.mark.parametrize(
    "wrong",
    [
        {"email": "nobody"},
        {"name": " "},
        {"name": ""},
        {"role": "Clerk"},
        {"status": "active"},
        {"version": 7},
        {"id": str(new_id())},
        {"permissions": ["users:roles"]},
        {"customer_id": "7"},
    ],
)
async def test_what_does_not_fit_is_refused_whole(api: Api, wrong: dict[str, Any]) -> None:
    assert code(await api("POST", "/v1/users", ADA | wrong)) == (422, "request_invalid")
    assert (await api("GET", "/v1/users")).json()["items"] == []


async def test_a_change_needs_the_latest_version_and_is_told_without_saying_what(api: Api) -> None:
    ada = await api.user()
    path = f"/v1/users/{ada['id']}"
    assert code(await api("PATCH", path, {"name": "Countess"})) == (428, "if_match_missing")
    changed = await api("PATCH", path, {"name": "Countess Ada", "email": "ada@lovelace.test"}, headers=match(ada))
    assert (changed.json()["name"], changed.json()["version"]) == ("Countess Ada", 2)
    assert code(await api("PATCH", path, {"name": "x"}, headers=match(ada))) == (412, "moved_on")
    same = await api("PATCH", path, {"name": "Countess Ada"}, headers={"If-Match": '"2"'})
    assert same.json()["version"] == 2
    last = (await told(api.users.database))[-1]
    assert (last.name, last.sequence, dict(last.data)) == ("UserChanged", 2, {})
    assert code(await api("PATCH", path, {"name": None}, headers={"If-Match": '"2"'})) == (422, "request_invalid")


async def test_another_address_is_not_verified_and_another_spelling_is_the_same_one(api: Api) -> None:
    ada = await api.user()
    await api("PUT", f"/v1/people/{ada['id']}/verification", role="service")
    path = f"/v1/users/{ada['id']}"
    spelt = (await api("PATCH", path, {"email": "ADA@example.com"}, headers={"If-Match": '"2"'})).json()
    assert spelt["email_verified"] is True
    other = (await api("PATCH", path, {"email": "ada@example.org"}, headers=match(spelt))).json()
    assert other["email_verified"] is False


async def test_who_is_deactivated_may_do_nothing_until_reactivated(api: Api) -> None:
    ada = await api.user()
    path = f"/v1/users/{ada['id']}"
    off = await api("POST", f"{path}/deactivation")
    assert (off.status_code, off.json()["status"]) == (200, "deactivated")
    assert (await api("GET", f"{path}/permissions")).json()["permissions"] == []
    assert code(await api("POST", f"{path}/deactivation")) == (409, "user_not_active")
    on = await api("POST", off.json()["links"]["reactivation"])
    assert on.json()["status"] == "active"
    assert code(await api("POST", f"{path}/reactivation")) == (409, "user_not_deactivated")
    assert code(await api("POST", f"{path}/deactivation", headers={"If-Match": '"1"'})) == (412, "moved_on")
    assert (await facts_of(api.users.database))[1:] == ["UserDeactivated", "UserReactivated"]


async def test_who_is_erased_leaves_nothing_but_an_id(api: Api) -> None:
    ada = await api.user("Ada Canary", email="canary@example.com")
    team = await api.made("/v1/teams", {"name": "Returns"})
    await api("PUT", f"/v1/teams/{team['id']}/members/{ada['id']}")
    path = f"/v1/users/{ada['id']}"
    assert code(await api("DELETE", path)) == (409, "user_still_active")
    await api("POST", f"{path}/deactivation")
    gone = await api("DELETE", path, headers={"Idempotency-Key": "k"})
    assert (gone.status_code, gone.content) == (204, b"")
    again = await api("DELETE", path, headers={"Idempotency-Key": "k"})
    assert (again.status_code, again.headers["idempotency-replayed"]) == (204, "true")
    assert code(await api("GET", path)) == (404, "user_not_found")
    assert (await api("GET", f"/v1/teams/{team['id']}/members")).json()["items"] == []
    assert (await facts_of(api.users.database))[-1] == "UserErased"
    assert "anary" not in str(await told(api.users.database))
    left = await api.users.database.read(
        lambda reading: [reading.rows(f"SELECT * FROM {table}") for table in ("users", "user_words", "team_members")]
    )
    assert [list(rows) for rows in left] == [[], [], []]


# Who may what


@pytest.mark.parametrize("role", ["clerk", "analyst", "customer", "service", None])
async def test_only_owners_and_managers_write_users(api: Api, role: Any) -> None:
    refused = await api("POST", "/v1/users", ADA, role=role)
    assert refused.status_code == (401 if role is None else 403)
    assert (await api("GET", "/v1/users")).json()["items"] == []


async def test_nobody_raises_anybody_above_themselves(api: Api) -> None:
    boss, clerk = await api.user("Boss", "owner"), await api.user("Clerk")
    for refused in (
        await api("POST", "/v1/users", ADA | {"role": "owner"}, role="manager"),
        await api("POST", "/v1/invitations", ADA | {"role": "owner"}, role="manager"),
        await api("PUT", f"/v1/users/{clerk['id']}/role", {"role": "owner"}, role="manager", headers=match(clerk)),
        await api("PUT", f"/v1/users/{boss['id']}/role", {"role": "clerk"}, role="manager", headers=match(boss)),
        await api("PATCH", f"/v1/users/{boss['id']}", {"email": "me@example.com"}, role="manager", headers=match(boss)),
        await api("POST", f"/v1/users/{boss['id']}/deactivation", role="manager"),
    ):
        assert code(refused) == (403, "above_you")
        assert "users:roles" in refused.json()["missing"]
    ok = await api("PUT", f"/v1/users/{clerk['id']}/role", {"role": "manager"}, role="manager", headers=match(clerk))
    assert (ok.status_code, ok.json()["role"]) == (200, "manager")
    assert [one["role"] for one in (await api("GET", "/v1/users")).json()["items"]] == ["manager", "owner"]


async def test_no_user_is_a_service_and_no_role_is_made_up(api: Api) -> None:
    for role in ("service", "boss"):
        assert code(await api("POST", "/v1/users", ADA | {"role": role})) == (422, "role_unknown")


async def test_one_active_owner_is_left_whatever_happens(api: Api) -> None:
    ada = await api.user("Ada", "owner")
    path = f"/v1/users/{ada['id']}"
    assert code(await api("POST", f"{path}/deactivation")) == (409, "last_owner")
    assert code(await api("PUT", f"{path}/role", {"role": "manager"}, headers=match(ada))) == (409, "last_owner")
    ben = await api.user("Ben", "owner")
    await api("POST", f"/v1/users/{ben['id']}/deactivation")
    assert code(await api("POST", f"{path}/deactivation")) == (409, "last_owner")
    await api("POST", f"/v1/users/{ben['id']}/reactivation")
    assert (await api("POST", f"{path}/deactivation")).status_code == 200


async def test_of_owners_who_go_for_each_other_one_is_left(api: Api) -> None:
    owners = [await api.user(f"Owner {n}", "owner") for n in range(6)]
    ways = [
        lambda user: api("POST", f"/v1/users/{user['id']}/deactivation"),
        lambda user: api("PUT", f"/v1/users/{user['id']}/role", {"role": "clerk"}, headers=match(user)),
    ]
    answers = await together(6, lambda n: ways[n % 2](owners[n]))
    assert Counter(answer.status_code for answer in answers) == {200: 5, 409: 1}
    left = (await api("GET", "/v1/users?role=owner&status=active")).json()["items"]
    assert len(left) == 1


async def test_a_customer_record_goes_with_a_customer_and_must_be_there(api: Api) -> None:
    record = api.customers.add("shop@example.com")
    eve = ADA | {"role": "customer", "email": "eve@example.com"}
    assert code(await api("POST", "/v1/users", ADA | {"customer_id": str(record)})) == (
        422,
        "customer_record_not_allowed",
    )
    assert code(await api("POST", "/v1/users", eve | {"customer_id": str(new_id())})) == (
        422,
        "customer_record_unknown",
    )
    made = await api.made("/v1/users", eve | {"customer_id": str(record)})
    assert made["customer_id"] == str(record)
    changed = await api("PUT", f"/v1/users/{made['id']}/role", {"role": "clerk"}, headers=match(made))
    assert changed.json()["customer_id"] is None
    fact = (await told(api.users.database))[-1]
    assert (fact.name, dict(fact.data)) == ("UserRoleChanged", {"role": "clerk", "customer_id": None})


# Invitations


async def invited(api: Api, **more: Any) -> tuple[dict[str, Any], str]:
    invitation = await api.made("/v1/invitations", ADA | more)
    link = await api("POST", invitation["links"]["link"])
    assert (link.status_code, link.headers["cache-control"]) == (201, "no-store")
    return invitation, link.json()["token"]


async def accept(api: Api, token: str, **more: Any) -> httpx2.Response:
    return await api("POST", "/v1/acceptances", {"token": token, **more}, role=None)


async def test_who_is_invited_may_do_nothing_before_accepting(api: Api) -> None:
    invitation, token = await invited(api)
    path = f"/v1/users/{invitation['user_id']}"
    assert (await api("GET", path)).json()["status"] == "invited"
    assert (await api("GET", f"{path}/permissions")).json()["permissions"] == []
    assert code(await api("POST", f"{path}/deactivation")) == (409, "user_not_active")
    accepted = await accept(api, token, name="Ada, Countess")
    assert (accepted.json()["status"], accepted.json()["name"]) == ("active", "Ada, Countess")
    assert (await api("GET", f"{path}/permissions")).json()["permissions"] == sorted(permissions_of("clerk"))
    assert (await accept(api, token)).json() == accepted.json()
    assert await facts_of(api.users.database) == ["UserInvited", "UserJoined"]
    assert code(await api("POST", invitation["links"]["link"])) == (409, "invitation_expired")
    await api("POST", f"{path}/deactivation")
    assert code(await accept(api, token)) == (409, "invitation_expired")


async def test_a_link_is_kept_nowhere_and_the_latest_alone_works(api: Api) -> None:
    invitation, first = await invited(api)
    second = (await api("POST", invitation["links"]["link"])).json()["token"]
    kept = await api.users.database.read(
        lambda reading: str([reading.rows(f"SELECT * FROM {table}") for table in ("invitations", "answers", "facts")])
    )
    assert first not in kept
    assert second not in kept
    assert code(await accept(api, first)) == (404, "invitation_not_found")
    assert code(await accept(api, "nonsense")) == (404, "invitation_not_found")
    assert (await accept(api, second)).status_code == 200


async def test_a_link_expires(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    _, token = await invited(api)
    late = clock.now() + LINK_GOOD_FOR + 60_000_000
    monkeypatch.setattr(clock, "now", lambda: late)
    assert code(await accept(api, token)) == (409, "invitation_expired")
    assert await facts_of(api.users.database) == ["UserInvited"]


async def test_an_invitation_is_accepted_once_however_many_try(api: Api) -> None:
    _, token = await invited(api)
    answers = await together(10, lambda _: accept(api, token))
    assert {answer.status_code for answer in answers} == {200}
    assert await facts_of(api.users.database) == ["UserInvited", "UserJoined"]


async def test_a_withdrawn_invitation_frees_the_address(api: Api) -> None:
    invitation, token = await invited(api)
    assert code(await api("POST", "/v1/users", ADA)) == (409, "address_taken")
    assert (await api("DELETE", invitation["links"]["self"])).status_code == 204
    assert code(await accept(api, token)) == (404, "invitation_not_found")
    assert code(await api("GET", invitation["links"]["self"])) == (404, "invitation_not_found")
    again, token = await invited(api)
    await accept(api, token)
    assert code(await api("DELETE", again["links"]["self"])) == (409, "invitation_expired")


async def test_invitations_are_listed_a_page_at_a_time(api: Api) -> None:
    tokens = [(await invited(api, email=f"ada{n}@example.com"))[1] for n in range(5)]
    await accept(api, tokens[0])
    first = (await api("GET", "/v1/invitations?limit=3&open=true")).json()
    rest = (await api("GET", first["links"]["next"])).json()
    assert (len(first["items"]), len(rest["items"]), rest["next"]) == (3, 1, None)
    assert len((await api("GET", "/v1/invitations?open=false")).json()["items"]) == 1


# Teams


async def test_a_team_is_made_named_filled_and_removed(api: Api) -> None:
    team = await api.made("/v1/teams", {"name": "Returns"})
    path = f"/v1/teams/{team['id']}"
    assert code(await api("POST", "/v1/teams", {"name": "RETURNS"})) == (409, "team_name_taken")
    named = await api("PATCH", path, {"name": "Returns desk"}, headers=match(team))
    assert named.json()["name"] == "Returns desk"
    people = [await api.user(f"Member {n}") for n in range(3)]
    for person in people * 2:
        assert (await api("PUT", f"{path}/members/{person['id']}")).status_code == 200
    first = (await api("GET", f"{path}/members?limit=2")).json()
    rest = (await api("GET", first["links"]["next"])).json()
    assert [one["id"] for one in first["items"] + rest["items"]] == [person["id"] for person in people]
    for _ in range(2):
        assert (await api("DELETE", f"{path}/members/{people[0]['id']}")).status_code == 200
    assert (await api("GET", f"/v1/teams?user_id={people[0]['id']}")).json()["items"] == []
    assert len((await api("GET", f"/v1/teams?user_id={people[1]['id']}")).json()["items"]) == 1
    assert (await api("GET", path, headers={"If-None-Match": '"6"'})).status_code == 304
    assert (await api("DELETE", path)).status_code == 204
    assert code(await api("GET", f"{path}/members")) == (404, "team_not_found")
    told_of = [name for name in await facts_of(api.users.database) if name.startswith("Team")]
    assert told_of == ["TeamAdded", "TeamChanged", *["TeamJoined"] * 3, "TeamLeft", "TeamRemoved"]


async def test_nobody_who_is_not_there_is_in_a_team(api: Api) -> None:
    team = await api.made("/v1/teams", {"name": "Returns"})
    ada = await api.user()
    assert code(await api("PUT", f"/v1/teams/{team['id']}/members/{new_id()}")) == (404, "user_not_found")
    assert code(await api("PUT", f"/v1/teams/{new_id()}/members/{ada['id']}")) == (404, "team_not_found")
    assert code(await api("PUT", f"/v1/teams/{team['id']}/members/{ada['id']}", role="clerk")) == (
        403,
        "permission_missing",
    )


# Roles and permissions


RETURNS = {"name": "returns-desk", "description": "Takes things back.", "permissions": ["orders:change", "orders:read"]}


async def test_a_custom_role_allows_what_it_says_to_all_who_have_it(api: Api) -> None:
    role = await api.made("/v1/roles", RETURNS)
    ada = await api.user(role="returns-desk")
    path = f"/v1/users/{ada['id']}/permissions"
    assert (await api("GET", path)).json()["permissions"] == RETURNS["permissions"]
    less = await api("PATCH", f"/v1/roles/{role['id']}", {"permissions": ["orders:read"]}, headers=match(role))
    assert (less.json()["description"], less.json()["version"]) == ("Takes things back.", 2)
    assert (await api("GET", path)).json()["permissions"] == ["orders:read"]
    assert code(await api("DELETE", f"/v1/roles/{role['id']}")) == (409, "role_in_use")
    await api("PUT", f"/v1/users/{ada['id']}/role", {"role": "clerk"}, headers=match(ada))
    assert (await api("DELETE", f"/v1/roles/{role['id']}")).status_code == 204
    assert code(await api("GET", f"/v1/roles/{role['id']}")) == (404, "role_not_found")
    assert code(await api("POST", "/v1/users", ADA | {"email": "b@c.de", "role": "returns-desk"})) == (
        422,
        "role_unknown",
    )


async def test_roles_are_listed_with_the_built_in_ones(api: Api) -> None:
    for name in ("b", "a", "c"):
        await api.made("/v1/roles", RETURNS | {"name": name})
    first = (await api("GET", "/v1/roles?limit=2")).json()
    rest = (await api("GET", first["links"]["next"])).json()
    assert [one["name"] for one in first["items"] + rest["items"]] == ["a", "b", "c"]
    built_in = {one["name"]: one["permissions"] for one in first["built_in"]}
    assert set(built_in) == {"owner", "manager", "clerk", "analyst", "customer"}
    assert built_in["clerk"] == sorted(permissions_of("clerk"))


@pytest.mark.parametrize(
    ("wrong", "status", "why"),
    [
        ({"name": "clerk"}, 409, "role_name_taken"),
        ({"name": "service"}, 409, "role_name_taken"),
        ({"name": "Returns Desk"}, 422, "request_invalid"),
        ({"permissions": ["orders:everything"]}, 422, "request_invalid"),
        ({"permissions": ["orders:read", "orders:read"]}, 422, "request_invalid"),
        ({"permissions": ["users:identify"]}, 403, "above_you"),
    ],
)
async def test_no_role_is_made_that_cannot_be(api: Api, wrong: dict[str, Any], status: int, why: str) -> None:
    assert code(await api("POST", "/v1/roles", RETURNS | wrong)) == (status, why)
    assert (await api("GET", "/v1/roles")).json()["items"] == []


async def test_a_name_is_one_roles(api: Api) -> None:
    await api.made("/v1/roles", RETURNS)
    assert code(await api("POST", "/v1/roles", RETURNS)) == (409, "role_name_taken")
    assert code(await api("POST", "/v1/roles", RETURNS, role="manager")) == (403, "permission_missing")


async def test_why_somebody_may_or_may_not_is_answered_by_the_rule_that_decided(api: Api) -> None:
    await api.made("/v1/roles", RETURNS)
    clerk, desk = await api.user("Clerk"), await api.user("Desk", "returns-desk")
    invitation, _ = await invited(api, email="new@example.com")

    async def why(user: str, permission: str) -> tuple[bool, str]:
        answer = (await api("GET", f"/v1/access/why?user_id={user}&permission={permission}")).json()
        assert answer["because"]
        return answer["allowed"], answer["rule"]

    assert await why(clerk["id"], "orders:read") == (True, "built_in_role")
    assert await why(clerk["id"], "orders:assign") == (False, "built_in_role")
    assert await why(desk["id"], "orders:change") == (True, "custom_role")
    assert await why(desk["id"], "orders:assign") == (False, "custom_role")
    assert await why(invitation["user_id"], "orders:read") == (False, "not_joined")
    await api("POST", f"/v1/users/{clerk['id']}/deactivation")
    assert await why(clerk["id"], "orders:read") == (False, "deactivated")
    unknown = await api("GET", f"/v1/access/why?user_id={clerk['id']}&permission=orders:everything")
    assert code(unknown) == (422, "request_invalid")
    assert code(await api("GET", f"/v1/access/why?user_id={new_id()}&permission=orders:read")) == (
        404,
        "user_not_found",
    )
