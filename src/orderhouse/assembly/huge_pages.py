"""Memory in pages of two megabytes, where the kernel gives them to who asks.

An order touches many small objects all over the heap, and with pages of four kilobytes the processor looks up where
each of them is again and again, in a virtual machine twice over. `python -m bench pages` says what that comes to.
"""

import asyncio
import ctypes
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

HUGE = 2 * 1024 * 1024
ENABLED = Path("/sys/kernel/mm/transparent_hugepage/enabled")
"""What the administrator of a Linux says of them: always, madvise (to who asks) or never."""
SMAPS = Path("/proc/self/smaps")
"""What memory this process has, and how much of it is in use."""

PAUSES_S = (1, 5, 15, 60)
"""When to ask again: what comes later than that is little, and may stay in small pages."""

# What <sys/mman.h> calls MADV_HUGEPAGE and MADV_COLLAPSE: from now on, and at once. Kernels before 6.1 know the first.
_FROM_NOW_ON, _AT_ONCE = 14, 25


async def keep_asking() -> None:
    """Ask now and then, in the first minutes, for what the process has come to use."""
    for pause_s in PAUSES_S:
        await asyncio.sleep(pause_s)
        await asyncio.to_thread(ask)


def ask() -> int:
    """Ask for huge pages for what is in use by now, and return for how many bytes the kernel gave them at once.

    0 where there are none: on other systems than Linux, where an administrator said never, and where a sandbox hides
    what there is.
    """
    if sys.platform != "linux":
        return 0
    try:
        smaps = "" if "[never]" in ENABLED.read_text() else SMAPS.read_text()
    except OSError:
        return 0
    madvise = ctypes.CDLL(None, use_errno=True).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    given = 0
    for begin, end in _in_use(smaps.splitlines()):
        madvise(begin, end - begin, _FROM_NOW_ON)
        for page in range(begin, end, HUGE):
            given += HUGE if madvise(page, HUGE, _AT_ONCE) == 0 else 0
    return given


def _in_use(smaps: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Yield the whole huge pages within mappings that are ours alone to write and mostly in use.

    What is hardly in use, as the stack of a thread, would become memory that nobody needs.
    """
    begin = end = 0
    heap = False
    for line in smaps:
        first, *rest = line.split()
        if not first.endswith(":"):
            begin, end = (int(address, 16) for address in first.split("-"))
            # Without a file behind it: its name is missing, or that of the heap.
            heap = rest[0] == "rw-p" and rest[3] == "0" and rest[4:] in ([], ["[heap]"])
        elif first == "Rss:" and heap and int(rest[0]) * 1024 * 2 > end - begin:
            begin, end = -(-begin // HUGE) * HUGE, end // HUGE * HUGE
            if begin < end:
                yield begin, end
