"""Bar 26: every route by every kind of caller; nobody does what their role does not allow, sees what is another's, or
sets what is not theirs to set. The operations are those of the API's own document, what is expected is in `access`.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx2
import pytest

from orderhouse.kernel.ids import new_id
from orderhouse.kernel.principal import Role
from orderhouse.runtime.tokens import SigningKeys
from tests import poison
from tests.bars.access import CALLERS, EXPECTED, LET_IN, OPEN, UNDOCUMENTED
from tests.installation import Installation
from tests.integration.orders_world import House, order
from tests.mailbox import mailed

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
UNAUTHENTICATED = (401, "unauthenticated")
MISSING = (403, "permission_missing")
PASSWORD = "correct horse battery staple"
STALE = '"999999"'


@dataclass(frozen=True)
class Operation:
    """One method of one path, as the document tells of it."""

    method: str
    path: str
    query: dict[str, Any]
    """The schema of each parameter that is required."""
    body: dict[str, Any] | None
    told: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    """Return every operation that is not open to all."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if f"{method.upper()} {path}" in OPEN:
                continue
            content = operation.get("requestBody", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema")
            answers = [a for status, a in operation["responses"].items() if status.startswith("2")]
            shapes = [a["content"]["application/json"]["schema"] for a in answers if "content" in a]
            query = [one for one in operation.get("parameters", ()) if one["in"] == "query" and one["required"]]
            yield Operation(
                method.upper(),
                path,
                {one["name"]: one["schema"] for one in query},
                _resolved(document, schema) if schema else None,
                _resolved(document, shapes[0] if shapes else {}),
            )


def _resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").removeprefix("#/components/schemas/")
    found: dict[str, Any] = document["components"]["schemas"][name] if name else schema
    return found


def _example(schema: dict[str, Any]) -> Any:
    if schema.get("examples"):
        return schema["examples"][0]
    if "enum" in schema:
        return schema["enum"][0]
    fields = schema.get("properties", {}).items()
    return {name: _example(one) for name, one in fields if name in schema.get("required", ()) and one.get("examples")}


def _fresh() -> str:
    return f"{new_id()}@example.com"


MADE: dict[str, tuple[str, Callable[[], dict[str, Any]]]] = {
    "user_id": ("/v1/users", lambda: {"email": _fresh(), "name": "U", "role": "clerk"}),
    "team_id": ("/v1/teams", lambda: {"name": str(new_id())}),
    "role_id": ("/v1/roles", lambda: {"name": f"r{new_id().hex[:20]}", "permissions": ["orders:read"]}),
    "task_id": ("/v1/tasks", lambda: {"title": "Call"}),
    "client_id": (
        "/v1/auth/clients",
        lambda: {
            "name": "C",
            "grants": ["authorization_code"],
            "redirect_uris": ["https://c.example/"],
            "scope": ["openid"],
        },
    ),
    "rule_id": ("/v1/task-rules", lambda: {"title": "On hold", "when": {"kind": "order_on_hold"}}),
    "comment_id": ("/v1/tasks/{task_id}/comments", lambda: {"text": "Nobody there."}),
    "item_id": ("/v1/tasks/{task_id}/checklist", lambda: {"text": "Call"}),
    "invitation_id": ("/v1/invitations", lambda: {"email": _fresh(), "name": "I", "role": "clerk"}),
    "schedule_id": ("/v1/schedules", lambda: {"name": str(new_id()), "kind": "ping", "cron": "0 0 29 2 *"}),
    "file_id": ("/v1/files", lambda: {"name": "orders.csv"}),
    "job_id": ("/v1/jobs", lambda: {"kind": "ping", "delay_s": 3600}),
}
"""How what a path names is made, by the name it has there. Whoever adds a kind of thing adds how it is made."""


class World:
    """The product with things of one customer in it, and callers of every kind."""

    def __init__(self, client: httpx2.AsyncClient, installation: Installation, document: dict[str, Any]) -> None:
        self.client = client
        self.installation = installation
        self.keys = SigningKeys(installation.folder / "keys")
        self.mail = installation.folder / "mail"
        self.operations = list(operations(document))
        self.documented = {f"{method.upper()} {path}" for path, ways in document["paths"].items() for method in ways}
        self.owner = self._bearer("owner", "owner-1")
        self.signs_in = ""
        self.has_password = False
        self.ids: dict[str, str] = {}

    async def filled(self) -> "World":
        await self._let_nothing_happen_by_itself()
        mine, theirs = [await self.made("/v1/customers", {"name": "Ada", "email": _fresh()}) for _ in range(2)]
        # People whom users knows: what is about an account is about theirs.
        self.callers = {
            "owner": await self._person("owner"),
            "manager": await self._person("manager"),
            "clerk": await self._person("clerk"),
            "other_clerk": await self._person("clerk"),
            "analyst": await self._person("analyst"),
            "service": self._bearer("service", "service-1"),
            "customer": await self._person("customer", mine),
            "other_customer": await self._person("customer", theirs),
        }
        self.theirs = theirs
        placed = await self.made("/v1/orders", order(mine), self.callers["clerk"])
        self.ids |= {
            "customer_id": mine,
            "order_id": placed,
            # A key is its owner's alone: to everybody else there is none.
            "api_key_id": str(new_id()),
            "context": "customers",
            "reader": "orders.customers",
            "letter_id": await poison.dead_letter(self.installation),
        }
        for name in MADE:
            self.ids[name] = await self.fresh(name)
        await self._read_up()
        return self

    async def _person(self, role: Role, customer: str | None = None) -> dict[str, str]:
        email = _fresh()
        record = {"customer_id": customer} if customer else {}
        user_id = await self.made("/v1/users", {"email": email, "name": "P", "role": role, **record})
        if customer and not self.ids:
            # Whose password is set by mail is out everywhere: the token comes after that.
            self.signs_in = email
            self.ids["session_id"] = await self.session()
        return self._bearer(role, user_id, customer)

    async def fresh(self, name: str) -> str:
        """Return a thing of the kind a path names so."""
        if name == "session_id":
            return await self.session()
        path, body = MADE[name]
        return await self.made(path, body())

    async def session(self) -> str:
        """Return a session of the customer's, who has a password since it was set by mail."""
        if not self.has_password:
            await self.open("/v1/auth/password-resets", {"email": self.signs_in})
            token = await asyncio.to_thread(mailed, self.mail, self.signs_in)
            await self.open("/v1/auth/password-resets/completion", {"token": token, "new_password": PASSWORD})
            self.has_password = True
        given = await self.open("/v1/auth/sessions", {"email": self.signs_in, "password": PASSWORD})
        return str(given.json()["session_id"])

    async def open(self, path: str, body: dict[str, Any]) -> httpx2.Response:
        """Send what needs no token."""
        answer = await self.client.post(path, json=body)
        assert answer.is_success, answer.text
        return answer

    async def _let_nothing_happen_by_itself(self) -> None:
        """Switch every rule off that raises tasks: what changes here is changed by callers."""
        for rule in (await self.client.get("/v1/task-rules", headers=self.owner)).json()["items"]:
            headers = {**self.owner, "If-Match": f'"{rule["version"]}"', "Idempotency-Key": str(new_id())}
            off = await self.client.patch(rule["links"]["self"], json={"enabled": False}, headers=headers)
            assert off.status_code == 200, off.text

    async def _read_up(self) -> None:
        """Wait until every reader has taken all facts: how far each is, is something that is told."""
        async with asyncio.timeout(20):
            while any(one["lag"] for one in (await self.client.get("/v1/readers", headers=self.owner)).json()["items"]):
                await asyncio.sleep(0.02)

    def without_a_good_token(self) -> dict[str, dict[str, str]]:
        """Return who is nobody: everything here is refused alike."""
        head, claims, signature = self._token("owner", "owner-1").split(".")
        forged = ("B" if signature[0] == "A" else "A") + signature[1:]
        tokens = {
            "somebody late": self._token("owner", "owner-1", minutes=-1),
            "a forger": f"{head}.{claims}.{forged}",
            "a forger without a signature": f"{head}.{claims}.",
            "somebody of a role that is none": self.keys.issue("owner-1", "root", minutes=5),
            "a customer of nobody": self._token("customer", "customer-1"),
            "somebody who talks": "please",
        }
        bearers = {name: {"Authorization": f"Bearer {token}"} for name, token in tokens.items()}
        good = self._token("owner", "owner-1")
        return {"a stranger": {}, "a basic caller": {"Authorization": f"Basic {good}"}, **bearers}

    def _bearer(self, role: Role, subject: str, customer: str | None = None) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token(role, subject, customer)}"}

    def _token(self, role: Role, subject: str, customer: str | None = None, *, minutes: float = 10) -> str:
        return self.keys.issue(subject, role, minutes=minutes, customer_id=UUID(customer) if customer else None)

    async def made(self, path: str, body: dict[str, Any], by: dict[str, str] | None = None) -> str:
        headers = {**(by or self.owner), "Idempotency-Key": str(new_id())}
        answer = await self.client.post(path.format_map(self.ids), json=body, headers=headers)
        assert answer.status_code in (201, 202), answer.text
        return str(answer.json()["id"])

    async def asked(
        self, operation: Operation, caller: dict[str, str], body: Any = None, *, match: str = '"1"', **ids: str
    ) -> tuple[int, str]:
        """Send the operation with its schema's example, about things that are there; return status and code."""
        named = {**self.ids, **ids}
        path = re.sub(r"{(\w+)}", lambda found: named.get(found[1], str(new_id())), operation.path)
        query = {name: named.get(name) or _example(schema) for name, schema in operation.query.items()}
        headers = {**caller, "Idempotency-Key": str(new_id()), "If-Match": match}
        sent = body if body is not None else _example(operation.body) if operation.body else None
        answer = await self.client.request(operation.method, path, params=query, json=sent, headers=headers)
        problem = answer.headers.get("content-type") == "application/problem+json"
        return answer.status_code, answer.json()["type"].removeprefix("/problems/") if problem else ""

    async def everything(self) -> str:
        """Return what says whether anything has happened anywhere: every list, and what is in the paths."""
        shown = []
        for operation in self.operations:
            # The audit log is told that somebody was refused; metrics tell how old things are by now.
            if operation.method != "GET" or operation.query or operation.path in ("/v1/audit", "/metrics"):
                continue
            path = operation.path.format_map(self.ids)
            answer = await self.client.get(path, headers=self.owner)
            shown.append(answer.text if answer.status_code == 200 else str(answer.status_code))
        return json.dumps(shown)


@pytest.fixture
async def world(house: House, installation: Installation) -> World:
    return await World(house.client, installation, house.front.openapi()).filled()


async def let_in_wrongly(world: World) -> list[str]:
    """Return who was not refused, or not as what they are, of those who may not."""
    found = []
    before = await world.everything()
    for operation in world.operations:
        for name, headers in world.without_a_good_token().items():
            answer = await world.asked(operation, headers)
            if answer != UNAUTHENTICATED:
                found.append(f"{operation} by {name}: {answer}")
        for name, wanted in EXPECTED.get(str(operation), {}).items():
            if wanted == LET_IN:
                continue
            answer = await world.asked(operation, world.callers[name])
            if answer[0] != int(wanted) or (wanted == "403") != (answer == MISSING):
                found.append(f"{operation} by {name}: {answer}, not {wanted}")
    if await world.everything() != before:
        found.append("something was changed by those who may change nothing")
    return found


async def kept_out_wrongly(world: World) -> list[str]:
    """Return who was refused of those who may. What they would change they saw an older version of."""
    found = []
    for operation in world.operations:
        for name, wanted in EXPECTED.get(str(operation), {}).items():
            if wanted != LET_IN:
                continue
            # What is to go is one that nobody asks for afterwards.
            goes = re.findall(r"{(\w+)}", operation.path)[-1:] if operation.method == "DELETE" else []
            ids = {part: await world.fresh(part) for part in goes if part in MADE or part == "session_id"}
            status, code = await world.asked(operation, world.callers[name], match=STALE, **ids)
            if status in (401, 403, 404, 405) or status >= 500:
                found.append(f"{operation} by {name}, who may: {status} {code}")
    return found


async def test_bar_26_every_route_by_every_caller(world: World) -> None:
    assert len(world.callers) + len(world.without_a_good_token()) >= 8
    assert await let_in_wrongly(world) == []
    assert await kept_out_wrongly(world) == []


async def test_bar_26_every_route_has_its_line_and_every_line_its_route(world: World, house: House) -> None:
    assert {str(operation) for operation in world.operations} == EXPECTED.keys()
    assert world.documented >= OPEN
    assert set(house.front.served()) == world.documented | UNDOCUMENTED
    assert len(EXPECTED) * len(CALLERS) > 350


async def test_bar_26_a_method_that_is_not_there_is_refused_whoever_asks(world: World) -> None:
    for path in {operation.path for operation in world.operations}:
        there = {documented.split()[0] for documented in world.documented if documented.split()[1] == path}
        there |= {"HEAD"} if "GET" in there else set()
        for method in set(METHODS) - there:
            for caller in ({}, world.owner):
                answer = await world.client.request(method, path.format_map(world.ids), headers=caller)
                assert answer.status_code == 405, (method, path)


async def test_bar_26_what_is_anothers_is_told_of_as_what_was_never_there(world: World) -> None:
    tried = 0
    for operation in world.operations:
        for name, wanted in EXPECTED[str(operation)].items():
            if wanted != "404":
                continue
            tried += 1
            nowhere = {part: str(new_id()) for part in re.findall(r"{(\w+)}", operation.path)}
            theirs = await world.asked(operation, world.callers[name])
            assert theirs == await world.asked(operation, world.callers[name], **nowhere), (str(operation), name)
    assert tried > 5


async def test_bar_26_lists_show_what_is_theirs_alone(world: World) -> None:
    for name, path in (
        ("other_customer", "/v1/customers"),
        ("other_customer", "/v1/orders"),
        ("other_clerk", "/v1/orders"),
    ):
        shown = await world.client.get(path, headers=world.callers[name])
        assert shown.status_code == 200
        assert world.ids["customer_id"] not in shown.text
        assert world.ids["order_id"] not in shown.text
    filtered = await world.client.get(
        f"/v1/orders?customer={world.ids['customer_id']}", headers=world.callers["other_customer"]
    )
    assert filtered.json().get("items", []) == []


async def test_bar_26_nobody_orders_for_another_customer(world: World) -> None:
    wanted = order(world.ids["customer_id"])
    headers = {**world.callers["other_customer"], "Idempotency-Key": "k"}
    for customer in (world.ids["customer_id"], str(new_id())):
        refused = await world.client.post("/v1/orders", json={**wanted, "customer_id": customer}, headers=headers)
        assert (refused.status_code, refused.json()["type"]) == (422, "/problems/customer_unknown")


async def test_bar_26_nobody_sets_what_is_not_theirs_to_set(world: World) -> None:
    """Every field that is only told, and every one nobody knows, is refused and changes nothing."""
    before = await world.everything()
    tried = 0
    for operation in world.operations:
        if operation.body is None:
            continue
        by = next(name for name, wanted in EXPECTED[str(operation)].items() if wanted == LET_IN)
        for field in _unsettable(operation):
            tried += 1
            body = {**_example(operation.body), field: "owner"}
            answer = await world.asked(operation, world.callers[by], body)
            assert answer == (422, "request_invalid"), (str(operation), field)
    assert tried > 50
    assert await world.everything() == before


def _unsettable(operation: Operation) -> Iterable[str]:
    known = set((operation.body or {}).get("properties", {}))
    return sorted({*operation.told.get("properties", {}), "is_admin", "permissions", "role", "__proto__"} - known)


@pytest.fixture
async def spoilt(installation: Installation, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """The same, in a server with a defect."""
    with installation.started(request.param) as served:
        async with httpx2.AsyncClient(base_url=served.url) as client:
            document = (await client.get("/openapi.json")).json()
            yield await World(client, installation, document).filled()


@pytest.mark.parametrize("spoilt", ["forgets_a_permission"], indirect=True)
async def test_bar_26_control_a_permission_that_is_not_looked_at_is_caught(spoilt: World) -> None:
    found = await let_in_wrongly(spoilt)
    assert "POST /v1/teams by clerk: (201, ''), not 403" in found
    assert {one.partition(" by ")[0] for one in found[:-1]} == {"POST /v1/teams"}
    assert found[-1] == "something was changed by those who may change nothing"


@pytest.mark.parametrize("spoilt", ["shows_whatever_is_asked_for"], indirect=True)
async def test_bar_26_control_an_owner_that_is_not_looked_at_is_caught(spoilt: World) -> None:
    assert await let_in_wrongly(spoilt) == [
        "GET /v1/customers/{customer_id} by other_customer: (200, ''), not 404",
    ]
