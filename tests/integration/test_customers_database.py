"""What the database makes certain of, on SQLite and on PostgreSQL: nothing half done, nobody twice, no drift."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest

from orderhouse.customers.contract import SourceCustomer
from orderhouse.customers.errors import (
    AlreadyInactive,
    CannotAdmit,
    CustomerMovedOn,
    EmailTaken,
    ExternalIdTaken,
)
from orderhouse.customers.models import CustomerState
from orderhouse.customers.schemas import AddCustomer, Change, ChangeCustomer, Seen
from orderhouse.customers.wiring import SCHEMA, InProcessDirectory
from orderhouse.kernel.events import Origin
from orderhouse.kernel.ids import new_id
from orderhouse.kernel.principal import Principal
from orderhouse.runtime import migrate
from orderhouse.runtime.database.database import Place
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.once import Answer, OnceCall
from tests.integration.customers_world import added, added_all, asked, counted, opened, together, told

pytestmark = [pytest.mark.anyio, pytest.mark.context("customers")]


async def test_an_address_is_one_customers_however_it_is_written(place: Place) -> None:
    async with opened(place) as customers:
        await added(customers, email="ada@münchen.de")
        with pytest.raises(EmailTaken):
            await added(customers, email="ADA@xn--mnchen-3ya.de")
        assert await counted(customers.database) == 1
        assert len(await told(customers.database)) == 1


async def test_an_external_id_is_one_customers(place: Place) -> None:
    async with opened(place) as customers:
        await added(customers, external_id="7")
        with pytest.raises(ExternalIdTaken):
            await added(customers, external_id="7")
        await customers.directory.admit("shop", [SourceCustomer("7", "Another seven")])
        assert await counted(customers.database) == 2


async def test_an_address_that_was_given_up_can_be_taken(place: Place) -> None:
    async with opened(place) as customers:
        ada = await added(customers, email="ada@example.com")
        change = Change(ada.id, ChangeCustomer.model_validate({"email": None}), 1)
        await customers.database.write(customers.service.change, asked(change))
        await added(customers, "Ben", email="ada@example.com")


async def test_an_address_is_not_taken_from_another_by_a_change(place: Place) -> None:
    async with opened(place) as customers:
        await added(customers, email="ada@example.com")
        ben = await added(customers, "Ben", email="ben@example.com")
        change = Change(ben.id, ChangeCustomer(email="ADA@example.com"), 1)
        with pytest.raises(EmailTaken):
            await customers.database.write(customers.service.change, asked(change))
        assert [fact.name for fact in await told(customers.database)] == ["CustomerAdded"] * 2


async def test_only_the_bad_one_of_many_fails_and_the_log_has_no_gap(place: Place) -> None:
    async with opened(place) as customers:
        wanted = [AddCustomer(name=f"Customer {n}", email=f"c{n % 9}@example.com") for n in range(10)]
        outcomes = await added_all(customers, wanted)
        assert [type(outcome) for outcome in outcomes] == [CustomerState] * 9 + [EmailTaken]
        facts = await told(customers.database)
        assert [fact.position for fact in facts] == list(range(1, 10))
        assert {fact.aggregate for fact in facts} == {o.id for o in outcomes if isinstance(o, CustomerState)}


async def test_what_fails_half_way_leaves_nothing_behind(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(place) as customers:
        ada = await added(customers)

        def broken(*_: object) -> None:
            raise RuntimeError("half-way")

        monkeypatch.setattr("orderhouse.customers.contract.CustomerDeactivated.told", broken)
        with pytest.raises(RuntimeError, match="half-way"):
            await customers.database.write(customers.service.deactivate, asked(Seen(ada.id, None)))
        assert (await customers.directory.cards([ada.id]))[ada.id].active
        assert len(await told(customers.database)) == 1


async def test_one_of_many_that_race_for_an_address_gets_it(place: Place) -> None:
    async with opened(place) as customers, opened(place) as elsewhere:
        outcomes = await together(
            20, lambda n: added((customers, elsewhere)[n % 2], f"Customer {n}", email="one@example.com")
        )
        assert Counter(type(outcome) for outcome in outcomes) == {CustomerState: 1, EmailTaken: 19}
        assert await counted(customers.database) == 1


async def test_one_of_many_that_race_to_change_wins_and_no_change_is_lost(place: Place) -> None:
    async with opened(place) as customers, opened(place) as elsewhere:
        ada = await added(customers)

        async def change(number: int) -> CustomerState:
            here = (customers, elsewhere)[number % 2]
            wanted = Change(ada.id, ChangeCustomer(name=f"Ada {number}"), 1)
            changed: CustomerState = await here.database.write(here.service.change, asked(wanted))
            return changed

        outcomes = await together(20, change)
        assert Counter(type(outcome) for outcome in outcomes) == {CustomerState: 1, CustomerMovedOn: 19}
        [winner] = [outcome for outcome in outcomes if isinstance(outcome, CustomerState)]
        assert (await customers.directory.cards([ada.id]))[ada.id].name == winner.name


async def test_a_customer_is_deactivated_once_however_many_ask(place: Place) -> None:
    async with opened(place) as customers, opened(place) as elsewhere:
        ada = await added(customers)

        async def deactivate(number: int) -> CustomerState:
            here = (customers, elsewhere)[number % 2]
            outcome: CustomerState = await here.database.write(here.service.deactivate, asked(Seen(ada.id, None)))
            return outcome

        outcomes = await together(20, deactivate)
        assert Counter(type(outcome) for outcome in outcomes) == {CustomerState: 1, AlreadyInactive: 19}
        assert [fact.sequence for fact in await told(customers.database)] == [1, 2]


async def test_a_file_brings_its_customers_once_however_often_and_from_wherever(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So many at once that both take turns often: each gives way soon enough on a machine that is slow.
    monkeypatch.setattr(InProcessDirectory, "_AT_ONCE", 100)
    wanted = [SourceCustomer(str(n), f"Customer {n}", "France") for n in range(1050)]
    async with opened(place) as customers, opened(place) as elsewhere:
        first, second = await asyncio.gather(
            customers.directory.admit("shop", wanted), elsewhere.directory.admit("shop", wanted[::-1])
        )
        assert first == second == await customers.directory.admit("shop", wanted[:10] + wanted)
        assert await counted(customers.database) == len(first) == 1050
        facts = await told(customers.database)
        assert Counter(fact.name for fact in facts) == {"CustomerAdded": 1050}
        assert {fact.origin.actor for fact in facts} == {"import:shop"}


async def test_nobody_of_a_file_is_admitted_when_one_cannot_be(place: Place) -> None:
    async with opened(place) as customers:
        with pytest.raises(CannotAdmit) as refused:
            await customers.directory.admit("shop", [SourceCustomer("7", "Ada"), SourceCustomer("8", "Be\x00n")])
        assert refused.value.more == {"external_id": "8"}
        assert await counted(customers.database) == 0


async def test_cards_are_there_for_whoever_is_there(place: Place) -> None:
    async with opened(place) as customers:
        ada = await added(customers, country="United Kingdom")
        cards = await customers.directory.cards([ada.id, new_id()])
        assert list(cards) == [ada.id]
        assert (cards[ada.id].name, cards[ada.id].country, cards[ada.id].active) == ("Ada", "United Kingdom", True)
        assert await customers.directory.cards([]) == {}


async def test_text_of_every_script_comes_back_as_it_went(place: Place) -> None:
    async with opened(place) as customers:
        name = "  Zoë & Ζωή's \u2028 茶房 🫖 \ufeff%_';--  "
        ada = await added(customers, name)
        assert (await customers.directory.cards([ada.id]))[ada.id].name == name


async def test_the_migrated_schema_is_the_one_the_code_knows(place: Place) -> None:
    assert migrate.drift(SCHEMA, place) == []


async def test_a_migration_can_be_taken_back_and_made_again(place: Place) -> None:
    migrate.migrate(SCHEMA, place, "base")
    assert migrate.drift(SCHEMA, place) != []
    migrate.migrate(SCHEMA, place)
    assert migrate.drift(SCHEMA, place) == []
    async with opened(place) as customers:
        await added(customers)


async def test_a_database_of_a_later_version_is_left_as_it_is_and_said_to_be_one(place: Place) -> None:
    async with opened(place) as customers:
        await customers.database.write(later, None)
    for _ in range(2):
        with pytest.raises(migrate.MigrationFailed, match=f"is at revision 9999, .* none past {SCHEMA.head}"):
            migrate.migrate(SCHEMA, place)
    assert migrate.current(SCHEMA, place) == "9999"


def later(tx: Transaction, asked: Sequence[None]) -> list[None]:
    tx.run("UPDATE alembic_version SET version_num = '9999'")
    return [None for _ in asked]


async def test_stored_answers_come_along_when_they_are_laid_out_anew(place: Place) -> None:
    async def heard() -> Answer:
        async with opened(place) as customers:
            once = OnceCall(
                customers.database,
                caller=Principal("me", "owner"),
                origin=Origin("me"),
                operation="POST /v1/customers",
                key="k1",
                fingerprint=b"f",
            )
            ada = AddCustomer.model_validate({"name": "Ada"})
            return await once(customers.service.add, ada, answer=lambda made: Answer(201, (), str(made.id).encode()))

    first = await heard()
    assert not first.replayed
    for revision in ("0001", "head"):
        migrate.migrate(SCHEMA, place, revision)
        assert await heard() == first._replace(replayed=True)
