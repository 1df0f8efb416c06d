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
def held(folder: Path, service: str = "") -> Iterator[None]:
    """Hold `folder` as its only server, or as the only one of `service`; FolderInUse when another process does.

    Whoever serves everything shares the folder with nobody. It is let go when the process dies.
    """
    made(folder)
    with _locked(folder, "serving.lock", fcntl.LOCK_SH if service else fcntl.LOCK_EX):
        if not service:
            yield
            return
        with _locked(folder, f"serving-{service}.lock", fcntl.LOCK_EX):
            yield


@contextmanager
def _locked(folder: Path, name: str, how: int) -> Iterator[None]:
    lock = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, how | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise FolderInUse(f"{folder} is being served by another process.") from None
    try:
        yield
    finally:
        os.close(lock)
