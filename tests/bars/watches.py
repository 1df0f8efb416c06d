"""What is looked at while a server is traced: where to kill it, and whether it answers before its disk has heard."""

import mmap
import os
import re
import signal
import struct
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import psutil

from tests.bars.ptrace import Call, Watch

SENDS = ("write", "writev", "sendto", "sendmsg", "sendmmsg", "sendfile")
WRITES = ("pwrite64", "pwritev", "pwritev2", "ftruncate", "fallocate", "rename", "renameat", "renameat2", "unlink")
SYNCS = ("fsync", "fdatasync", "sync_file_range", "msync")
RECEIVES = ("recvfrom", "recvmsg", "read", "readv")
NAMELESS = {"msync", "rename", "renameat", "renameat2", "unlink", "unlinkat"}


def kind_of(call: Call) -> str:
    """Return what a call does in two words: the call, and the file it does it to."""
    if call.name in NAMELESS:
        return call.name
    file = call.file
    if file.startswith("socket:"):
        answers = call.name in SENDS and call.data(5) == b"HTTP/"
        return f"{call.name} {'answer' if answers else 'socket'}"
    return f"{call.name} {file.rpartition('/')[2]}"


class Trigger:
    """Says at which call to kill, and whom: a page of memory that the test and the tracer share."""

    _LAYOUT = "@qqq64s"

    def __init__(self, file: Path) -> None:
        """Share `file`, made if it is not there."""
        size = struct.calcsize(self._LAYOUT)
        with file.open("a+b") as opened:
            opened.truncate(size)
            self._page = mmap.mmap(opened.fileno(), size)

    def arm(self, at: int, kind: str = "", victim: int = 0) -> None:
        """Count from now on; at the call number `at` (of this kind) kill the server, or the tree under `victim`."""
        self.disarm()
        struct.pack_into("@q", self._page, 8, victim)
        self._page[24:88] = kind.encode().ljust(64, b"\0")
        struct.pack_into("@q", self._page, 0, at)

    def disarm(self) -> None:
        """Count no more, and begin anew the next time."""
        struct.pack_into("@q", self._page, 0, 0)
        struct.pack_into("@q", self._page, 16, 0)

    def pulled(self, kind: str) -> int | None:
        """Count a call of this kind; return whom to kill now (0: the server itself), or None."""
        at, victim, counted, wanted = struct.unpack_from(self._LAYOUT, self._page, 0)
        if not at or (wanted.rstrip(b"\0") and wanted.rstrip(b"\0") != kind.encode()[:64]):
            return None
        struct.pack_into("@q", self._page, 16, counted + 1)
        if counted + 1 != at:
            return None
        struct.pack_into("@q", self._page, 0, 0)
        return int(victim)

    @property
    def armed(self) -> bool:
        """Whether nobody was killed yet."""
        return bool(struct.unpack_from("@q", self._page, 0)[0])


class Kill(Watch):
    """Kills at the call the trigger names, before it is made, and counts what it sees while armed."""

    def __init__(self, trigger: Trigger) -> None:
        self._trigger = trigger
        self._kinds: Counter[str] = Counter()
        self._at = ""

    def begins(self, call: Call) -> bool:
        if not self._trigger.armed or (call.name in RECEIVES and not call.file.startswith("socket:")):
            return False
        kind = kind_of(call)
        self._kinds[kind] += 1
        victim = self._trigger.pulled(kind)
        if victim is not None:
            self._at = kind
            kill_tree(victim) if victim else os.kill(call.pid, signal.SIGKILL)
        return False

    def told(self) -> dict[str, Any]:
        return {"at": self._at, "kinds": dict(self._kinds)}


def kill_tree(pid: int) -> None:
    """Kill a process and all below it, as a power cut would: none of them tidies up after another."""
    process = psutil.Process(pid)
    process.suspend()
    for one in (*process.children(recursive=True), process):
        one.kill()


_MARK = re.compile(rb"mark-[0-9a-f]{32}")
_FRAME_HEADER = 24


class Order(Watch):
    """Notes every answer that names what is in a write-ahead log and not synced there.

    A mark, a word that a request brings along, is first seen in a frame of the log; the frame whose header names a
    size of the database ends its transaction. From when a sync that began after that write has ended, it is safe.
    """

    def __init__(self) -> None:
        self._written: Counter[str] = Counter()
        self._synced: Counter[str] = Counter()
        self._syncing: dict[int, tuple[str, int]] = {}
        self._frame_commits: dict[str, bool] = {}
        self._open: dict[str, set[bytes]] = defaultdict(set)
        self._safe_at: dict[bytes, tuple[str, int]] = {}
        self._answers = 0
        self._early: list[str] = []
        self._syncs = 0

    def begins(self, call: Call) -> bool:
        if call.name in SENDS and call.file.startswith("socket:"):
            self._look_at_answer(call.data())
        elif call.name in WRITES and (log := call.file).endswith(".sqlite3-wal"):
            self._look_at_frame(log, call)
        elif call.name in SYNCS and (log := call.file).endswith(".sqlite3-wal"):
            self._syncing[call.thread] = (log, self._written[log])
            return True
        return False

    def ended(self, call: Call, result: int) -> None:
        log, written = self._syncing.pop(call.thread)
        if result == 0:
            self._syncs += 1
            self._synced[log] = max(self._synced[log], written)

    def _look_at_frame(self, log: str, call: Call) -> None:
        self._written[log] += 1
        data = call.data()
        if len(data) == _FRAME_HEADER:
            self._frame_commits[log] = data[4:8] != b"\0\0\0\0"
            return
        self._open[log] |= set(_MARK.findall(data)) - set(self._safe_at)
        if self._frame_commits.get(log):
            for mark in self._open.pop(log, ()):
                self._safe_at[mark] = (log, self._written[log])

    def _look_at_answer(self, data: bytes) -> None:
        for mark in set(_MARK.findall(data)):
            self._answers += 1
            log, at = self._safe_at.get(mark, ("", 1))
            if self._synced[log] < at:
                self._early.append(mark.decode())

    def told(self) -> dict[str, Any]:
        return {"answers": self._answers, "early": len(self._early), "syncs": self._syncs}
