"""Signing in, on SQLite and on PostgreSQL: who comes in, who does not, and what is told of it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pyotp
import pytest
from argon2 import PasswordHasher

from orderhouse.auth.errors import (
    CodeWrong,
    FactorMissing,
    FactorThere,
    PasswordMustChange,
    PasswordTooWeak,
    SecondFactorNeeded,
    SecondFactorWrong,
    SignInRefused,
    TooManyAttempts,
)
from orderhouse.auth.models import DAY, MINUTE, SECOND
from orderhouse.auth.service.asking import Where
from orderhouse.kernel import clock
from orderhouse.kernel.errors import Unavailable
from orderhouse.kernel.ids import new_id
from orderhouse.runtime.database.database import Place
from orderhouse.runtime.database.transaction import Transaction
from tests.integration.auth_world import ADA, HERE, PASSWORD, World, opened

pytestmark = [pytest.mark.anyio, pytest.mark.context("auth")]

STRANGER = Where("203.0.113.9", "")


async def failures(world: World, count: int, where: Where, **more: str) -> list[type[object]]:
    """Return what so many wrong passwords at once come to."""
    tries = (world.signs_in(password=f"wrong {n}", where=where, **more) for n in range(count))
    return [type(one) for one in await asyncio.gather(*tries, return_exceptions=True)]


async def test_somebody_comes_in_as_who_they_are(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as world:
        ada = await world.somebody(role="manager")
        given = await world.signs_in(email="ADA@example.com", device="Ada's tablet")
        caller = world.caller(given)
        assert (caller.subject, caller.role, caller.session) == (str(ada.id), "manager", given.session_id)
        assert caller.may("orders:assign")
        found = await world.rows("SELECT device, address, factors FROM sessions ORDER BY id DESC LIMIT 1")
        assert found == [("Ada's laptop", "192.0.2.7", "pwd")]
        assert (await world.audited())[-1] == "signed_in"


async def test_nobody_comes_in_who_is_not_known_or_has_another_password(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as world:
        ada = await world.somebody()
        before = len(await world.rows("SELECT id FROM sessions"))
        told = []
        for email, password in ((ADA, "another password"), ("nobody@example.com", PASSWORD)):
            with pytest.raises(SignInRefused) as refused:
                await world.signs_in(email=email, password=password)
            told.append((refused.value.code, refused.value.detail, refused.value.more))
        assert told[0] == told[1]
        world.people.become(ada.id, active=False)
        with pytest.raises(SignInRefused):
            await world.signs_in()
        assert len(await world.rows("SELECT id FROM sessions")) == before
        # A stranger's failure is in no log but the server's own.
        assert (await world.audited())[-2:] == ["sign_in_failed"] * 2


async def test_without_users_nobody_comes_in_and_no_attempt_is_counted(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as world:
        await world.somebody()
        counted = await world.rows("SELECT * FROM attempts")
        world.people.down = True
        with pytest.raises(Unavailable):
            await world.signs_in()
        assert await world.rows("SELECT * FROM attempts") == counted


async def test_a_password_good_for_once_has_to_be_changed(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as world:
        owner = world.people.add(new_id(), ADA, "owner")
        await world.do(lambda asked: world.auth.accounts.give_once(asked, "once and only once"), owner.id)
        with pytest.raises(PasswordMustChange):
            await world.signs_in(password="once and only once")
        with pytest.raises(PasswordTooWeak):
            await world.signs_in(password="once and only once", new_password="password123")
        await world.signs_in(password="once and only once", new_password=PASSWORD)
        with pytest.raises(SignInRefused):
            await world.signs_in(password="once and only once", new_password="another good password")
        await world.signs_in()
        # Given again, it would not take an owner's own password away.
        await world.do(lambda asked: world.auth.accounts.give_once(asked, "once and only once"), owner.id)
        await world.signs_in()


async def test_a_hash_of_long_ago_is_made_anew(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as world:
        await world.somebody()
        old = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)

        def become(tx: Transaction, asked: Sequence[str]) -> list[int]:
            return [tx.run("UPDATE credentials SET password_hash = :old", old=one) for one in asked]

        await world.auth.database.write(become, old)
        await world.signs_in()
        ((now,),) = await world.rows("SELECT password_hash FROM credentials")
        assert now != old
        assert "m=64,t=1" in now
        await world.signs_in()


async def test_a_hundred_wrong_passwords_are_all_a_stranger_has(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as world:
        await world.somebody()
        device = (await world.signs_in()).device_token
        told = []
        for street in range(12):
            told += await failures(world, 15, Where(f"203.0.113.{street}", ""))
        assert told.count(SignInRefused) == 100
        assert told.count(TooManyAttempts) == 80
        # Strangers are kept out with the right password, too; the owner comes in on a device that is known.
        with pytest.raises(TooManyAttempts):
            await world.signs_in(where=STRANGER)
        await world.signs_in(where=STRANGER, device_token=device)
        world.later = DAY + MINUTE
        await world.signs_in(where=STRANGER)


async def test_from_one_address_there_are_twenty(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as world:
        await world.somebody()
        told = await failures(world, 30, STRANGER)
        assert told.count(SignInRefused) == 20
        with pytest.raises(TooManyAttempts) as refused:
            await world.signs_in(where=STRANGER)
        assert refused.value.retry_after_s == 900
        await world.signs_in(where=HERE)
        world.later = 16 * MINUTE
        await world.signs_in(where=STRANGER)


async def test_who_is_not_known_is_throttled_as_everybody(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as world:
        tries = (world.signs_in(email="nobody@example.com", where=STRANGER) for _ in range(30))
        told = [type(one) for one in await asyncio.gather(*tries, return_exceptions=True)]
        assert (told.count(SignInRefused), told.count(TooManyAttempts)) == (20, 10)


async def test_another_accounts_device_is_a_strangers(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as world:
        await world.somebody()
        await world.somebody("eve@example.com")
        device = (await world.signs_in("eve@example.com")).device_token
        for token in (device or "", "ohd_forged.forged", "ohd_é.é", "ohd_."):
            told = await failures(
                world, 10, Where(token[-4:], ""), device_token=token[:50] if token != device else token
            )
            assert set(told) <= {SignInRefused, TooManyAttempts}
        ((count,),) = await world.rows("SELECT max(failures) FROM attempts")
        assert count >= 40


async def test_coming_in_forgives_what_failed_before(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as world:
        await world.somebody()
        for _ in range(3):
            assert await failures(world, 15, HERE) == [SignInRefused] * 15
            await world.signs_in()


async def test_a_second_factor_is_asked_for_and_each_code_is_good_once(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as world:
        await world.somebody()
        caller = world.caller(await world.signs_in())
        offered = await world.do(world.auth.factors.offer, None, caller)
        assert f"secret={offered.secret}" in offered.uri
        # It counts only once a code of it came back.
        await world.signs_in()
        with pytest.raises(CodeWrong):
            await world.do(world.auth.factors.confirm, "000000", caller)
        totp = pyotp.TOTP(offered.secret)
        recovery = await world.do(world.auth.factors.confirm, totp.at(clock.now() // SECOND), caller)
        with pytest.raises(FactorThere):
            await world.do(world.auth.factors.offer, None, caller)
        with pytest.raises(SecondFactorNeeded):
            await world.signs_in()
        world.later = 60 * SECOND
        code = totp.at((clock.now() + world.later) // SECOND)
        tried = [world.signs_in(code=code) for _ in range(10)]
        told = [type(one).__name__ for one in await asyncio.gather(*tried, return_exceptions=True)]
        assert (told.count("Given"), told.count("SecondFactorWrong")) == (1, 9)
        # A code of the next half minute is taken, one of an hour ago is not.
        with pytest.raises(SecondFactorWrong):
            await world.signs_in(code=totp.at(clock.now() // SECOND - 3600))
        await world.signs_in(code=recovery[0].upper())
        with pytest.raises(SecondFactorWrong):
            await world.signs_in(code=recovery[0])
        ((sealed,),) = await world.rows("SELECT sealed FROM totp_secrets")
        assert offered.secret.encode() not in bytes(sealed)


async def test_a_second_factor_is_removed_by_a_code_of_it(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as world:
        await world.somebody()
        caller = world.caller(await world.signs_in())
        with pytest.raises(FactorMissing):
            await world.do(world.auth.factors.remove, "123456", caller)
        offered = await world.do(world.auth.factors.offer, None, caller)
        code = pyotp.TOTP(offered.secret).at(clock.now() // SECOND)
        codes = await world.do(world.auth.factors.confirm, code, caller)
        with pytest.raises(CodeWrong):
            await world.do(world.auth.factors.remove, "wrong-codes", caller)
        await world.do(world.auth.factors.remove, codes[3], caller)
        await world.signs_in()
        assert await world.rows("SELECT * FROM recovery_codes") == []
        assert [one for one in await world.audited() if "factor" in one or "recovery" in one] == [
            "second_factor_added",
            "recovery_code_used",
            "second_factor_removed",
        ]


async def test_a_guessed_code_counts_as_a_failure(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path) as world:
        await world.somebody()
        caller = world.caller(await world.signs_in())
        offered = await world.do(world.auth.factors.offer, None, caller)
        await world.do(world.auth.factors.confirm, pyotp.TOTP(offered.secret).at(clock.now() // SECOND), caller)
        tries = (world.signs_in(code="000000", where=STRANGER) for _ in range(25))
        told = [type(one) for one in await asyncio.gather(*tries, return_exceptions=True)]
        assert (told.count(SecondFactorWrong), told.count(TooManyAttempts)) == (20, 5)
