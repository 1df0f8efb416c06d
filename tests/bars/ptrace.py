"""Stops a process at its system calls of chosen kinds, and looks at what it is about to do. Linux alone, and no tool.

A seccomp filter, which the process installs in itself and all its threads inherit, hands the chosen calls to the
tracer and lets all others pass at full speed; io_uring, which would go round the filter, is refused.
"""

import ctypes
import os
import platform
import signal
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long

_CONT, _SYSCALL, _GETEVENTMSG, _SEIZE, _LISTEN, _SYSCALL_INFO = 7, 24, 0x4201, 0x4206, 0x4208, 0x420E
# Mark stops at a call's end; follow threads and children; hear the filter; take all along when the tracer dies.
_OPTIONS = 0x1 | 0x2 | 0x4 | 0x8 | 0x80 | 0x100000
_EVENT_SECCOMP, _EVENT_STOP = 7, 128
_ALL_THREADS = 0x40000000

_X86_64 = {
    "read": 0, "write": 1, "pwrite64": 18, "readv": 19, "writev": 20, "msync": 26, "sendfile": 40, "sendto": 44,
    "recvfrom": 45, "sendmsg": 46, "recvmsg": 47, "fsync": 74, "fdatasync": 75, "ftruncate": 77, "rename": 82,
    "unlink": 87, "unlinkat": 263, "renameat": 264, "sync_file_range": 277, "fallocate": 285, "pwritev": 296,
    "sendmmsg": 307, "renameat2": 316, "pwritev2": 328,
}  # fmt: skip
_AARCH64 = {
    "unlinkat": 35, "renameat": 38, "ftruncate": 46, "fallocate": 47, "read": 63, "write": 64, "readv": 65,
    "writev": 66, "pwrite64": 68, "pwritev": 70, "sendfile": 71, "fsync": 82, "fdatasync": 83, "sync_file_range": 84,
    "sendto": 206, "recvfrom": 207, "sendmsg": 211, "recvmsg": 212, "msync": 227, "sendmmsg": 269, "renameat2": 276,
    "pwritev2": 287,
}  # fmt: skip
NUMBERS = {"x86_64": _X86_64, "aarch64": _AARCH64}.get(platform.machine(), {})
"""The numbers of the calls that can be watched."""

_IO_URING_SETUP = 425
_GATHERED = {"writev", "pwritev", "pwritev2", "readv"}
_MESSAGES = {"sendmsg", "recvmsg"}


class NotPermitted(Exception):
    """This machine lets nobody trace a process."""


@dataclass(frozen=True, slots=True)
class Call:
    """A system call that a thread is about to make."""

    pid: int
    thread: int
    name: str
    arguments: tuple[int, ...]

    @property
    def file(self) -> str:
        """What its first argument is open on: a path, or `socket:[…]`, or `anon_inode:[eventfd]`."""
        try:
            return str(Path(f"/proc/{self.pid}/fd/{self.arguments[0]}").readlink())
        except OSError:
            return "?"

    def data(self, most: int = 65_536) -> bytes:
        """What it would write."""
        _, address, size, *_ = self.arguments
        if self.name in _MESSAGES:
            # struct msghdr: name, its length, and then where the parts are and how many.
            address, size = struct.unpack("@16xQQ", self._memory(address, 32))
        if self.name in _MESSAGES | _GATHERED:
            parts = struct.iter_unpack("@QQ", self._memory(address, 16 * min(size, 1024)))
            return b"".join(self._memory(base, length) for base, length in parts)[:most]
        return self._memory(address, min(size, most))

    def _memory(self, address: int, size: int) -> bytes:
        with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as memory:  # noqa: PTH123 - as plain as it gets
            memory.seek(address)
            return memory.read(size) if size else b""


def submit(names: Iterable[str]) -> None:
    """Hand this process's calls of these names to its tracer, from now on and for good."""
    program = [(0x20, 0, 0, 0)]
    for name in names:
        if name in NUMBERS:
            program += [(0x15, 0, 1, NUMBERS[name]), (0x06, 0, 0, 0x7FF00000 | NUMBERS[name])]
    program += [(0x15, 0, 1, _IO_URING_SETUP), (0x06, 0, 0, 0x00050000 | 38), (0x06, 0, 0, 0x7FFF0000)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in program))
    filled = struct.pack("@HP", len(program), ctypes.addressof(code))
    if _libc.prctl(38, 1, 0, 0, 0) or _libc.prctl(22, 2, ctypes.c_char_p(filled), 0, 0):
        raise OSError(ctypes.get_errno(), "the filter was not taken")


class Watch:
    """What a tracer does at the calls it is shown."""

    def begins(self, call: Call) -> bool:
        """Look at a call that is about to be made; return whether to hear of its end."""
        raise NotImplementedError

    def ended(self, call: Call, result: int) -> None:
        """Look at what came of it."""


def seize(pid: int) -> None:
    """Become the tracer of `pid`, which has one thread still; NotPermitted where nobody may."""
    try:
        _ptrace(_SEIZE, pid, 0, _OPTIONS)
    except PermissionError as error:
        raise NotPermitted(f"ptrace: {error}") from error


def follow(pid: int, watch: Watch) -> int:
    """Let `pid` run until its end, showing `watch` its submitted calls; return its exit status, negative if killed."""
    names = {number: name for name, number in NUMBERS.items()}
    under_way: dict[int, Call] = {}
    while True:
        thread, status = os.waitpid(-1, _ALL_THREADS)
        if not os.WIFSTOPPED(status):
            if thread == pid:
                return os.waitstatus_to_exitcode(status)
            under_way.pop(thread, None)
            continue
        received, event = os.WSTOPSIG(status), status >> 16
        try:
            if event == _EVENT_SECCOMP:
                call = Call(pid, thread, names[_message(thread)], _arguments(thread))
                if watch.begins(call):
                    under_way[thread] = call
                    _ptrace(_SYSCALL, thread, 0, 0)
                    continue
            elif received == signal.SIGTRAP | 0x80:
                watch.ended(under_way.pop(thread), _result(thread))
            elif event == _EVENT_STOP and received != signal.SIGTRAP:
                _ptrace(_LISTEN, thread, 0, 0)
                continue
            passed_on = 0 if event or received == signal.SIGTRAP | 0x80 else received
            _ptrace(_CONT, thread, 0, passed_on)
        except ProcessLookupError:
            continue  # It was killed while it was stopped; its end is heard of in its turn.


def _ptrace(request: int, thread: int, address: int, data: Any) -> None:
    ctypes.set_errno(0)
    if _libc.ptrace(request, thread, address, data) == -1 and (number := ctypes.get_errno()):
        raise OSError(number, os.strerror(number))


def _message(thread: int) -> int:
    told = ctypes.c_ulong()
    _ptrace(_GETEVENTMSG, thread, 0, ctypes.addressof(told))
    return told.value


def _info(thread: int) -> bytes:
    told = ctypes.create_string_buffer(96)
    _ptrace(_SYSCALL_INFO, thread, len(told), ctypes.addressof(told))
    return told.raw


def _arguments(thread: int) -> tuple[int, ...]:
    return struct.unpack_from("@6Q", _info(thread), 32)


def _result(thread: int) -> int:
    (found,) = struct.unpack_from("@q", _info(thread), 24)
    return int(found)


def permitted() -> str:
    """Return why no process can be traced here; nothing when one can."""
    if not NUMBERS:
        return f"the system calls of {platform.machine()} are not known to it"
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(reading, 1)
        os._exit(0)
    try:
        seize(child)
    except (NotPermitted, OSError) as error:
        return str(error)
    finally:
        os.write(writing, b"x")
        os.waitpid(child, 0)
        os.close(reading)
        os.close(writing)
    return ""
