"""Accounts, on SQLite and on PostgreSQL: registered, verified, and their passwords changed by whoever owns them."""

import asyncio
from pathlib import Path

import pytest

from orderhouse.auth.errors import (
    MailedTokenInvalid,
    NotAPerson,
    PasswordTooWeak,
    PasswordWrong,
    RefreshRefused,
    SignInRefused,
    TooManyAttempts,
)
from orderhouse.auth.models import MINUTE
from orderhouse.auth.schemas.accounts import AskReset, ChangePassword, Register, Reset, Verify
from orderhouse.auth.service.accounts import ChangeFrom, ResetFrom
from orderhouse.auth.service.asking import Where
from orderhouse.auth.wiring import SCHEMA
from orderhouse.kernel.errors import Unauthenticated
from orderhouse.kernel.ids import new_id
from orderhouse.kernel.principal import Principal
from orderhouse.runtime import migrate
from orderhouse.runtime.database.database import Place
from tests.integration.auth_world import ADA, HERE, PASSWORD, World, opened

pytestmark = [pytest.mark.anyio, pytest.mark.context("auth")]

BETTER = "another horse, another staple"


async def registers(world: World, email: str = ADA, password: str = PASSWORD) -> None:
    await world.do(world.auth.accounts.register, Register(email=email, name="Ada", password=password))


async def resets(world: World, token: str, password: str = BETTER) -> None:
    wanted = ResetFrom(Reset(token=token, new_password=password), HERE)
    await world.do(world.auth.accounts.reset, wanted)


async def test_somebody_registers_verifies_the_address_and_comes_in(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as world:
        world.people.records[ADA] = record = new_id()
        await registers(world)
        early = world.caller(await world.signs_in())
        assert (early.role, early.customer_id) == ("customer", None)
        assert early.may("account:use")
        assert not early.may("orders:place")
        await world.do(world.auth.accounts.verify, Verify(token=world.letters.token(), password=PASSWORD))
        late = world.caller(await world.signs_in())
        assert late.customer_id == record
        assert late.may("orders:place")
        with pytest.raises(MailedTokenInvalid):
            await world.do(world.auth.accounts.verify, Verify(token=world.letters.token(), password=PASSWORD))


async def test_whoever_registers_an_address_that_is_taken_cannot_tell_and_its_owner_is_told(
    place: Place, tmp_path: Path
) -> None:
    async with opened(place, tmp_path) as world:
        await world.somebody()
        await registers(world, password=BETTER)
        await asyncio.to_thread(world.auth.post.close)
        assert [mail.subject for mail in world.letters.sent] == ["You have an account"]
        await world.signs_in()
        with pytest.raises(SignInRefused):
            await world.signs_in(password=BETTER)


async def test_an_address_somebody_else_registered_is_not_theirs_by_a_click(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as world:
        await registers(world, password="the thief's own password")
        thief = await world.signs_in(password="the thief's own password")
        with pytest.raises(PasswordWrong):
            await world.do(world.auth.accounts.verify, Verify(token=world.letters.token(), password=PASSWORD))
        # Who owns the address registers again: the thief is out.
        await registers(world)
        await world.do(world.auth.accounts.verify, Verify(token=world.letters.token(2), password=PASSWORD))
        with pytest.raises(RefreshRefused):
            await world.refreshes(thief.refresh_token)
        with pytest.raises(SignInRefused):
            await world.signs_in(password="the thief's own password")
        await world.signs_in()


async def test_a_weak_password_registers_nobody(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as world:
        with pytest.raises(PasswordTooWeak):
            await registers(world, password="password123")
        assert world.people.by_email(ADA) is None
        assert await world.rows("SELECT * FROM credentials") == []


async def test_a_password_is_changed_by_whoever_knows_it_and_other_devices_are_out(
    place: Place, tmp_path: Path
) -> None:
    async with opened(place, tmp_path) as world:
        await world.somebody()
        here, there = await world.signs_in(), await world.signs_in()
        caller = world.caller(here)

        async def change(old: str, new: str) -> None:
            await world.do(
                world.auth.accounts.change_password,
                ChangeFrom(ChangePassword(password=old, new_password=new), HERE),
                caller,
            )

        with pytest.raises(PasswordWrong):
            await change("another password", BETTER)
        with pytest.raises(PasswordTooWeak):
            await change(PASSWORD, "1234567890")
        await change(PASSWORD, BETTER)
        await world.refreshes(here.refresh_token)
        with pytest.raises(RefreshRefused):
            await world.refreshes(there.refresh_token)
        with pytest.raises(SignInRefused):
            await world.signs_in()
        await world.signs_in(password=BETTER)
        with pytest.raises(NotAPerson):
            await world.do(
                world.auth.accounts.change_password,
                ChangeFrom(ChangePassword(password=PASSWORD, new_password=BETTER), HERE),
                Principal("operator", "owner"),
            )


async def test_a_password_is_set_by_mail_once_within_ten_minutes(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as world:
        await world.somebody()
        given = await world.signs_in()
        await world.do(world.auth.accounts.ask_reset, AskReset(email=ADA))
        token = world.letters.token()
        with pytest.raises(PasswordTooWeak):
            await resets(world, token, "qwertyuiop")
        racing = await asyncio.gather(
            *(resets(world, token, f"{BETTER} {n}") for n in range(10)), return_exceptions=True
        )
        assert sum(one is None for one in racing) == 1
        assert sum(isinstance(one, MailedTokenInvalid) for one in racing) == 9
        await world.follow()
        with pytest.raises(Unauthenticated):
            world.caller(given)
        with pytest.raises(RefreshRefused):
            await world.refreshes(given.refresh_token)
        await world.signs_in(password=f"{BETTER} {racing.index(None)}")
        await world.do(world.auth.accounts.ask_reset, AskReset(email=ADA))
        late = world.letters.token(2)
        world.later = 11 * MINUTE
        with pytest.raises(MailedTokenInvalid):
            await resets(world, late)


async def test_a_later_mail_makes_the_earlier_one_worthless(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as world:
        await world.somebody()
        for _ in range(2):
            await world.do(world.auth.accounts.ask_reset, AskReset(email=ADA))
        with pytest.raises(MailedTokenInvalid):
            await resets(world, world.letters.token(1))
        await resets(world, world.letters.token(2))
        await world.signs_in(password=BETTER)


async def test_a_token_of_one_purpose_is_good_for_no_other(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as world:
        await registers(world)
        with pytest.raises(MailedTokenInvalid):
            await resets(world, world.letters.token())
        await world.do(world.auth.accounts.ask_reset, AskReset(email=ADA))
        with pytest.raises(MailedTokenInvalid):
            await world.do(world.auth.accounts.verify, Verify(token=world.letters.token(2), password=PASSWORD))


async def test_a_reset_proves_the_address_and_lets_in_who_was_locked_out(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as world:
        await registers(world)
        stranger = Where("203.0.113.9", "")
        for street in range(8):
            where = Where(f"203.0.113.{street}", "")
            tries = (world.signs_in(password="wrong", where=where) for _ in range(15))
            await asyncio.gather(*tries, return_exceptions=True)
        with pytest.raises(TooManyAttempts):
            await world.signs_in(where=stranger)
        await world.do(world.auth.accounts.ask_reset, AskReset(email=ADA))
        await resets(world, world.letters.token(2))
        await world.signs_in(password=BETTER, where=stranger)
        person = world.people.by_email(ADA)
        assert person is not None
        assert person.email_verified


async def test_nobody_is_flooded_with_mail_and_who_is_not_known_gets_none(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as world:
        await world.somebody()
        for _ in range(8):
            await world.do(world.auth.accounts.ask_reset, AskReset(email=ADA))
            await world.do(world.auth.accounts.ask_reset, AskReset(email="nobody@example.com"))
        await asyncio.to_thread(world.auth.post.close)
        assert [mail.to for mail in world.letters.sent] == [ADA] * 5


async def test_the_schema_goes_up_and_down_and_is_what_the_code_knows(place: Place) -> None:
    assert migrate.drift(SCHEMA, place) == []
    migrate.migrate(SCHEMA, place, "base")
    assert migrate.current(SCHEMA, place) is None
    migrate.migrate(SCHEMA, place)
    assert migrate.drift(SCHEMA, place) == []
