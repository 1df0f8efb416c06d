"""Passwords: argon2id, a few at a time, the same work for whoever is not known; and those everybody knows."""

import gzip
import os
import re
import secrets
import sys
import threading
import unicodedata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from importlib.resources import files

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from orderhouse.auth.errors import PasswordsBusy, PasswordTooWeak
from orderhouse.kernel.text import folded

SHORTEST = 10
LONGEST = 512

_ENDS = re.compile(r"^[\W\d_]+|[\W\d_]+$")
_FEW_CHARACTERS = 5
_LEAST_OF_OWN = 6
_NICE = 10


class Hasher:
    """Makes and compares hashes of passwords: 19 MiB and some 20 ms of a core each (OWASP's first choice)."""

    def __init__(self, *, at_once: int = 2, waiting: int = 24, memory_kib: int = 19_456, passes: int = 2) -> None:
        """Let `at_once` be worked at and as many again as `waiting` wait for that; more are refused."""
        self._argon2 = PasswordHasher(
            time_cost=passes, memory_cost=memory_kib, parallelism=1, hash_len=32, salt_len=16, type=Type.ID
        )
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="argon2", initializer=_after_everybody_else)
        # Made once and beforehand: the first strangers wait no longer than the others, and take no more memory.
        self._decoy = self._argon2.hash(secrets.token_bytes(16))
        self.places = at_once + waiting
        self._turns = threading.BoundedSemaphore(self.places)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold a place in the queue, before anything else is done for this password; PasswordsBusy without one."""
        if not self._turns.acquire(blocking=False):
            raise PasswordsBusy
        try:
            yield
        finally:
            self._turns.release()

    def hashed(self, password: str) -> str:
        """Return the hash of `password`."""
        return self._pool.submit(self._argon2.hash, _bytes(password)).result()

    def matches(self, kept: str | None, password: str) -> bool:
        """Whether `password` is the one of hash `kept`. Without one it is none, and found out by the same work."""
        try:
            self._pool.submit(self._argon2.verify, kept or self._decoy, _bytes(password)).result()
        except (VerificationError, InvalidHashError):
            return False
        return kept is not None

    def outdated(self, kept: str) -> bool:
        """Whether `kept` was made with other parameters than are right today."""
        return self._argon2.check_needs_rehash(kept)

    def close(self) -> None:
        """Let go of the threads."""
        self._pool.shutdown(cancel_futures=True)


def _after_everybody_else() -> None:
    # Of the cores, hashes take what is left: whoever wants something else is served first. Linux knows threads so.
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


def _bytes(password: str) -> bytes:
    # NIST SP 800-63B: the same letters from another keyboard are the same password.
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


def check(password: str, *, known: str = "") -> None:
    """Refuse as PasswordTooWeak what is guessed first: common ones, however decorated, and what is `known` of the user.

    Nothing is asked of its composition (NIST SP 800-63B, 3.1.1.2).
    """
    plain = folded(unicodedata.normalize("NFKC", password))
    if len(set(plain)) < _FEW_CHARACTERS:
        raise PasswordTooWeak("It repeats a few characters.")
    if plain in _common() or _ENDS.sub("", plain) in _common():
        raise PasswordTooWeak("It is one of those that are guessed first.")
    rest = plain
    for word in re.split(r"\W+", folded(known)):
        if len(word) > 3:
            rest = rest.replace(word, "")
    if rest != plain and len(rest) < _LEAST_OF_OWN:
        raise PasswordTooWeak("It is made of your own name or address.")


@cache
def _common() -> frozenset[str]:
    packed = files("orderhouse.auth").joinpath("common_passwords", "passwords.txt.gz").read_bytes()
    return frozenset(folded(line) for line in gzip.decompress(packed).decode().splitlines()) | {"orderhouse"}
