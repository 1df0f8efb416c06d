"""One suite for everything that says it is People: in the same process, over HTTP, and the fake."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import pytest
import uvicorn
from fastapi import FastAPI

from bench.servers import free_port
from orderhouse.kernel.email import email_key
from orderhouse.kernel.errors import Conflict, Invalid, NotFound
from orderhouse.kernel.ids import new_id
from orderhouse.kernel.principal import permissions_of
from orderhouse.runtime import migrate
from orderhouse.runtime.calls import Neighbour
from orderhouse.runtime.tokens import SigningKeys, Verifier
from orderhouse.runtime.web.bodies import Limits
from orderhouse.runtime.web.fastapi_edge import Edge
from orderhouse.runtime.web.front import Front
from orderhouse.users.client import HttpPeople
from orderhouse.users.contract import People
from orderhouse.users.schemas import Target
from orderhouse.users.wiring import SCHEMA, Users
from tests.fakes import FakePeople
from tests.integration.users_world import FakeCustomers, asked


@dataclass
class World:
    """People, and what else a test does to whom they know."""

    people: People
    deactivate: Callable[[UUID], object]
    record: Callable[[str], UUID]


@contextmanager
def fake() -> Iterator[World]:
    people = FakePeople()

    def deactivate(user_id: UUID) -> None:
        people.people[user_id] = replace(people.people[user_id], active=False, permissions=frozenset())

    def record(email: str) -> UUID:
        return people.records.setdefault(email_key(email), new_id())

    yield World(people, deactivate, record)


@contextmanager
def real(folder: Path, *, over_http: bool) -> Iterator[World]:
    """Run users in a loop of a thread of its own, and its server if it is to be asked over HTTP."""
    place = folder / "users.sqlite3"
    migrate.migrate(SCHEMA, place)
    customers, keys = FakeCustomers(), SigningKeys.made(folder / "keys")
    loop = asyncio.new_event_loop()
    ready, over = threading.Event(), asyncio.Event()
    made: list[tuple[Users, uvicorn.Server]] = []
    port = free_port()

    async def run() -> None:
        users = Users.opened(place)
        users.bridge.enter()
        app = FastAPI()
        edge = Edge(Verifier(keys.jwks()), Limits(), users.database)
        app.router.routes.extend(users.routes(lambda _: edge, customers).routes)
        config = uvicorn.Config(Front(app, Limits()), port=port, lifespan="off", log_config=None)
        server = uvicorn.Server(config)
        made.append((users, server))
        serving = asyncio.create_task(server.serve()) if over_http else None
        while serving is not None and not server.started:
            await asyncio.sleep(0.01)
        ready.set()
        await over.wait()
        if serving is not None:
            server.should_exit = True
            await serving
        await users.database.close()

    thread = threading.Thread(target=loop.run_until_complete, args=[run()])
    thread.start()
    try:
        assert ready.wait(10)
        users, _ = made[0]
        neighbour = Neighbour("users", f"http://127.0.0.1:{port}", lambda: keys.issue("auth", "service", minutes=5))
        people: People = HttpPeople(neighbour) if over_http else users.people(customers)

        def deactivate(user_id: UUID) -> None:
            users.bridge(users.database.write(users.service.deactivate, asked(Target(user_id, None))))

        yield World(people, deactivate, customers.add)
        neighbour.close()
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
        loop.close()


@pytest.fixture(params=["in process", "over http", "fake"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "fake":
        with fake() as made:
            yield made
    else:
        with real(tmp_path, over_http=request.param == "over http") as made:
            yield made


def test_who_signs_up_is_a_customer_whose_address_is_not_verified(world: World) -> None:
    me = new_id()
    person = world.people.sign_up(user_id=me, email="Ada@Example.com", name="Ada")
    assert (person.id, person.email, person.name) == (me, "Ada@Example.com", "Ada")
    assert (person.role, person.permissions) == ("customer", permissions_of("customer"))
    assert (person.active, person.email_verified, person.customer_id) == (True, False, None)
    assert world.people.by_id(me) == person == world.people.by_email("ADA@example.COM")


def test_the_same_sign_up_again_is_the_same_person(world: World) -> None:
    me = new_id()
    first = world.people.sign_up(user_id=me, email="ada@example.com", name="Ada")
    assert world.people.sign_up(user_id=me, email="ADA@example.com", name="Ada") == first
    with pytest.raises(Conflict):
        world.people.sign_up(user_id=me, email="other@example.com", name="Ada")


def test_an_address_is_one_persons(world: World) -> None:
    world.people.sign_up(user_id=new_id(), email="ada@example.com", name="Ada")
    other = new_id()
    with pytest.raises(Conflict):
        world.people.sign_up(user_id=other, email="ADA@EXAMPLE.COM", name="Eve")
    assert world.people.by_id(other) is None


@pytest.mark.parametrize(
    ("email", "name"),
    [("nobody", "Ada"), ("", "Ada"), ("ada@example.com", " "), ("a@b.c\0", "x")],
)
def test_what_is_no_address_or_no_name_signs_nobody_up(world: World, email: str, name: str) -> None:
    with pytest.raises(Invalid):
        world.people.sign_up(user_id=new_id(), email=email, name=name)
    assert world.people.by_email("ada@example.com") is None


def test_nobody_is_nobody(world: World) -> None:
    assert world.people.by_id(new_id()) is None
    assert world.people.by_email("nobody@example.com") is None
    assert world.people.by_email("no address") is None
    with pytest.raises(NotFound):
        world.people.verify_email(new_id())


def test_a_verified_address_links_the_record_that_has_it(world: World) -> None:
    record = world.record("ada@example.com")
    me = new_id()
    world.people.sign_up(user_id=me, email="ADA@example.com", name="Ada")
    person = world.people.verify_email(me)
    assert (person.email_verified, person.customer_id) == (True, record)
    assert world.people.verify_email(me) == person == world.people.by_id(me)


def test_without_a_record_an_address_is_verified_all_the_same(world: World) -> None:
    me = new_id()
    world.people.sign_up(user_id=me, email="ada@example.com", name="Ada")
    person = world.people.verify_email(me)
    assert (person.email_verified, person.customer_id) == (True, None)


def test_who_was_deactivated_may_do_nothing(world: World) -> None:
    me = new_id()
    world.people.sign_up(user_id=me, email="ada@example.com", name="Ada")
    world.deactivate(me)
    person = world.people.by_id(me)
    assert person is not None
    assert (person.active, person.permissions) == (False, frozenset())
