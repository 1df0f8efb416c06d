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
from orderhouse.runtime.tokens import SigningKeys
from orderhouse.users.client import HttpPeople
from tests.e2e.caller import once_it_is

TOLD_WITHIN_S = 1.0
BACK_WITHIN_S = 5.0


class Town:
    """Customers and users, each in a process of its own, and whoever asks them."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.keys = SigningKeys.made(folder / "keys")
        self._stack = stack
        self._customers_port = servers.free_port()
        self.customers = self.started("customers", port=self._customers_port)
        self.users = self.started("users", ORDERHOUSE_CUSTOMERS_URL=self.customers.url)
        neighbour = Neighbour("users", self.users.url, lambda: self.keys.issue("auth", "service", minutes=5))
        stack.callback(neighbour.close)
        self.people = HttpPeople(neighbour)

    def started(self, name: str, port: int = 0, **settings: str) -> Product:
        keys = {"ORDERHOUSE_KEYS_DIR": str(self.folder / "keys")}
        return self._stack.enter_context(
            servers.product(self.folder / name, command=("serve", name), port=port, **keys, **settings)
        )

    def customers_again(self) -> None:
        self.customers = self.started("customers", port=self._customers_port)

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
        lines = [line for line in town.log_of(service) if line.get("request_id") == "traced-7"]
        assert [line["event"] for line in lines if line["event"] == "request"] == ["request"]
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
    assert "customers, tasks, users" in refused.stderr
    assert not (tmp_path / "data").exists()


def test_a_folder_is_served_by_each_service_once_and_never_beside_everything(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with servers.product(folder, command=("serve", "users")), servers.product(folder, command=("serve", "customers")):
        for command in (("serve", "users"), ("up",)):
            refused = run(folder, *command, "--port", str(servers.free_port()))
            assert (refused.returncode, "is being served by" in " ".join(refused.stderr.split())) == (2, True)
