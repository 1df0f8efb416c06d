"""Tokens: EdDSA-signed access tokens (RFC 9068), their keys, and the principal behind each.

A key is a file of its own, readable by its owner alone; the newest signs, all verify, so that keys can be rotated
without a token refused. A verified token is remembered by its hash until it expires.
"""

import os
import stat
import time
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import KeySet, OKPKey

from orderhouse.kernel.errors import Conflict
from orderhouse.kernel.ids import new_id
from orderhouse.kernel.principal import ROLES, Principal, Role
from orderhouse.runtime.web.refusals import Unauthenticated

# RFC 9864 names the curve instead (Ed25519); EdDSA is what verifiers in the field know, and both mean the same here.
warnings.filterwarnings("ignore", "EdDSA is deprecated", SecurityWarning)

ISSUER = "orderhouse"
AUDIENCE = "orderhouse"
_LARGEST = 4096
_REMEMBERED = 10_000
_SKEW_S = 5


class KeyUnsafe(Conflict):
    """A signing key can be read by others."""

    code = "key_unsafe"


class KeyMissing(Conflict):
    """There is no signing key."""

    code = "key_missing"


class SigningKeys:
    """The keys of one folder."""

    def __init__(self, folder: Path) -> None:
        """Read the keys in `folder`; KeyUnsafe when others may read one, KeyMissing when there is none."""
        files = sorted(folder.glob("*.pem"))
        if not files:
            raise KeyMissing(f"No key in {folder}: `orderhouse up` makes one.")
        for file in files:
            if stat.S_IMODE(file.stat().st_mode) & 0o077:
                raise KeyUnsafe(f"{file} can be read by others: chmod 600 it, or make a new one.")
        self._keys = [_with_kid(OKPKey.import_key(file.read_bytes())) for file in files]

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
        return {"keys": [{**key.as_dict(private=False), "alg": "EdDSA", "use": "sig"} for key in self._keys]}


class Verifier:
    """Knows who is behind a token."""

    def __init__(self, jwks: Mapping[str, Any]) -> None:
        """Trust the keys in `jwks`, those of them that are for EdDSA signatures."""
        trusted = [key for key in jwks["keys"] if _may_verify(key)]
        self._keys = KeySet([OKPKey.import_key(dict(key)) for key in trusted])
        self._known = {key["kid"] for key in trusted}
        self._remembered: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()

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

    def forget(self) -> None:
        """Verify every token anew: after keys were rotated or tokens revoked."""
        self._remembered.clear()

    def _verified(self, token: str) -> tuple[float, Principal]:
        if len(token) > _LARGEST or not token.isascii():
            raise Unauthenticated
        try:
            decoded = jwt.decode(token, self._keys, algorithms=["EdDSA"])
        except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise Unauthenticated from None
        if decoded.header.get("kid") not in self._known or decoded.header.get("typ") != "at+jwt":
            raise Unauthenticated
        if set(decoded.header) - {"alg", "typ", "kid"}:
            raise Unauthenticated  # Nothing a token brings along decides how it is verified.
        return _principal(decoded.claims)


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
    if not isinstance(subject, str) or not 1 <= len(subject) <= 128 or role not in ROLES:
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


def _with_kid(key: OKPKey) -> OKPKey:
    # RFC 7638: the same key has the same id wherever it is seen.
    return OKPKey.import_key({**key.as_dict(private=True), "kid": key.thumbprint()})
