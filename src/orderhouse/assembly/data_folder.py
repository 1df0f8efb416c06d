"""The data folder: where everything is that a process keeps on this machine, and who serves from it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orderhouse.kernel.errors import Conflict


class FolderInUse(Conflict):
    """Another Orderhouse serves from this data folder."""

    code = "data_folder_in_use"


def made(folder: Path) -> Path:
    """Return `folder`, made for its owner alone if it is not there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold `folder` as its only server; FolderInUse when another process does. It is let go when the process dies."""
    lock = os.open(made(folder) / "serving.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise FolderInUse(f"{folder} is being served by another process.") from None
    try:
        yield
    finally:
        os.close(lock)
