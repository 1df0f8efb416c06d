"""What may be done with customers, without a database: a store in memory, and a transaction that only listens."""

from collections.abc import Collection, Iterable, Sequence
from typing import TypeVar
from uuid import UUID

import pytest

from orderhouse.customers.contract import FACTS, CustomerAdded
from orderhouse.customers.errors import AlreadyActive, AlreadyInactive, CustomerMovedOn, CustomerNotFound
from orderhouse.customers.models import Customer, CustomerState
from orderhouse.customers.schemas import AddCustomer, Change, ChangeCustomer, ImportCustomer, Seen
from orderhouse.customers.service import CustomerService
from orderhouse.kernel.errors import Refusal
from orderhouse.kernel.events import Fact, NewFact, Origin
from orderhouse.kernel.ids import new_id
from orderhouse.kernel.principal import Principal
from orderhouse.runtime.database.sql import Row
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.once import Asked

W = TypeVar("W")

CLERK = Principal("clerk-7", "clerk")
ORIGIN = Origin("clerk-7", "request-1", "trace-1")
NOW = 1_763_000_000_000_000


class Listening(Transaction):
    """A transaction that remembers what is told, and does nothing else."""

    for_update = ""

    @property
    def told(self) -> list[NewFact]:
        return self._facts

    @property
    def session(self) -> None:  # type: ignore[override]  # there is no database
        raise AssertionError("no database")

    def rows(self, sql: str, **values: object) -> Sequence[Row]:
        raise AssertionError("no database")

    def run(self, sql: str, **values: object) -> int:
        raise AssertionError("no database")


class Remembering:
    """Customers in memory."""

    def __init__(self) -> None:
        self.kept: dict[UUID, Customer] = {}

    def add(self, customers: Iterable[Customer]) -> None:
        self.kept.update((customer.id, customer) for customer in customers)

    def held(self, ids: Collection[UUID]) -> dict[UUID, Customer]:
        return {customer_id: self.kept[customer_id] for customer_id in ids if customer_id in self.kept}

    def brought(self, source: str, external_ids: Collection[str]) -> dict[str, UUID]:
        return {
            customer.external_id: customer.id
            for customer in self.kept.values()
            if customer.source == source and customer.external_id is not None and customer.external_id in external_ids
        }


class World:
    """A service over a store in memory."""

    def __init__(self) -> None:
        self.tx = Listening()
        self.store = Remembering()
        self.service = CustomerService(lambda _tx: self.store)

    def added(self, **wanted: str) -> CustomerState:
        [customer] = self.service.add(self.tx, [asked(AddCustomer.model_validate({"name": "Ada", **wanted}))])
        assert isinstance(customer, CustomerState)
        self.tx.told.clear()
        return customer

    def told(self) -> list[tuple[str, UUID, int, dict[str, object]]]:
        return [(fact.name, fact.aggregate, fact.sequence, dict(fact.data)) for fact in self.tx.told]


def asked(wanted: W, *, caller: Principal = CLERK, at: int = NOW) -> Asked[W]:
    return Asked(wanted, caller, at, ORIGIN)


def patch(customer: CustomerState, **wanted: str | None) -> Change:
    return Change(customer.id, ChangeCustomer.model_validate(wanted), customer.version)


@pytest.fixture
def world() -> World:
    return World()


def test_many_are_added_at_once_and_each_is_told(world: World) -> None:
    wanted = [AddCustomer(name=name, email=f"{name}@example.com", country="GB") for name in ("Ada", "Ben")]
    added = world.service.add(world.tx, [asked(one) for one in wanted])
    assert [isinstance(one, CustomerState) and (one.name, one.active, one.version, one.source) for one in added] == [
        ("Ada", True, 1, "api"),
        ("Ben", True, 1, "api"),
    ]
    assert world.told() == [
        ("CustomerAdded", customer_id, 1, {"country": "GB", "active": True}) for customer_id in world.store.kept
    ]
    assert {fact.origin for fact in world.tx.told} == {ORIGIN}


def test_no_fact_says_who_a_customer_is(world: World) -> None:
    customer = world.added()
    world.service.change(world.tx, [asked(patch(customer, name="Secret", email="secret@example.com"))])
    world.service.deactivate(world.tx, [asked(Seen(customer.id, None))])
    world.service.reactivate(world.tx, [asked(Seen(customer.id, None))])
    assert [fact.name for fact in world.tx.told] == list(FACTS)[1:]
    assert "secret" not in repr(world.tx.told).lower()


def test_a_change_makes_the_next_version_and_leaves_the_rest(world: World) -> None:
    customer = world.added(email="ada@example.com", country="GB")
    [changed] = world.service.change(world.tx, [asked(patch(customer, name="Ada L", email=None), at=NOW + 1)])
    assert isinstance(changed, CustomerState)
    assert (changed.name, changed.email, changed.country) == ("Ada L", None, "GB")
    assert (changed.version, changed.created_at, changed.updated_at) == (2, NOW, NOW + 1)
    kept = world.store.kept[customer.id]
    assert (kept.name_key, kept.email_key) == ("ada l", None)
    assert world.told() == [("CustomerChanged", customer.id, 2, {"country": "GB", "active": True})]


@pytest.mark.parametrize("wanted", [{}, {"name": "Ada"}, {"email": None, "country": "GB"}])
def test_a_change_that_changes_nothing_makes_no_version_and_tells_nobody(world: World, wanted: dict[str, str]) -> None:
    customer = world.added(country="GB")
    assert world.service.change(world.tx, [asked(patch(customer, **wanted))]) == [customer]
    assert world.told() == []


def test_whoever_saw_an_older_version_is_refused(world: World) -> None:
    customer = world.added()
    outcomes = world.service.change(
        world.tx, [asked(patch(customer, name="First")), asked(patch(customer, name="Second"))]
    )
    assert isinstance(outcomes[0], CustomerState)
    assert isinstance(outcomes[1], CustomerMovedOn)
    assert outcomes[1].more == {"current": 2}
    assert world.store.kept[customer.id].name == "First"
    assert len(world.told()) == 1


def test_each_of_a_batch_sees_the_customer_as_it_was_then(world: World) -> None:
    customer = world.added()
    nothing, change = world.service.change(world.tx, [asked(patch(customer)), asked(patch(customer, name="Ada L"))])
    assert isinstance(nothing, CustomerState)
    assert isinstance(change, CustomerState)
    assert (nothing.name, nothing.version, change.name, change.version) == ("Ada", 1, "Ada L", 2)


def test_deactivated_and_reactivated_with_a_fact_each(world: World) -> None:
    customer = world.added()
    [inactive] = world.service.deactivate(world.tx, [asked(Seen(customer.id, 1))])
    [active] = world.service.reactivate(world.tx, [asked(Seen(customer.id, 2))])
    assert isinstance(inactive, CustomerState)
    assert isinstance(active, CustomerState)
    assert (inactive.active, inactive.version, active.active, active.version) == (False, 2, True, 3)
    assert world.told() == [
        ("CustomerDeactivated", customer.id, 2, {}),
        ("CustomerReactivated", customer.id, 3, {}),
    ]


def test_what_it_is_already_it_cannot_become(world: World) -> None:
    customer = world.added()
    [active] = world.service.reactivate(world.tx, [asked(Seen(customer.id, None))])
    outcomes = world.service.deactivate(world.tx, [asked(Seen(customer.id, None)) for _ in range(2)])
    assert isinstance(active, AlreadyActive)
    assert isinstance(outcomes[0], CustomerState)
    assert isinstance(outcomes[1], AlreadyInactive)
    assert [fact.name for fact in world.tx.told] == ["CustomerDeactivated"]


def test_one_refusal_leaves_the_others_alone(world: World) -> None:
    customer = world.added()
    outcomes = world.service.deactivate(world.tx, [asked(Seen(new_id(), None)), asked(Seen(customer.id, None))])
    assert isinstance(outcomes[0], CustomerNotFound)
    assert isinstance(outcomes[1], CustomerState)


def test_a_customer_finds_nobody_but_itself(world: World) -> None:
    ada, ben = world.added(), world.added()
    me = Principal("ada", "customer", ada.id)
    outcomes = world.service.change(world.tx, [asked(patch(one, name="Me"), caller=me) for one in (ada, ben)])
    assert isinstance(outcomes[0], CustomerState)
    assert isinstance(outcomes[1], CustomerNotFound)


def test_a_source_brings_each_customer_once(world: World) -> None:
    def admit(*external_ids: str, source: str = "shop") -> list[UUID | Refusal]:
        wanted = [ImportCustomer(source=source, external_id=one, name=f"Customer {one}") for one in external_ids]
        return list(world.service.admit(world.tx, [asked(one) for one in wanted]))

    first = admit("7", "8", "7")
    assert first[0] == first[2] != first[1]
    assert admit("8", "7") == [first[1], first[0]]
    assert admit("7", source="other") != [first[0]]
    assert [fact.name for fact in world.tx.told] == ["CustomerAdded"] * 3
    assert [customer.source for customer in world.store.kept.values()] == ["shop", "shop", "other"]


def test_the_first_that_a_file_says_of_a_customer_counts(world: World) -> None:
    wanted = [ImportCustomer(source="shop", external_id="7", name="Ada", country=country) for country in ("GB", "FR")]
    world.service.admit(world.tx, [asked(one) for one in wanted])
    assert [customer.country for customer in world.store.kept.values()] == ["GB"]


def test_a_fact_is_read_as_it_was_told(world: World) -> None:
    world.service.add(world.tx, [asked(AddCustomer(name="Ada", country="GB"))])
    [told] = world.tx.told
    kept = Fact(1, new_id(), told.name, told.version, told.aggregate, told.sequence, told.data, told.at, told.origin)
    assert FACTS[kept.name].read(kept) == CustomerAdded(told.aggregate, 1, "GB", active=True)
