"""Passwords: what is chosen well is taken, what everybody knows is not, and nobody waits for ever."""

import threading
import time

import pytest
from argon2 import PasswordHasher

from orderhouse.auth import passwords
from orderhouse.auth.errors import PasswordsBusy, PasswordTooWeak
from orderhouse.auth.passwords import Hasher

QUICK = {"memory_kib": 64, "passes": 1}


@pytest.mark.parametrize(
    "password",
    ["password123", "Password2024!", "1234567890", "qwertyuiop", "!!iloveyou!!", "aaaaaaaaaaaaaaa", "abababababab"],
)
def test_what_is_guessed_first_is_refused(password: str) -> None:
    with pytest.raises(PasswordTooWeak):
        passwords.check(password)


@pytest.mark.parametrize("password", ["ada.lovelace1", "Lovelace-Ada!", "lovelaceada"])
def test_ones_own_name_is_refused(password: str) -> None:
    with pytest.raises(PasswordTooWeak):
        passwords.check(password, known="ada.lovelace@example.com Ada Lovelace")


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "пароль не для всех",
        "🐎🔋📎✅🚢⚓🌊",
        "x" * 40 + "abcdefghijklmnop" * 20,
        "Ada likes 9 teas",
    ],
)
def test_long_and_odd_ones_are_taken(password: str) -> None:
    passwords.check(password, known="ada@example.com Ada")


def test_a_hash_is_argon2id_with_the_parameters_of_the_house() -> None:
    hasher = Hasher()
    kept = hasher.hashed("correct horse battery staple")
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert hasher.matches(kept, "correct horse battery staple")
    assert not hasher.matches(kept, "correct horse battery stable")
    assert not hasher.outdated(kept)
    hasher.close()


def test_the_same_letters_from_another_keyboard_are_the_same_password() -> None:
    hasher = Hasher(**QUICK)
    assert hasher.matches(hasher.hashed("cafe\u0301 au lait \ufb01n"), "caf\u00e9 au lait fin")
    hasher.close()


def test_what_is_no_hash_lets_nobody_in() -> None:
    hasher = Hasher(**QUICK)
    for kept in ("", "x", "$argon2id$v=19$m=19456,t=2,p=1$", "$2b$12$abcdefghijklmnopqrstuv"):
        assert not hasher.matches(kept, "correct horse battery staple")
    hasher.close()


def test_a_hash_of_long_ago_is_outdated() -> None:
    hasher = Hasher(**QUICK)
    assert hasher.outdated(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("x"))
    hasher.close()


def test_who_is_not_known_costs_the_same_work() -> None:
    hasher = Hasher()
    kept = hasher.hashed("correct horse battery staple")
    hasher.matches(None, "warm")

    def seconds(of: str | None) -> float:
        began = time.perf_counter()
        assert not hasher.matches(of, "another password")
        return time.perf_counter() - began

    known, unknown = (sorted(seconds(of) for _ in range(9))[4] for of in (kept, None))
    assert 0.5 < known / unknown < 2
    hasher.close()


def test_more_than_can_wait_are_refused_and_the_places_come_back() -> None:
    hasher = Hasher(at_once=1, waiting=1, **QUICK)
    go_on, entered = threading.Event(), threading.Semaphore(0)

    def hold() -> None:
        with hasher.turn():
            entered.release()
            assert go_on.wait(5)

    held = [threading.Thread(target=hold) for _ in range(2)]
    for one in held:
        one.start()
    for _ in held:
        assert entered.acquire(timeout=5)
    with pytest.raises(PasswordsBusy), hasher.turn():
        raise AssertionError("there was no place")
    go_on.set()
    for one in held:
        one.join()
    with hasher.turn():
        assert hasher.hashed("x")
    hasher.close()


def test_a_place_in_the_queue_comes_back_from_a_failure() -> None:
    hasher = Hasher(at_once=1, waiting=0, **QUICK)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), hasher.turn():
            raise ZeroDivisionError
    hasher.close()
