"""Tokens: EdDSA-signed access tokens (RFC 9068), their keys, and the principal behind each.

A key is a file of its own, readable by its owner alone. A new one is published a moment before it signs, and all there
are verify, so that keys can be rotated without a token refused. A verified token is remembered by its hash until it
expires.
"""

import asyncio
import time
import warnings
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import jiter
import structlog
from joserfc import jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import OKPKey

from orderhouse.kernel.clock import Instant
from orderhouse.kernel.errors import Conflict, Refusal, Unauthenticated
from orderhouse.kernel.ids import new_id
from orderhouse.kernel.principal import PERMISSIONS, ROLES, Principal
from orderhouse.runtime import private_files
from orderhouse.runtime.revocations import Revocations

# RFC 9864 names the curve instead (Ed25519); EdDSA is what verifiers in the field know, and both mean the same here.
warnings.filterwarnings("ignore", "EdDSA is deprecated", SecurityWarning)

log = structlog.get_logger(__name__)

ISSUER = "orderhouse"
"""Whose tokens an operator's are; those of people and machines name the address of auth."""

AUDIENCE = "orderhouse"
OPERATOR = "orderhouse-cli"
_LARGEST = 4096
_REMEMBERED = 10_000
_SKEW_S = 5
_RENEW_S = 1.0
_LOOK_S = 0.3

SETTLES_S = 3.0
"""For how long a key is published before it signs: whoever verifies looks at the folder three times a second."""


class KeyMissing(Conflict):
    """There is no signing key."""

    code = "key_missing"


class KeyUnusable(Conflict):
    """A signing key is no Ed25519 key."""

    code = "key_unusable"


class SigningKeys:
    """The keys of one folder."""

    def __init__(self, folder: Path, issuer: str = ISSUER, *, settles_s: float = SETTLES_S) -> None:
        """Read the keys in `folder`: KeyMissing without one, KeyUnsafe when others may read one, else KeyUnusable."""
        files = sorted(folder.glob("*.pem"))
        if not files:
            raise KeyMissing(f"No key in {folder}: `orderhouse up` makes one.")
        self._keys = [_Key(_read(file), _made_at(file) + settles_s) for file in files]
        self._issuer = issuer

    @classmethod
    def made(cls, folder: Path) -> "SigningKeys":
        """Return the keys of `folder`, with a first one made if there is none."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not any(folder.glob("*.pem")):
            cls.add(folder)
        return cls(folder)

    @staticmethod
    def add(folder: Path) -> Path:
        """Make a key, which signs once it has settled; it is there whole or not at all."""
        pem = OKPKey.generate_key("Ed25519").as_pem(private=True)
        file = folder / f"{new_id()}.pem"
        private_files.write(file, pem)
        return file

    @staticmethod
    def retire(folder: Path, *, after_s: float) -> list[Path]:
        """Take away, and return, the keys that have signed nothing for so long: what they signed is good no more."""
        files = sorted(folder.glob("*.pem"))
        ended = time.time() - SETTLES_S - after_s
        retired = [file for file, following in pairwise(files) if _made_at(following) < ended]
        for file in retired:
            file.unlink()
        return retired

    def issue(
        self,
        subject: str,
        role: str,
        *,
        minutes: float,
        customer_id: UUID | None = None,
        permissions: Collection[str] | None = None,
        scope: str | None = None,
        client_id: str = OPERATOR,
        session: UUID | None = None,
        now: float | None = None,
    ) -> str:
        """Return an access token for `subject`, signed with the newest key that has settled."""
        at = int(now if now is not None else time.time())
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "aud": AUDIENCE,
            "sub": subject,
            "client_id": client_id,
            "iat": at,
            "exp": at + int(minutes * 60),
            "jti": str(new_id()),
            "role": role,
            **({"customer": str(customer_id)} if customer_id else {}),
            **({"permissions": sorted(permissions)} if permissions is not None else {}),
            **({"scope": scope} if scope is not None else {}),
            **({"sid": str(session)} if session else {}),
        }
        return self.signed(claims, "at+jwt")

    def signed(self, claims: Mapping[str, Any], kind: str) -> str:
        """Return `claims` as a token of this `kind`, signed with the newest key that has settled."""
        now = time.time()
        key = next((one.key for one in reversed(self._keys) if one.signs_from <= now), self._keys[0].key)
        return jwt.encode({"alg": "EdDSA", "typ": kind, "kid": key.kid}, dict(claims), key, algorithms=["EdDSA"])

    def jwks(self) -> dict[str, Any]:
        """Return the public keys (RFC 7517)."""
        return {"keys": [_published(one.key) for one in self._keys]}


class _Key(NamedTuple):
    key: OKPKey
    signs_from: float


def _made_at(file: Path) -> float:
    """Return when a key was made: its name says so, where it is one of ours; another's has always been there."""
    try:
        return (UUID(file.stem).int >> 80) / 1000
    except ValueError:
        return 0.0


class KeyFolder:
    """The keys of a folder as they are now: read anew when the folder was changed."""

    def __init__(self, folder: Path, issuer: str = ISSUER) -> None:
        """Look into `folder`; what its keys sign names `issuer`."""
        self._folder = folder
        self._issuer = issuer
        self._seen = -1
        self._keys: SigningKeys | None = None

    def __call__(self) -> SigningKeys:
        """Return the keys; KeyMissing, KeyUnsafe or KeyUnusable."""
        changed = self._folder.stat().st_mtime_ns if self._folder.exists() else 0
        if self._keys is None or changed != self._seen:
            self._keys, self._seen = SigningKeys(self._folder, self._issuer), changed
        return self._keys


class Verifier:
    """Knows who is behind a token."""

    def __init__(
        self,
        jwks: Mapping[str, Any],
        renewed: Callable[[], Mapping[str, Any]] | None = None,
        *,
        issuers: Collection[str] = (ISSUER,),
        revocations: Revocations | None = None,
    ) -> None:
        """Trust the keys in `jwks` that are for EdDSA signatures; `renewed` returns what they are now.

        It is asked when a token names a key that is not known, once a second at most: so a new key is taken at once,
        and nobody can make the house read its keys all day. What `revocations` cover is refused, remembered or not.
        """
        self._issuers = frozenset(issuers)
        self.revocations = revocations or Revocations()
        self._renewed = renewed
        self._renew_after = 0.0
        self._away = False
        self._remembered: OrderedDict[bytes, Verified] = OrderedDict()
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
        return self.examine(token).principal

    def examine(self, token: str) -> "Verified":
        """Return all that a valid access token of ours says; Unauthenticated for anything else."""
        digest = sha256(token.encode("utf-8", "surrogatepass")).digest()
        remembered = self._remembered.get(digest)
        if remembered is None:
            remembered = self._remembered[digest] = self._verified(token)
            if len(self._remembered) > _REMEMBERED:
                self._remembered.popitem(last=False)
        elif remembered.expires <= time.time():
            del self._remembered[digest]
            raise Unauthenticated("The token has expired.")
        if self.revocations.cover(remembered.principal, remembered.token_id, remembered.issued):
            raise Unauthenticated("The token was revoked.")
        return remembered

    def _verified(self, token: str) -> "Verified":
        if len(token) > _LARGEST:
            raise Unauthenticated
        try:
            header, claims = _parts(token)
            key = self._key(header)
            jwt.decode(token, key, algorithms=["EdDSA"])
        except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise Unauthenticated from None
        if claims.get("iss") not in self._issuers:
            raise Unauthenticated
        return _principal(claims)

    def _key(self, header: Mapping[str, Any]) -> OKPKey:
        # Nothing else is taken along in a header: no key, no address of one, nothing that decides how to verify.
        if set(header) != {"alg", "typ", "kid"} or header["typ"] != "at+jwt" or header["alg"] != "EdDSA":
            raise Unauthenticated
        if header["kid"] not in self._keys:
            self._renew()
        return self._keys[header["kid"]]

    def _renew(self) -> None:
        if time.monotonic() >= self._renew_after:
            self._renew_after = time.monotonic() + _RENEW_S
            self.renew()

    def renew(self) -> None:
        """Trust the keys there are now; while they cannot be read, those that were."""
        if self._renewed is None:
            return
        try:
            now = self._renewed()
        except (Refusal, OSError) as error:
            # The caller hears nothing of files.
            if not self._away:
                log.warning("keys_not_renewed", error=type(error).__name__)
            self._away = True
            return
        self._away = False
        if {key["kid"] for key in now["keys"] if _may_verify(key)} != set(self._keys):
            self.trust(now)


async def follow_keys(verifier: Verifier) -> None:
    """Let `verifier` know every key before it signs."""
    while True:
        verifier.renew()
        await asyncio.sleep(_LOOK_S)


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


class Verified(NamedTuple):
    """What a token says that was verified."""

    expires: int
    principal: Principal
    token_id: str
    issued: Instant
    client_id: str
    issuer: str


def _principal(claims: Mapping[str, Any]) -> Verified:
    now = time.time()
    subject, expires, issued = claims.get("sub"), claims.get("exp"), claims.get("iat")
    if claims.get("aud") != AUDIENCE:
        raise Unauthenticated
    if type(expires) is not int or type(issued) is not int or issued > now + _SKEW_S:
        raise Unauthenticated
    if expires <= now:
        raise Unauthenticated("The token has expired.")
    not_before = claims.get("nbf", issued)
    if type(not_before) is not int or not_before > now + _SKEW_S:
        raise Unauthenticated
    if not isinstance(subject, str) or not 1 <= len(subject) <= 128 or not subject.isprintable():
        raise Unauthenticated
    token_id = claims.get("jti")
    if not isinstance(token_id, str) or not token_id:
        raise Unauthenticated
    client_id = claims.get("client_id")
    if not isinstance(client_id, str) or not client_id:
        raise Unauthenticated
    session = _id(claims.get("sid")) if "sid" in claims else None
    principal = Principal(subject, *_allowed(claims), session)
    return Verified(expires, principal, token_id, _made(token_id, issued), client_id, claims["iss"])


def _made(token_id: str, issued: int) -> Instant:
    """Return when a token was issued: to the millisecond, where its id is one of ours."""
    try:
        made = (UUID(token_id).int >> 80) * 1000
    except ValueError:
        made = 0
    return made if made // 1_000_000 == issued else issued * 1_000_000


def _allowed(claims: Mapping[str, Any]) -> tuple[str, UUID | None, frozenset[str] | None, frozenset[str] | None]:
    """Return role, customer, permissions and scope."""
    role, permissions, scope = claims.get("role"), claims.get("permissions"), claims.get("scope")
    if not isinstance(role, str) or (role not in ROLES and permissions is None):
        raise Unauthenticated
    if permissions is not None:
        if not isinstance(permissions, list) or not all(isinstance(one, str) for one in permissions):
            raise Unauthenticated
        # A newer auth may know of more than is known here.
        permissions = frozenset(permissions) & PERMISSIONS.keys()
    if scope is not None and not isinstance(scope, str):
        raise Unauthenticated
    # Of a customer without a record there is nothing to see: its token says what it may do instead.
    customer = (
        _id(claims.get("customer")) if role == "customer" and (permissions is None or "customer" in claims) else None
    )
    return role, customer, permissions, None if scope is None else frozenset(scope.split())


def _id(said: object) -> UUID:
    try:
        return UUID(said if isinstance(said, str) else "")
    except ValueError:
        raise Unauthenticated from None


def _may_verify(key: Mapping[str, Any]) -> bool:
    right_kind = key.get("kty") == "OKP" and key.get("crv") == "Ed25519" and key.get("alg", "EdDSA") == "EdDSA"
    return right_kind and key.get("use", "sig") == "sig" and "verify" in key.get("key_ops", ["verify"])


def _read(file: Path) -> OKPKey:
    try:
        key = OKPKey.import_key(private_files.read(file))
        private = key.as_dict(private=True)
    except (JoseError, ValueError, TypeError, AttributeError):
        raise KeyUnusable(f"{file} is no private Ed25519 key.") from None
    if private.get("crv") != "Ed25519" or "d" not in private:
        raise KeyUnusable(f"{file} is no private Ed25519 key.")
    # RFC 7638: the same key has the same id wherever it is seen.
    return OKPKey.import_key({**private, "kid": key.thumbprint()})


def _published(key: OKPKey) -> dict[str, Any]:
    return {**key.as_dict(private=False), "alg": "EdDSA", "use": "sig"}
