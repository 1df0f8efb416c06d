"""Contexts served alone, each with its own port and database: they ask each other, and tell when one is not there."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

import httpx2
import pytest

from bench import servers
from bench.servers import PROGRAM, Product
from orderhouse.kernel.ids import new_id
from orderhouse.runtime.calls import Neighbour, NeighbourUnavailable
from orderhouse.runtime.tokens import SigningKeys, Verifier
from orderhouse.users.client import HttpPeople
from tests.e2e.caller import once_it_is
from tests.mailbox import mailed

TOLD_WITHIN_S = 1.0
BACK_WITHIN_S = 5.0
REVOKED_WITHIN_S = 1.0

HOUSE = "https://orderhouse.test"
"""Where people reach the house, behind which each service has a port of its own."""
ADA = {"email": "ada@example.com", "password": "correct horse battery staple"}


class Town:
    """Customers and users, each in a process of its own, and whoever asks them."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.keys = SigningKeys.made(folder / "keys")
        self._stack = stack
        self._customers_port = servers.free_port()
        self._users_port = servers.free_port()
        self.customers = self.started(
            "customers", ORDERHOUSE_PORT=str(self._customers_port), ORDERHOUSE_PUBLIC_URL=HOUSE
        )
        self.users_again()
        self._auth: Product | None = None
        neighbour = Neighbour("users", self.users.url, lambda: self.keys.issue("auth", "service", minutes=5))
        stack.callback(neighbour.close)
        self.people = HttpPeople(neighbour)

    def started(self, name: str, command: str = "", **settings: str) -> Product:
        keys = {"ORDERHOUSE_KEYS_DIR": str(self.folder / "keys")}
        return self._stack.enter_context(
            servers.product(self.folder / name, command=("serve", command or name), **keys, **settings)
        )

    @property
    def auth(self) -> Product:
        """Auth, which is started when it is first asked for, and cheap in its hashes."""
        return self._auth or self.auth_on(servers.free_port())

    def auth_on(self, port: int) -> Product:
        self._auth = self.started(
            "auth",
            ORDERHOUSE_PORT=str(port),
            ORDERHOUSE_USERS_URL=self.users.url,
            ORDERHOUSE_PUBLIC_URL=HOUSE,
            ORDERHOUSE_ARGON2_KIB="64",
            ORDERHOUSE_ARGON2_PASSES="1",
        )
        return self._auth

    def posted(self, path: str, body: object, status: int) -> httpx2.Response:
        """Ask auth without a token."""
        answer = httpx2.post(f"{self.auth.url}{path}", json=body, timeout=10)
        assert answer.status_code == status, answer.text
        return answer

    def mailed(self) -> str:
        """Return the token in the mail that Ada got, once there is one."""
        return mailed(self.folder / "auth" / "mail", ADA["email"])

    def users_again(self) -> None:
        self.users = self.started(
            "users", ORDERHOUSE_PORT=str(self._users_port), ORDERHOUSE_CUSTOMERS_URL=self.customers.url
        )

    def customers_again(self) -> None:
        self.customers = self.started("customers", ORDERHOUSE_PORT=str(self._customers_port))

    def ask(self, service: Product, method: str, path: str, body: object = None, **headers: str) -> httpx2.Response:
        role = "service" if path.startswith("/v1/people") else "owner"
        sent = {
            "authorization": f"Bearer {self.keys.issue('me', role, minutes=5)}",
            "idempotency-key": str(new_id()),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return httpx2.request(method, f"{service.url}{path}", json=body, headers=sent, timeout=10)

    def log_of(self, service: str) -> list[dict[str, object]]:
        return [json.loads(line) for line in (self.folder / service / "server.log").read_text().splitlines()]


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with ExitStack() as stack:
        yield Town(tmp_path, stack)


def killed(service: Product) -> None:
    service.process.kill()
    service.process.wait()


def signed_up(town: Town, email: str) -> UUID:
    return town.people.sign_up(user_id=new_id(), email=email, name="Ada").id


def test_one_service_asks_the_other_and_both_know_the_request(town: Town) -> None:
    record = town.ask(town.customers, "POST", "/v1/customers", {"name": "Ada's", "email": "ada@example.com"}).json()
    me = signed_up(town, "ADA@example.com")
    answer = town.ask(town.users, "PUT", f"/v1/people/{me}/verification", x_request_id="traced-7")
    assert answer.json()["customer_id"] == record["id"]
    for service in ("users", "customers"):

        def told(service: str = service) -> list[str]:
            lines = [line for line in town.log_of(service) if line.get("request_id") == "traced-7"]
            return [line["event"] for line in lines if line["event"] == "request"]

        # A line is written when its answer is on its way already.
        once_it_is(["request"], told, TOLD_WITHIN_S)
    (call,) = [line for line in town.log_of("users") if line["event"] == "call"]
    assert (call["neighbour"], call["outcome"], call["request_id"]) == ("customers", 200, "traced-7")


def test_while_a_neighbour_is_down_its_callers_are_told_at_once_and_the_rest_goes_on(town: Town) -> None:
    me = signed_up(town, "ada@example.com")
    killed(town.customers)
    for _ in range(8):
        began = time.monotonic()
        refused = town.ask(town.users, "PUT", f"/v1/people/{me}/verification")
        assert time.monotonic() - began < TOLD_WITHIN_S
        assert (refused.status_code, refused.json()["type"]) == (503, "/problems/neighbour_unavailable")
        assert int(refused.headers["retry-after"]) > 0
    assert town.ask(town.users, "GET", "/v1/users").status_code == 200
    assert town.ask(town.users, "GET", "/health/readiness").status_code == 200
    assert town.people.by_id(me) is not None
    town.customers_again()

    def verified() -> int:
        return town.ask(town.users, "PUT", f"/v1/people/{me}/verification").status_code

    once_it_is(200, verified, BACK_WITHIN_S)


def test_when_users_is_down_whoever_asks_it_hears_so_within_a_second(town: Town) -> None:
    me = signed_up(town, "ada@example.com")
    killed(town.users)
    for _ in range(8):
        began = time.monotonic()
        with pytest.raises(NeighbourUnavailable):
            town.people.by_id(me)
        assert time.monotonic() - began < TOLD_WITHIN_S


def test_when_users_hangs_whoever_asks_it_hears_so_within_a_second(town: Town) -> None:
    me = signed_up(town, "ada@example.com")
    town.users.process.send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(NeighbourUnavailable):
            town.people.by_id(me)
        assert time.monotonic() - began < TOLD_WITHIN_S
    finally:
        town.users.process.send_signal(signal.SIGCONT)


def test_auth_alone_lets_people_in_whom_users_knows(town: Town) -> None:
    record = town.ask(town.customers, "POST", "/v1/customers", {"name": "Ada's", "email": ADA["email"]}).json()
    town.posted("/v1/auth/registrations", {**ADA, "name": "Ada"}, 202)
    town.posted("/v1/auth/verifications", {"token": town.mailed(), "password": ADA["password"]}, 204)
    given = town.posted("/v1/auth/sessions", ADA, 201).json()
    me = Verifier(town.keys.jwks(), issuers=(HOUSE,)).verify(given["access_token"])
    assert (me.role, str(me.customer_id)) == ("customer", record["id"])


def test_while_users_is_down_signing_in_is_refused_at_once_and_tokens_are_verified_on(town: Town) -> None:
    town.posted("/v1/auth/registrations", {**ADA, "name": "Ada"}, 202)
    (ada,) = town.ask(town.users, "GET", "/v1/users?search=ada").json()["items"]
    town.ask(town.users, "PUT", f"/v1/users/{ada['id']}/role", {"role": "clerk"}, if_match='"1"').raise_for_status()
    given = town.posted("/v1/auth/sessions", ADA, 201).json()
    bearer = {"authorization": f"Bearer {given['access_token']}"}
    killed(town.users)
    for _ in range(8):
        for path, body in (
            ("/v1/auth/sessions", ADA),
            ("/v1/auth/tokens", {"refresh_token": given["refresh_token"]}),
        ):
            began = time.monotonic()
            refused = town.posted(path, body, 503)
            assert refused.json()["type"] == "/problems/neighbour_unavailable"
            assert int(refused.headers["retry-after"]) > 0
            assert time.monotonic() - began < TOLD_WITHIN_S
        # Whoever is in stays in, everywhere: nobody is asked who they are.
        assert httpx2.get(f"{town.customers.url}/v1/customers", headers=bearer).status_code == 200
    listed = httpx2.get(f"{town.auth.url}/v1/auth/sessions", headers=bearer)
    assert (listed.status_code, len(listed.json()["items"])) == (200, 1)
    town.users_again()
    once_it_is(201, lambda: httpx2.post(f"{town.auth.url}/v1/auth/sessions", json=ADA).status_code, BACK_WITHIN_S)


def test_what_auth_revoked_every_service_refuses_within_a_second(tmp_path: Path) -> None:
    with ExitStack() as stack:
        town = Town(tmp_path, stack)
        port = servers.free_port()
        there = {"ORDERHOUSE_AUTH_URL": f"http://127.0.0.1:{port}", "ORDERHOUSE_PUBLIC_URL": HOUSE}
        orders = town.started("customers-too", command="customers", **there)
        town.auth_on(port)
        town.posted("/v1/auth/registrations", {**ADA, "name": "Ada"}, 202)
        given = town.posted("/v1/auth/sessions", ADA, 201).json()
        bearer = {"authorization": f"Bearer {given['access_token']}"}

        def heard() -> int:
            return httpx2.get(f"{orders.url}/v1/customers", headers=bearer).status_code

        # Of a customer without a record there is nothing to see; the token is known to be good.
        assert heard() == 403
        signed_out = httpx2.delete(f"{town.auth.url}/v1/auth/session", headers=bearer)
        assert signed_out.status_code == 204
        once_it_is(401, heard, REVOKED_WITHIN_S)


def test_what_a_service_refuses_is_in_the_audit_log_that_auth_keeps_also_after_auth_was_away(tmp_path: Path) -> None:
    with ExitStack() as stack:
        town = Town(tmp_path, stack)
        port = servers.free_port()
        there = town.started("customers-too", command="customers", ORDERHOUSE_AUTH_URL=f"http://127.0.0.1:{port}")
        token = town.keys.issue("ada", "analyst", minutes=5)

        def refused() -> str:
            began = time.monotonic()
            answer = httpx2.post(f"{there.url}/v1/customers", headers={"authorization": f"Bearer {token}"})
            assert (answer.status_code, time.monotonic() - began < TOLD_WITHIN_S) == (403, True)
            return str(answer.json()["request_id"])

        while_away = [refused() for _ in range(3)]
        town.auth_on(port)

        def kept() -> list[str]:
            found = town.ask(town.auth, "GET", "/v1/audit?actor=ada").json()["items"]
            return [entry["request_id"] for entry in reversed(found)]

        once_it_is(while_away, kept, BACK_WITHIN_S)
        wanted = [*while_away, refused()]
        once_it_is(wanted, kept, TOLD_WITHIN_S)


def test_auth_alone_says_that_it_needs_users(tmp_path: Path) -> None:
    refused = run(tmp_path / "data", "serve", "auth", "--port", str(servers.free_port()))
    assert refused.returncode == 2
    assert "ORDERHOUSE_USERS_URL" in refused.stderr


def test_each_service_documents_itself_alone(town: Town) -> None:
    for service, own, others in (
        (town.users, "/v1/users", "/v1/customers"),
        (town.customers, "/v1/customers", "/v1/users"),
    ):
        document = town.ask(service, "GET", "/openapi.json").json()
        assert own in document["paths"]
        assert others not in document["paths"]
        assert town.ask(service, "GET", others).status_code == 404
        assert "swagger-ui" in town.ask(service, "GET", "/docs").text
    assert document["info"]["title"] == "Orderhouse customers"


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(PROGRAM), *arguments],
        env=servers.environment(folder),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_what_cannot_be_served_alone_is_said(tmp_path: Path) -> None:
    refused = run(tmp_path / "data", "serve", "../orders")
    assert refused.returncode == 2
    assert "auth, customers, tasks, users" in refused.stderr
    assert not (tmp_path / "data").exists()


def test_a_folder_is_served_by_each_service_once_and_never_beside_everything(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with servers.product(folder, command=("serve", "users")), servers.product(folder, command=("serve", "customers")):
        for command in (("serve", "users"), ("up",)):
            refused = run(folder, *command, "--port", str(servers.free_port()))
            assert (refused.returncode, "is being served by" in " ".join(refused.stderr.split())) == (2, True)
