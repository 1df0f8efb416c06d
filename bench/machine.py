"""What the machine is like at the moment: figures of a loud hour are not those of a quiet one."""

import os
import platform
import random
import time

_PLACES = 1 << 19
_STEPS = 1_000_000


def told() -> str:
    """Return what a chapter says of the machine it was measured on."""
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, load before {load:.1f}, "
        f"{memory_step_ns()} ns a step through memory"
    )


def memory_step_ns() -> int:
    """Return what a step takes that leads past the caches of a core; neighbours on the same host make it longer."""
    places = list(range(_PLACES))
    random.Random(1).shuffle(places)
    place = 0
    began = time.perf_counter()
    for _ in range(_STEPS):
        place = places[place]
    return round((time.perf_counter() - began) / _STEPS * 1e9)
