"""Tokens: EdDSA-signed access tokens (RFC 9068), their keys, and the principal behind each.

A key is a file of its own, readable by its owner alone; the newest signs, all verify, so that keys can be rotated
without a token refused. A verified token is remembered by its hash until it expires.
"""

import os
import stat
import time
import warnings
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import jiter
import structlog
from joserfc import jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import OKPKey

from orderhouse.kernel.errors import Conflict, Refusal
from orderhouse.kernel.ids import new_id
from orderhouse.kernel.principal import ROLES, Principal, Role
from orderhouse.runtime.web.refusals import Unauthenticated

# RFC 9864 names the curve instead (Ed25519); EdDSA is what verifiers in the field know, and both mean the same here.
warnings.filterwarnings("ignore", "EdDSA is deprecated", SecurityWarning)

log = structlog.get_logger(__name__)

ISSUER = "orderhouse"
AUDIENCE = "orderhouse"
_LARGEST = 4096
_REMEMBERED = 10_000
_SKEW_S = 5
_RENEW_S = 1.0


class KeyUnsafe(Conflict):
    """A signing key can be read by others."""

    code = "key_unsafe"


class KeyMissing(Conflict):
    """There is no signing key."""

    code = "key_missing"


class KeyUnusable(Conflict):
    """A signing key is no Ed25519 key."""

    code = "key_unusable"


class SigningKeys:
    """The keys of one folder."""

    def __init__(self, folder: Path) -> None:
        """Read the keys in `folder`: KeyMissing without one, KeyUnsafe when others may read one, else KeyUnusable."""
        files = sorted(folder.glob("*.pem"))
        if not files:
            raise KeyMissing(f"No key in {folder}: `orderhouse up` makes one.")
        for file in files:
            if stat.S_IMODE(file.stat().st_mode) & 0o077:
                raise KeyUnsafe(f"{file} can be read by others: chmod 600 it, or make a new one.")
        self._keys = [_read(file) for file in files]

    @classmethod
    def made(cls, folder: Path) -> "SigningKeys":
        """Return the keys of `folder`, with a first one made if there is none."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not any(folder.glob("*.pem")):
            cls.add(folder)
        return cls(folder)

    @staticmethod
    def add(folder: Path) -> Path:
        """Make a key, which signs from now on; it is there whole or not at all."""
        pem = OKPKey.generate_key("Ed25519").as_pem(private=True)
        file = folder / f"{new_id()}.pem"
        partial = file.with_suffix(".partial")
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as out:
            out.write(pem)
            out.flush()
            os.fsync(out.fileno())
        partial.rename(file)
        _sync(folder)
        return file

    def issue(
        self, subject: str, role: Role, *, minutes: float, customer_id: UUID | None = None, now: float | None = None
    ) -> str:
        """Return a token for `subject`, signed with the newest key."""
        at = int(now if now is not None else time.time())
        key = self._keys[-1]
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "client_id": "orderhouse-cli",
            "iat": at,
            "exp": at + int(minutes * 60),
            "jti": str(new_id()),
            "role": role,
            **({"customer": str(customer_id)} if customer_id else {}),
        }
        return jwt.encode({"alg": "EdDSA", "typ": "at+jwt", "kid": key.kid}, claims, key, algorithms=["EdDSA"])

    def jwks(self) -> dict[str, Any]:
        """Return the public keys (RFC 7517)."""
        return {"keys": [_published(key) for key in self._keys]}


class Verifier:
    """Knows who is behind a token."""

    def __init__(self, jwks: Mapping[str, Any], renewed: Callable[[], Mapping[str, Any]] | None = None) -> None:
        """Trust the keys in `jwks` that are for EdDSA signatures; `renewed` returns what they are now.

        It is asked when a token names a key that is not known, once a second at most: so a new key is taken at once,
        and nobody can make the house read its keys all day.
        """
        self._renewed = renewed
        self._renew_after = 0.0
        self._remembered: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()
        self.trust(jwks)

    def trust(self, jwks: Mapping[str, Any]) -> None:
        """Trust the keys in `jwks` and no others from now on."""
        self._keys = {key["kid"]: OKPKey.import_key(dict(key)) for key in jwks["keys"] if _may_verify(key)}
        self.forget()

    def forget(self) -> None:
        """Verify every token anew: after tokens were revoked."""
        self._remembered.clear()

    def jwks(self) -> dict[str, Any]:
        """Return the public keys that are trusted now (RFC 7517)."""
        self._renew()
        return {"keys": [_published(key) for key in self._keys.values()]}

    def verify(self, token: str) -> Principal:
        """Return the principal of a valid access token of ours; Unauthenticated for anything else."""
        digest = sha256(token.encode("utf-8", "surrogatepass")).digest()
        remembered = self._remembered.get(digest)
        if remembered is not None:
            if remembered[0] > time.time():
                return remembered[1]
            del self._remembered[digest]
            raise Unauthenticated("The token has expired.")
        expires, principal = self._verified(token)
        self._remembered[digest] = (expires, principal)
        if len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)
        return principal

    def _verified(self, token: str) -> tuple[float, Principal]:
        if len(token) > _LARGEST:
            raise Unauthenticated
        try:
            header, claims = _parts(token)
            key = self._key(header)
            jwt.decode(token, key, algorithms=["EdDSA"])
        except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise Unauthenticated from None
        return _principal(claims)

    def _key(self, header: Mapping[str, Any]) -> OKPKey:
        # Nothing else is taken along in a header: no key, no address of one, nothing that decides how to verify.
        if set(header) != {"alg", "typ", "kid"} or header["typ"] != "at+jwt" or header["alg"] != "EdDSA":
            raise Unauthenticated
        if header["kid"] not in self._keys:
            self._renew()
        return self._keys[header["kid"]]

    def _renew(self) -> None:
        if self._renewed is None or time.monotonic() < self._renew_after:
            return
        self._renew_after = time.monotonic() + _RENEW_S
        try:
            now = self._renewed()
        except (Refusal, OSError) as error:
            # What was trusted stays trusted, and the caller hears nothing of files.
            log.warning("keys_not_renewed", error=type(error).__name__)
            return
        if {key["kid"] for key in now["keys"] if _may_verify(key)} != set(self._keys):
            self.trust(now)


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims as they are said: ValueError for names said twice, and for any other way to write them.

    Of one token there is one text: base64 with spare bits or padding would make others that verify as well.
    """
    encoded = token.encode("ascii").split(b".")
    decoded = [urlsafe_b64decode(part + b"=" * (-len(part) % 4)) for part in encoded]
    if len(decoded) != 3 or [urlsafe_b64encode(part).rstrip(b"=") for part in decoded] != encoded:
        raise ValueError
    header, claims = (jiter.from_json(part, allow_inf_nan=False, catch_duplicate_keys=True) for part in decoded[:2])
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise TypeError
    return header, claims


def _principal(claims: Mapping[str, Any]) -> tuple[float, Principal]:
    now = time.time()
    subject, role, customer = claims.get("sub"), claims.get("role"), claims.get("customer")
    expires, issued = claims.get("exp"), claims.get("iat")
    if claims.get("iss") != ISSUER or claims.get("aud") != AUDIENCE:
        raise Unauthenticated
    if type(expires) is not int or type(issued) is not int or issued > now + _SKEW_S:
        raise Unauthenticated
    if expires <= now:
        raise Unauthenticated("The token has expired.")
    not_before = claims.get("nbf", issued)
    if type(not_before) is not int or not_before > now + _SKEW_S:
        raise Unauthenticated
    if not isinstance(subject, str) or not 1 <= len(subject) <= 128 or not subject.isprintable() or role not in ROLES:
        raise Unauthenticated
    return expires, Principal(subject, role, _customer(customer, role))


def _customer(customer: object, role: Role) -> UUID | None:
    if role != "customer":
        return None
    try:
        return UUID(customer if isinstance(customer, str) else "")
    except ValueError:
        raise Unauthenticated from None


def _may_verify(key: Mapping[str, Any]) -> bool:
    right_kind = key.get("kty") == "OKP" and key.get("crv") == "Ed25519" and key.get("alg", "EdDSA") == "EdDSA"
    return right_kind and key.get("use", "sig") == "sig" and "verify" in key.get("key_ops", ["verify"])


def _read(file: Path) -> OKPKey:
    try:
        key = OKPKey.import_key(file.read_bytes())
        private = key.as_dict(private=True)
    except (JoseError, ValueError, TypeError, AttributeError):
        raise KeyUnusable(f"{file} is no private Ed25519 key.") from None
    if private.get("crv") != "Ed25519" or "d" not in private:
        raise KeyUnusable(f"{file} is no private Ed25519 key.")
    # RFC 7638: the same key has the same id wherever it is seen.
    return OKPKey.import_key({**private, "kid": key.thumbprint()})


def _published(key: OKPKey) -> dict[str, Any]:
    return {**key.as_dict(private=False), "alg": "EdDSA", "use": "sig"}


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
