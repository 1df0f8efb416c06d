"""What is derived from the one secret of auth: digests nobody else can make, and seals nobody else can open."""

import hmac
import os
import secrets
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from orderhouse.kernel.errors import Conflict
from orderhouse.runtime import private_files

_LEAST = 32
_NONCE = 12


class SecretTooShort(Conflict):
    """The secret of auth has fewer than 32 characters."""

    code = "secret_too_short"


class SealBroken(Conflict):
    """This was sealed with another secret."""

    code = "seal_broken"


class Sealer:
    """Everything that needs the secret. What is derived for one purpose says nothing of another."""

    def __init__(self, secret: bytes) -> None:
        """Derive from `secret`; SecretTooShort."""
        if len(secret) < _LEAST:
            raise SecretTooShort
        self._secret = secret

    @classmethod
    def of(cls, secret: str, file: Path) -> "Sealer":
        """Return that of `secret`, or where none is set that of `file`, which is made if it is not there."""
        if secret:
            return cls(secret.encode())
        if not file.exists():
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            private_files.write(file, secrets.token_bytes(_LEAST))
        return cls(private_files.read(file))

    def digest(self, purpose: str, *parts: str) -> bytes:
        """Return 32 bytes that stand for `parts` and that nobody without the secret can tell."""
        return hmac.digest(self._key(purpose), "\0".join(parts).encode("utf-8", "surrogatepass"), sha256)

    def derived(self, purpose: str, *parts: str) -> str:
        """Return a token that comes of `parts`, the same every time."""
        return _text(self.digest(purpose, *parts))

    def seal(self, purpose: str, content: bytes) -> bytes:
        """Return `content` so that only `open` can tell it."""
        nonce = os.urandom(_NONCE)
        return nonce + AESGCM(self._key(purpose)).encrypt(nonce, content, None)

    def open(self, purpose: str, sealed: bytes) -> bytes:
        """Return what was sealed; SealBroken when the secret is another, or the purpose."""
        try:
            return AESGCM(self._key(purpose)).decrypt(sealed[:_NONCE], sealed[_NONCE:], None)
        except InvalidTag:
            raise SealBroken from None

    def _key(self, purpose: str) -> bytes:
        return hmac.digest(self._secret, purpose.encode(), sha256)


def new_token(prefix: str) -> str:
    """Return a token of 256 random bits; its prefix tells people and scanners of leaks what it is."""
    return prefix + _text(os.urandom(32))


def digest_of(token: str) -> bytes:
    """Return what is kept of a token: it has so many random bits that a plain digest tells nothing of it."""
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


def same_digest(token: str, digest: bytes) -> bool:
    """Whether `digest` is that of `token`; how long it takes says nothing."""
    return hmac.compare_digest(digest_of(token), digest)


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
