"""How a process of ours treats the interpreter it runs in, and what it asks of the system."""

import ctypes
import gc
import os
import resource
import sys

# What <malloc.h> of glibc calls M_ARENA_MAX, and the environment variable by which an operator says it.
_ARENA_MAX, _SAID = -8, "MALLOC_ARENA_MAX"
_ARENAS = 2
_FILES = 65_536


def begin() -> None:
    """Ask for what is right for a process that serves or works, before it has any threads."""
    share_arenas()
    may_open_many_files()


def may_open_many_files() -> int:
    """Return how many files and connections there may be: as many as the system allows, up to sixty thousand.

    Most systems let a process have a thousand unless it asks, and so many slow callers would keep all others out.
    """
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if most == resource.RLIM_INFINITY else min(most, _FILES)
    if now == resource.RLIM_INFINITY or now >= wanted:
        return now
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    except (OSError, ValueError):
        return now  # Some systems say that there is no limit, and have one; what there was is enough to start with.
    return wanted


def share_arenas() -> bool:
    """Have threads use what other threads freed, and return whether that had to be said; it is, before there are any.

    glibc gives nearly every thread a heap of its own, which keeps megabytes for good: a server grew for many minutes,
    until each of its threads had written a batch of figures once. `python -m bench soak` says what it comes to.
    """
    if sys.platform != "linux" or _SAID in os.environ:
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # Other C libraries have one heap for all.
    return mallopt is not None and bool(mallopt(_ARENA_MAX, _ARENAS))


def settle_down() -> None:
    """Make what start-up left behind permanent, collect garbage rarely, and let threads take turns quickly.

    In a server this halves the slowest answers; in an import it saves a quarter of the time.
    """
    gc.collect()
    gc.freeze()
    # The last number counts too: all three multiplied are how many lost objects may pile up before all are looked at.
    gc.set_threshold(50_000, 10, 2)
    sys.setswitchinterval(0.0005)
