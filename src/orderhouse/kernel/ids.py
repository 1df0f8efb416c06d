"""Ids are UUIDv7: made by the application, and in the order of their making."""

import os
import threading
import time
from collections.abc import Iterator
from itertools import chain
from struct import unpack
from uuid import UUID, SafeUUID

_UNKNOWN = SafeUUID.unknown
_lock = threading.Lock()
_last = 0
_random: Iterator[int] = iter(())


def _begin() -> None:
    global _random
    # The kernel is asked once for many numbers: each question costs more than all the rest of an id.
    _random = chain.from_iterable(iter(lambda: unpack("512Q", os.urandom(4096)), None))


_begin()
# A process that was forked would else draw the very numbers its parent draws.
os.register_at_fork(after_in_child=_begin)


def new_id() -> UUID:
    """Return an id greater than every id this process made before (RFC 9562, method 3)."""
    return id_of(_new())


def new_id_text() -> str:
    """Return the text of a new id, for who needs no more of it."""
    return text_of(f"{_new():032x}")


def text_of(digits: str) -> str:
    """Return the text of the id that has these 32 hexadecimal digits."""
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _new() -> int:
    global _last
    # 48 bits of milliseconds and 12 bits of fraction of one: a counter that follows the clock and never goes back.
    ticks = time.time_ns() * 4096 // 1_000_000
    with _lock:
        if ticks <= _last:
            ticks = _last + 1
        _last = ticks
    random = next(_random) & 0x3FFF_FFFF_FFFF_FFFF
    return (ticks >> 12) << 80 | 0x7 << 76 | (ticks & 0xFFF) << 64 | 0b10 << 62 | random


def id_of(number: int) -> UUID:
    """Return the id that is `number`, of 128 bits."""
    # As its constructor ends, without the questions it begins with, which are three quarters of what one costs.
    made = UUID.__new__(UUID)
    object.__setattr__(made, "int", number)
    object.__setattr__(made, "is_safe", _UNKNOWN)
    return made


def random_64() -> int:
    """Return 64 bits that nobody can foretell."""
    return next(_random)
