"""The one secret of auth, and what is derived from it."""

from pathlib import Path

import pytest

from orderhouse.auth.sealing import SealBroken, Sealer, SecretTooShort, digest_of, new_token
from orderhouse.runtime.private_files import KeyUnsafe

SECRET = b"a secret of thirty-two characters"


def test_a_secret_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "keys" / "auth.secret"
    made = Sealer.of("", file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert Sealer.of("", file).digest("a", "b") == made.digest("a", "b")


def test_a_secret_that_others_can_read_is_none(tmp_path: Path) -> None:
    file = tmp_path / "auth.secret"
    Sealer.of("", file)
    file.chmod(0o640)
    with pytest.raises(KeyUnsafe):
        Sealer.of("", file)


def test_a_secret_that_is_set_comes_first_and_has_to_be_long(tmp_path: Path) -> None:
    assert Sealer.of(SECRET.decode(), tmp_path / "x").digest("a", "b") == Sealer(SECRET).digest("a", "b")
    assert not (tmp_path / "x").exists()
    with pytest.raises(SecretTooShort):
        Sealer.of("short", tmp_path / "x")


def test_what_is_derived_depends_on_purpose_parts_and_secret() -> None:
    sealer = Sealer(SECRET)
    derived = {
        sealer.derived("a", "b", "c"),
        sealer.derived("a", "bc"),
        sealer.derived("b", "b", "c"),
        Sealer(SECRET[::-1]).derived("a", "b", "c"),
    }
    assert len(derived) == 4
    assert sealer.derived("a", "b", "c") in derived


def test_a_seal_is_opened_by_its_secret_and_purpose_alone() -> None:
    sealer = Sealer(SECRET)
    sealed = sealer.seal("totp", b"me")
    assert sealer.open("totp", sealed) == b"me"
    assert sealer.seal("totp", b"me") != sealed
    for other, purpose, content in (
        (sealer, "else", sealed),
        (Sealer(SECRET[::-1]), "totp", sealed),
        (sealer, "totp", sealed[:-1] + bytes([sealed[-1] ^ 1])),
    ):
        with pytest.raises(SealBroken):
            other.open(purpose, content)


def test_tokens_say_what_they_are_and_nothing_else() -> None:
    tokens = {new_token("ohr_") for _ in range(100)}
    assert len(tokens) == 100
    assert all(token.startswith("ohr_") and len(token) == 47 for token in tokens)
    assert digest_of("\ud800") != digest_of("?")
