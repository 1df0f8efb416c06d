"""What becomes of files: begun, filled a piece at a time, whole, removed."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from orderhouse.jobs.errors import FileNotFound, FileWhole
from orderhouse.jobs.models.files import FileState
from orderhouse.jobs.repository import FileRepository
from orderhouse.jobs.schemas import AddFile
from orderhouse.kernel import clock
from orderhouse.kernel.clock import Clock, Instant
from orderhouse.kernel.errors import Refusal
from orderhouse.kernel.principal import Principal
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.once import Asked

_UNFINISHED = 3_600_000_000
"""How long pieces may wait for the rest of their content, in microseconds."""

_AT_ONCE = 100


class Piece(NamedTuple):
    """A piece of a content."""

    content: UUID
    number: int
    data: bytes


class Whole(NamedTuple):
    """A content that is all there, and the file that it is to be the content of."""

    file_id: UUID
    content: UUID
    size: int
    digest: bytes
    caller: Principal


class Unwanted(NamedTuple):
    """A file that somebody wants gone."""

    file_id: UUID


class FileService:
    """Decides what becomes of files; what it returns is kept when the transaction is."""

    def __init__(self, *, now: Clock = clock.now) -> None:
        """Go by this clock."""
        self._now = now

    def add(self, tx: Transaction, asked: Sequence[Asked[AddFile]]) -> Sequence[FileState | Refusal]:
        """Begin each file."""
        begun = [FileState.begun(one.wanted.name, one.caller.subject, one.at) for one in asked]
        FileRepository(tx).add(begun)
        return begun

    def put(self, tx: Transaction, asked: Sequence[Piece]) -> Sequence[None]:
        """Keep pieces; until their content is whole they are nobody's."""
        FileRepository(tx).put(asked, self._now())
        return [None for _ in asked]

    def fill(self, tx: Transaction, asked: Sequence[Whole]) -> Sequence[FileState | Refusal]:
        """Give each file its content, once: the same again changes nothing, any other is refused."""
        files = FileRepository(tx)
        held = files.held({one.file_id for one in asked})
        outcomes: list[FileState | Refusal] = []
        for one in asked:
            file = held.get(one.file_id)
            if file is None or not file.visible_to(one.caller):
                outcomes.append(FileNotFound())
            elif file.content is None:
                held[file.id] = file = file.filled(one.content, one.size, one.digest)
                files.fill([file])
                outcomes.append(file)
                continue
            else:
                outcomes.append(file if file.digest == one.digest else FileWhole())
            files.drop([one.content])
        return outcomes

    def remove(self, tx: Transaction, asked: Sequence[Asked[Unwanted]]) -> Sequence[FileState | Refusal]:
        """Remove each file with its content."""
        files = FileRepository(tx)
        held = files.held({one.wanted.file_id for one in asked})
        outcomes: list[FileState | Refusal] = []
        for one in asked:
            file = held.get(one.wanted.file_id)
            if file is None or not file.visible_to(one.caller):
                outcomes.append(FileNotFound())
                continue
            files.remove([held.pop(file.id)])
            outcomes.append(file)
        return outcomes

    def drop(self, tx: Transaction, asked: Sequence[UUID]) -> Sequence[None]:
        """Remove contents that became no file's."""
        FileRepository(tx).drop(asked)
        return [None for _ in asked]

    def forget(self, tx: Transaction, asked: Sequence[Instant]) -> Sequence[int]:
        """Remove a few of the files that expired before each instant, and of the pieces of nothing; return how many."""
        files = FileRepository(tx)
        return [self._forgotten(files, before) for before in asked]

    def _forgotten(self, files: FileRepository, before: Instant) -> int:
        expired = files.expired(before, _AT_ONCE)
        stray = files.stray(before - _UNFINISHED, _AT_ONCE)
        files.remove(expired)
        files.drop(stray)
        return len(expired) + len(stray)
