"""Tokens: what is issued is known again, and nothing else is."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from orderhouse.kernel.errors import Unauthenticated
from orderhouse.kernel.principal import ROLES, Principal, Role
from orderhouse.runtime import tokens
from orderhouse.runtime.private_files import KeyUnsafe
from orderhouse.runtime.tokens import (
    SETTLES_S,
    KeyFolder,
    KeyMissing,
    KeyUnusable,
    SigningKeys,
    Verifier,
    follow_keys,
)

CUSTOMER = UUID("01997a3e-5d2c-7f4a-8a3f-0c7d4e2b9f10")
Change = Callable[[dict[str, Any], dict[str, Any]], object]


class House:
    """A house with one key, and the means of somebody who found it."""

    def __init__(self, folder: Path) -> None:
        self.keys = SigningKeys.made(folder)
        self.verifier = Verifier(self.keys.jwks())
        pem = OKPKey.import_key(next(folder.glob("*.pem")).read_bytes())
        self.private = Ed25519PrivateKey.from_private_bytes(unpadded(str(pem.as_dict(private=True)["d"])))

    def token(self, **more: Any) -> str:
        return self.keys.issue(**{"subject": "me", "role": "clerk", "minutes": 5, **more})

    def signed(self, header: bytes | dict[str, Any], claims: bytes | dict[str, Any]) -> str:
        """Return a token whose signature is right, whatever it says."""
        parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, claims)]
        said = b".".join(encoded(part) for part in parts)
        return (said + b"." + encoded(self.private.sign(said))).decode()

    def changed(self, change: Change) -> str:
        header, claims = (json.loads(unpadded(part)) for part in self.token().split(".")[:2])
        change(header, claims)
        return self.signed(header, claims)


def encoded(part: bytes) -> bytes:
    return base64.urlsafe_b64encode(part).rstrip(b"=")


def unpadded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return House(tmp_path_factory.mktemp("keys"))


# Who is behind a token


@pytest.mark.parametrize("role", ROLES)
def test_a_token_says_who_asks(house: House, role: Role) -> None:
    token = house.token(role=role, customer_id=CUSTOMER)
    assert house.verifier.verify(token) == Principal("me", role, CUSTOMER if role == "customer" else None)


def test_a_token_is_an_access_token_of_rfc_9068(house: House) -> None:
    header, claims = (json.loads(unpadded(part)) for part in house.token().split(".")[:2])
    assert header == {"alg": "EdDSA", "typ": "at+jwt", "kid": house.keys.jwks()["keys"][0]["kid"]}
    assert {"iss", "aud", "sub", "client_id", "iat", "exp", "jti"} <= set(claims)
    assert (claims["iss"], claims["aud"], claims["exp"] - claims["iat"]) == ("orderhouse", "orderhouse", 300)


def test_a_token_ends(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    token = house.token(minutes=1)
    house.verifier.verify(token)
    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            house.verifier.verify(token)
    with pytest.raises(Unauthenticated):
        Verifier(house.keys.jwks()).verify(token)


def test_a_verified_token_is_remembered_but_not_for_ever(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_REMEMBERED", 3)
    verifier = Verifier(house.keys.jwks())
    some = [house.token() for _ in range(5)]
    for token in some:
        verifier.verify(token)
    monkeypatch.setattr(jwt, "decode", lambda *_, **__: pytest.fail("verified again"))
    verifier.verify(some[-1])
    with pytest.raises(pytest.fail.Exception):
        verifier.verify(some[0])


def test_what_was_refused_once_is_refused_again(house: House) -> None:
    forged = house.changed(lambda _, claims: claims.update(role="king"))
    for _ in range(3):
        with pytest.raises(Unauthenticated):
            house.verifier.verify(forged)


# What is signed rightly and still refused

WRONG: dict[str, Change] = {
    "another issuer": lambda _, claims: claims.update(iss="elsewhere"),
    "no issuer": lambda _, claims: claims.pop("iss"),
    "another audience": lambda _, claims: claims.update(aud="elsewhere"),
    "several audiences": lambda _, claims: claims.update(aud=["orderhouse", "elsewhere"]),
    "no audience": lambda _, claims: claims.pop("aud"),
    "expired": lambda _, claims: claims.update(exp=int(time.time()) - 1),
    "expires now": lambda _, claims: claims.update(exp=int(time.time())),
    "never expires": lambda _, claims: claims.pop("exp"),
    "expires as text": lambda _, claims: claims.update(exp="9999999999"),
    "expires as a float": lambda _, claims: claims.update(exp=9999999999.5),
    "expires as truth": lambda _, claims: claims.update(exp=True),
    "issued tomorrow": lambda _, claims: claims.update(iat=int(time.time()) + 86400),
    "not issued": lambda _, claims: claims.pop("iat"),
    "not yet valid": lambda _, claims: claims.update(nbf=int(time.time()) + 60),
    "valid from a word": lambda _, claims: claims.update(nbf="now"),
    "no subject": lambda _, claims: claims.pop("sub"),
    "an empty subject": lambda _, claims: claims.update(sub=""),
    "a subject that is no text": lambda _, claims: claims.update(sub=7),
    "a long subject": lambda _, claims: claims.update(sub="x" * 129),
    "a subject of two lines": lambda _, claims: claims.update(sub="me\nyou"),
    "no role": lambda _, claims: claims.pop("role"),
    "an unknown role": lambda _, claims: claims.update(role="admin"),
    "several roles": lambda _, claims: claims.update(role=["owner"]),
    "a customer of nobody": lambda _, claims: claims.update(role="customer"),
    "a customer without an id": lambda _, claims: claims.update(role="customer", customer="me"),
    "a customer of a number": lambda _, claims: claims.update(role="customer", customer=1),
    "an id token": lambda header, _: header.update(typ="JWT"),
    "a token of no type": lambda header, _: header.pop("typ"),
    "no key named": lambda header, _: header.pop("kid"),
    "an unknown key": lambda header, _: header.update(kid="elsewhere"),
    "a key that is no text": lambda header, _: header.update(kid=["elsewhere"]),
    "none": lambda header, _: header.update(alg="none"),
    "None": lambda header, _: header.update(alg="None"),
    "an HMAC": lambda header, _: header.update(alg="HS256"),
    "another curve": lambda header, _: header.update(alg="ES256"),
    "no algorithm": lambda header, _: header.pop("alg"),
    "a key brought along": lambda header, _: header.update(jwk={"kty": "OKP", "crv": "Ed25519", "x": "AA"}),
    "the address of keys": lambda header, _: header.update(jku="https://elsewhere.test/keys"),
    "the address of a certificate": lambda header, _: header.update(x5u="https://elsewhere.test/cert"),
    "a certificate brought along": lambda header, _: header.update(x5c=["AA"]),
    "something critical": lambda header, _: header.update(crit=["b64"], b64=False),
    "something compressed": lambda header, _: header.update(zip="DEF"),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_a_token_that_is_signed_but_not_for_this_is_refused(house: House, change: Change) -> None:
    with pytest.raises(Unauthenticated) as refused:
        house.verifier.verify(house.changed(change))
    assert refused.value.detail in ("", "The token has expired.")


def test_the_control_a_token_changed_in_nothing_is_known(house: House) -> None:
    assert house.verifier.verify(house.changed(lambda *_: None)) == Principal("me", "clerk")


def test_what_is_said_twice_is_refused(house: House) -> None:
    header, claims = (unpadded(part) for part in house.token().split(".")[:2])
    twice = claims.replace(b"{", b'{"role":"owner",', 1)
    for one, other in ((header, twice), (header.replace(b"{", b'{"alg":"none",', 1), claims)):
        with pytest.raises(Unauthenticated):
            house.verifier.verify(house.signed(one, other))


@pytest.mark.parametrize("claims", [b"", b"null", b"[]", b'"me"', b"1", b"{", b"\xff", b"{}", b"[" * 2000])
def test_claims_that_are_none_are_refused(house: House, claims: bytes) -> None:
    header = unpadded(house.token().split(".")[0])
    for one in (house.signed(header, claims), house.signed(claims, header)):
        with pytest.raises(Unauthenticated):
            house.verifier.verify(one)


# What is not signed rightly


def test_a_token_without_its_signature_is_refused(house: House) -> None:
    header, claims, signature = house.token().split(".")
    none = encoded(b'{"alg":"none","typ":"at+jwt"}').decode()
    for forged in (
        f"{header}.{claims}.",
        f"{header}.{claims}",
        f"{none}.{claims}.",
        f"{header}..{signature}",
        f".{claims}.{signature}",
        f"{header}.{claims}.{signature}.",
        f"{header}.{claims}.{signature}.{signature}.{signature}",
        f"{header}.{claims}.{encoded(bytes(64)).decode()}",
    ):
        with pytest.raises(Unauthenticated):
            house.verifier.verify(forged)


def test_a_signature_of_another_token_is_refused(house: House) -> None:
    one, other = (house.token(role=role).split(".") for role in ("clerk", "owner"))
    with pytest.raises(Unauthenticated):
        house.verifier.verify(".".join([*other[:2], one[2]]))


def test_there_is_one_way_to_write_a_token(house: House) -> None:
    """The last letter of a signature has four bits to spare: fifteen other texts would verify as well."""
    header, claims, signature = house.token().split(".")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    others = [f"{header}.{claims}.{signature[:-1]}{letter}" for letter in letters if letter != signature[-1]]
    others += [f"{header}.{claims}.{signature}==", f"{header}.{claims}.{signature}=", f" {header}.{claims}.{signature}"]
    others += [f"{header}.{claims}.{signature}\n", f"{header}.{claims}.{signature[:40]}!{signature[40:]}"]
    for other in others:
        with pytest.raises(Unauthenticated):
            house.verifier.verify(other)


def test_another_house_s_key_of_the_same_name_is_refused(house: House, tmp_path: Path) -> None:
    stranger = House(tmp_path)
    kid = house.keys.jwks()["keys"][0]["kid"]
    with pytest.raises(Unauthenticated):
        house.verifier.verify(stranger.changed(lambda header, _: header.update(kid=kid)))


def test_the_public_key_is_no_secret_to_sign_with(house: House) -> None:
    """Algorithm confusion: the public key, which everybody has, taken for the secret of an HMAC."""
    public = house.keys.jwks()["keys"][0]
    header, claims = {"alg": "HS256", "typ": "at+jwt", "kid": public["kid"]}, house.token().split(".")[1]
    said = encoded(json.dumps(header).encode()) + b"." + claims.encode()
    for secret in (unpadded(public["x"]), public["x"].encode(), json.dumps(public).encode()):
        forged = said + b"." + encoded(hmac.new(secret, said, hashlib.sha256).digest())
        with pytest.raises(Unauthenticated):
            house.verifier.verify(forged.decode())


def test_a_token_is_at_most_four_kilobytes(house: House) -> None:
    with pytest.raises(Unauthenticated):
        house.verifier.verify(house.changed(lambda _, claims: claims.update(more="x" * 4096)))


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=300) | st.lists(st.binary(max_size=60).map(encoded), max_size=6).map(b".".join).map(bytes.decode)
)
def test_nothing_else_is_a_token(house: House, token: str) -> None:
    with pytest.raises(Unauthenticated):
        house.verifier.verify(token)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_bit_of_a_token_can_be_changed(house: House, data: st.DataObject) -> None:
    token = bytearray(house.token().encode())
    at = data.draw(st.integers(0, len(token) - 1))
    token[at] ^= data.draw(st.integers(1, 127))
    with pytest.raises(Unauthenticated):
        house.verifier.verify(token.decode("latin-1"))


# Keys


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    first = SigningKeys.made(folder).jwks()
    (file,) = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert SigningKeys.made(folder).jwks() == first == SigningKeys(folder).jwks()


def test_the_published_keys_are_public_and_named_by_their_thumbprint(house: House) -> None:
    (key,) = house.keys.jwks()["keys"]
    assert set(key) == {"kty", "crv", "x", "kid", "alg", "use"}
    assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("OKP", "Ed25519", "EdDSA", "sig")
    assert key["kid"] == OKPKey.import_key({name: key[name] for name in ("kty", "crv", "x")}).thumbprint()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o666])
def test_a_key_others_can_read_is_not_used(tmp_path: Path, mode: int) -> None:
    SigningKeys.made(tmp_path)
    next(tmp_path.iterdir()).chmod(mode)
    with pytest.raises(KeyUnsafe):
        SigningKeys.made(tmp_path)


def test_without_a_key_nothing_is_issued(tmp_path: Path) -> None:
    with pytest.raises(KeyMissing):
        SigningKeys(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no key",
        b"\xff\x00",
        ECKey.generate_key("P-256").as_pem(private=True),
        RSAKey.generate_key(2048).as_pem(private=True),
        OKPKey.generate_key("X25519").as_pem(private=True),
        OKPKey.generate_key("Ed448").as_pem(private=True),
        OKPKey.generate_key("Ed25519").as_pem(private=False),
    ],
    ids=["empty", "text", "bytes", "P-256", "RSA", "X25519", "Ed448", "public"],
)
def test_what_is_no_signing_key_is_not_used(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "1.pem"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(KeyUnusable):
        SigningKeys(tmp_path)


def test_a_key_half_written_is_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", out_of_space)
        with pytest.raises(OSError, match="No space"):
            SigningKeys.made(tmp_path)
    with pytest.raises(KeyMissing):
        SigningKeys(tmp_path)
    assert SigningKeys.made(tmp_path).jwks()["keys"]


def kid_of(token: str) -> str:
    return str(json.loads(unpadded(token.split(".")[0]))["kid"])


def test_the_newest_key_signs_and_all_verify(tmp_path: Path) -> None:
    old = SigningKeys.made(tmp_path)
    before = old.issue("me", "owner", minutes=5)
    SigningKeys.add(tmp_path)
    new = SigningKeys(tmp_path, settles_s=0)
    after = new.issue("me", "owner", minutes=5)
    assert [key["kid"] for key in new.jwks()["keys"]][:1] == [key["kid"] for key in old.jwks()["keys"]]
    assert kid_of(after) == new.jwks()["keys"][1]["kid"]
    verifier = Verifier(new.jwks())
    assert verifier.verify(before) == verifier.verify(after)


def test_a_new_key_is_published_before_it_signs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SigningKeys.made(tmp_path)
    SigningKeys.add(tmp_path)
    keys = SigningKeys(tmp_path)
    old, new = (key["kid"] for key in keys.jwks()["keys"])
    assert kid_of(keys.issue("me", "owner", minutes=5)) == old
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + SETTLES_S + 0.1)
    assert kid_of(keys.issue("me", "owner", minutes=5)) == new


def test_a_key_is_taken_away_when_what_it_signed_has_expired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SigningKeys.made(tmp_path)
    made, now = [SigningKeys.add(tmp_path) for _ in range(2)], time.time()
    assert SigningKeys.retire(tmp_path, after_s=600) == []
    monkeypatch.setattr(time, "time", lambda: now + SETTLES_S + 601)
    assert len(SigningKeys.retire(tmp_path, after_s=600)) == 2
    # The one that signs stays, however old it is.
    assert list(tmp_path.glob("*.pem")) == made[1:]
    assert SigningKeys.retire(tmp_path, after_s=600) == []


def test_a_new_key_is_known_without_a_restart(tmp_path: Path) -> None:
    keys = SigningKeys.made(tmp_path)
    verifier = Verifier(keys.jwks(), renewed=lambda: SigningKeys(tmp_path).jwks())
    verifier.verify(keys.issue("me", "owner", minutes=5))
    SigningKeys.add(tmp_path)
    assert verifier.verify(SigningKeys(tmp_path, settles_s=0).issue("me", "owner", minutes=5)).subject == "me"
    assert len(verifier.jwks()["keys"]) == 2


@pytest.mark.anyio
async def test_a_new_key_is_known_before_anybody_uses_it_and_a_retired_one_no_more(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path)
    verifier = Verifier(SigningKeys.made(tmp_path).jwks(), renewed=lambda: folder().jwks())
    known = verifier._keys
    following = asyncio.create_task(follow_keys(verifier))
    try:
        added = SigningKeys.add(tmp_path)
        async with asyncio.timeout(SETTLES_S):
            while len(verifier._keys) != 2:
                await asyncio.sleep(0.01)
        assert set(known) < set(verifier._keys)
        added.unlink()
        async with asyncio.timeout(SETTLES_S):
            while len(verifier._keys) != 1:
                await asyncio.sleep(0.01)
    finally:
        following.cancel()


def test_keys_are_not_read_again_for_every_forgery(house: House) -> None:
    read: list[int] = []

    def renewed() -> dict[str, Any]:
        read.append(1)
        return house.keys.jwks()

    verifier = Verifier(house.keys.jwks(), renewed)
    for number in range(50):
        kid = str(number)
        with pytest.raises(Unauthenticated):
            verifier.verify(house.changed(lambda header, _: header.update(kid=kid)))  # noqa: B023 - called at once
    assert len(read) <= 2


def test_keys_that_cannot_be_read_now_stay_as_they_were(house: House) -> None:
    def unreadable() -> dict[str, Any]:
        raise KeyUnsafe("/secret/path can be read by others")

    verifier = Verifier(house.keys.jwks(), renewed=unreadable)
    with pytest.raises(Unauthenticated) as refused:
        verifier.verify(house.changed(lambda header, _: header.update(kid="x")))
    assert refused.value.detail == ""
    assert verifier.verify(house.token()).subject == "me"


def test_a_key_taken_away_is_trusted_no_more(house: House, tmp_path: Path) -> None:
    token = house.token()
    verifier = Verifier(house.keys.jwks())
    verifier.verify(token)
    verifier.trust(SigningKeys.made(tmp_path).jwks())
    with pytest.raises(Unauthenticated):
        verifier.verify(token)


@pytest.mark.parametrize(
    "more",
    [
        {"use": "enc"},
        {"key_ops": ["sign"]},
        {"key_ops": []},
        {"alg": "Ed448"},
        {"alg": "HS256"},
        {"crv": "X25519"},
        {"kty": "EC"},
    ],
)
def test_a_key_is_used_for_what_it_is_for(house: House, more: dict[str, Any]) -> None:
    (key,) = house.keys.jwks()["keys"]
    with pytest.raises(Unauthenticated):
        Verifier({"keys": [{**key, **more}]}).verify(house.token())


def test_a_secret_among_the_public_keys_verifies_nothing(house: House) -> None:
    secret = OctKey.generate_key(256).as_dict(private=True)
    with pytest.raises(Unauthenticated):
        Verifier({"keys": [{**secret, "kid": house.keys.jwks()["keys"][0]["kid"]}]}).verify(house.token())
