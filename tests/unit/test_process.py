"""What a process asks of the system: looked at from inside another one, for what is said holds until that ends."""

import os
import platform
import subprocess
import sys

import pytest

from orderhouse.assembly.process import share_arenas

# So many threads allocate at the same time that glibc gives each a heap of its own, if it may.
_THREADS = """
import ctypes, sys, tempfile, threading
from orderhouse.assembly.process import share_arenas

said = share_arenas() if "share" in sys.argv else None
together = threading.Barrier(8)

def allocate():
    together.wait()
    kept = [bytearray(10_000) for _ in range(200)]
    together.wait()

threads = [threading.Thread(target=allocate) for _ in range(8)]
for one in threads:
    one.start()
for one in threads:
    one.join()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
libc.fclose.argtypes = [ctypes.c_void_p]
libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
with tempfile.NamedTemporaryFile() as told:
    out = libc.fopen(told.name.encode(), b"w")
    libc.malloc_info(0, out)
    libc.fclose(out)
    print(said, told.read().count(b"<heap "))
"""


def _heaps(*said: str) -> tuple[str, int]:
    """Return what `share_arenas` said, if it was called, and how many heaps there were in the end."""
    inherited = {name: value for name, value in os.environ.items() if name != "MALLOC_ARENA_MAX"}
    told = subprocess.run(
        [sys.executable, "-c", _THREADS, *said], env=inherited, check=True, capture_output=True, text=True
    ).stdout.split()
    return told[0], int(told[1])


def test_threads_share_two_heaps_and_would_not_by_themselves() -> None:
    if platform.libc_ver()[0] != "glibc":  # Others have one heap for all threads, of which there is nothing to say.
        assert not share_arenas()
        return
    assert _heaps("share") == ("True", 2)
    assert _heaps()[1] > 2


def test_what_an_operator_said_of_heaps_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_ARENA_MAX", "4")
    assert not share_arenas()


_FILES = """
import resource
from orderhouse.assembly.process import may_open_many_files

most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (100, most))
print(may_open_many_files(), resource.getrlimit(resource.RLIMIT_NOFILE)[0], may_open_many_files(), most)
"""


def test_a_process_may_open_as_many_files_as_the_system_allows() -> None:
    told = subprocess.run([sys.executable, "-c", _FILES], check=True, capture_output=True, text=True).stdout.split()
    *found, most = map(int, told)
    assert found == [65_536 if most < 0 else min(most, 65_536)] * 3
