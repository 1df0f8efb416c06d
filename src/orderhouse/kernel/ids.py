"""Ids are UUIDv7: made by the application, and in the order of their making. What only names a request is random."""

import os
import threading
import time
from binascii import hexlify
from collections import deque
from collections.abc import Callable, Iterable
from itertools import chain, islice
from struct import calcsize, iter_unpack, unpack
from typing import TypeVar
from uuid import UUID, SafeUUID

T = TypeVar("T")

_AT_ONCE = 256
"""How many things are drawn at once: asking the kernel for random bytes costs more than all the rest of an id."""

_lock = threading.Lock()
_last = 0


def drawn(made: Callable[[bytes], Iterable[T]], size: int) -> Callable[[], T]:
    """Return what draws a thing at each call: many are `made` at a time, of `size` random bytes each."""
    source = chain.from_iterable(iter(lambda: made(os.urandom(_AT_ONCE * size)), None))
    # A process that was forked would else draw the very things its parent draws: it passes over what was drawn before.
    os.register_at_fork(after_in_child=lambda: deque(islice(source, _AT_ONCE), maxlen=0))
    return source.__next__


def drawn_text(shape: bytes, digits: str) -> Callable[[], str]:
    """Return what draws a text at each call: `shape` with random hexadecimal `digits`, cut as `struct` says."""
    # Many are made together and in C: one by one, each would cost a hundred instructions of the interpreter.
    return drawn(
        lambda some: map(bytes.decode, map(shape.__mod__, iter_unpack(digits, hexlify(some)))), calcsize(digits) // 2
    )


random_64 = drawn(lambda some: unpack(f"{_AT_ONCE}Q", some), 8)
"""64 bits that nobody can foretell."""

new_request_id = drawn_text(b"%b-%b-4%b-a%b-%b", "8s4sx3sx3s12s")
"""The text of a random UUID, version 4: requests are told apart by it, and nobody asks which came first."""

# As UUID's constructor ends, without the questions it begins with, which are three quarters of what one costs.
_made, _set_number, _set_safety = object.__new__, vars(UUID)["int"].__set__, vars(UUID)["is_safe"].__set__
_UNKNOWN = SafeUUID.unknown


def new_id() -> UUID:
    """Return an id greater than every id this process made before (RFC 9562, method 3)."""
    global _last
    with _lock:
        # 48 bits of milliseconds and 12 bits of fraction of one: a counter that follows the clock and never goes back.
        _last = ticks = max(time.time_ns() * 4096 // 1_000_000, _last + 1)
    return id_of((ticks >> 12) << 80 | 0x7 << 76 | (ticks & 0xFFF) << 64 | 0b10 << 62 | random_64() >> 2)


def id_of(number: int) -> UUID:
    """Return the id that is `number`, of 128 bits."""
    made = _made(UUID)
    _set_number(made, number)
    _set_safety(made, _UNKNOWN)
    return made


def text_of(digits: str) -> str:
    """Return the text of the id that has these 32 hexadecimal digits."""
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
