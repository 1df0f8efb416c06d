"""Files' contents, in and out of the database a piece at a time: never much of one in memory."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from orderhouse.jobs import reads
from orderhouse.jobs.errors import FileEmpty, FileNotFound
from orderhouse.jobs.models.files import FileState
from orderhouse.jobs.schemas import CONTENT, FILE, AddFile
from orderhouse.jobs.service.files import FileService, Piece, Whole
from orderhouse.kernel import clock
from orderhouse.kernel.events import Origin
from orderhouse.kernel.ids import new_id
from orderhouse.kernel.principal import Principal
from orderhouse.runtime.database.database import Database
from orderhouse.runtime.once import Asked

PIECE_BYTES = 262_144


class Files:
    """The files in one database."""

    def __init__(self, database: Database, service: FileService) -> None:
        """Keep them in `database`."""
        self._database = database
        self._service = service

    async def fill(self, file_id: UUID, parts: AsyncIterator[bytes], caller: Principal) -> FileState:
        """Return a file, whole with what `parts` come to; FileWhole when it had other content before.

        Nothing of it is kept when `parts` end early.
        """
        content, digest, size, number = new_id(), hashlib.sha256(), 0, 0
        try:
            async for piece in _evenly(parts):
                digest.update(piece)
                size += len(piece)
                await self._database.write(self._service.put, Piece(content, number, piece))
                number += 1
            whole = Whole(file_id, content, size, digest.digest(), caller)
            return await self._database.write(self._service.fill, whole)
        except BaseException:
            # Whatever cannot be removed now is when it has been nothing's for a while.
            await asyncio.shield(self._database.write(self._service.drop, content))
            raise

    async def pieces(self, file: FileState) -> AsyncIterator[bytes]:
        """Yield the content of a whole file, piece by piece."""
        number, left = 0, file.size or 0
        while left > 0:
            piece = await self._database.scan(reads.piece, file.content, number)
            if piece is None:
                raise FileNotFound("It was removed while it was read.")
            yield piece
            number, left = number + 1, left - len(piece)

    async def fetch(self, file_id: UUID, caller: Principal, to: Path) -> None:
        """Write the content of a file to `to`; FileNotFound or FileEmpty."""
        file = await self._database.read(reads.file, file_id, caller)
        if file is None:
            raise FileNotFound
        if file.content is None:
            raise FileEmpty
        with to.open("wb") as written:
            async for piece in self.pieces(file):
                await asyncio.to_thread(written.write, piece)

    async def keep(self, made: Path, name: str, caller: Principal) -> Mapping[str, Any]:
        """Keep what is in `made` as a file of the caller's, and return what a job's result says of it."""
        asked = Asked(AddFile(name=name), caller, clock.now(), Origin(caller.subject))
        begun = await self._database.write(self._service.add, asked)
        return shown(await self.fill(begun.id, _read(made), caller))


def shown(file: FileState) -> dict[str, Any]:
    """Return a file as it is told of."""
    return {
        "id": str(file.id),
        "name": file.name,
        "media_type": file.media_type,
        "size": file.size,
        "sha256": file.digest.hex() if file.digest else None,
        "created_at": clock.as_text(file.created_at),
        "expires_at": clock.as_text(file.expires_at),
        "links": {"self": FILE.format(file.id), "content": CONTENT.format(file.id)},
    }


async def _evenly(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield what comes in parts of any size in pieces of one, the last of which may be smaller."""
    held = bytearray()
    async for part in parts:
        held += part
        while len(held) >= PIECE_BYTES:
            yield bytes(held[:PIECE_BYTES])
            del held[:PIECE_BYTES]
    if held:
        yield bytes(held)


async def _read(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as opened:
        while part := await asyncio.to_thread(opened.read, PIECE_BYTES):
            yield part
