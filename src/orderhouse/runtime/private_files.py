"""Files that nobody but their owner may read: keys and secrets."""

import os
import stat
from pathlib import Path

from orderhouse.kernel.errors import Conflict


class KeyUnsafe(Conflict):
    """A key or a secret can be read by others."""

    code = "key_unsafe"


def read(file: Path) -> bytes:
    """Return what is in `file`; KeyUnsafe when others than its owner may read it."""
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        raise KeyUnsafe(f"{file} can be read by others: chmod 600 it, or make a new one.")
    return file.read_bytes()


def write(file: Path, content: bytes) -> None:
    """Make `file`, for its owner alone; it is there whole or not at all, also after a power cut."""
    partial = file.with_suffix(f".{os.getpid()}.partial")
    partial.unlink(missing_ok=True)
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    partial.rename(file)
    _sync(file.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
