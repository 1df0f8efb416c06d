"""Files over HTTP: brought for a job to read, and taken that a job has made."""

from typing import Any
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter

from orderhouse.jobs import reads, schemas
from orderhouse.jobs.errors import FileEmpty, FileNotFound, FileWhole
from orderhouse.jobs.files import Files, shown
from orderhouse.jobs.models.files import MEDIA_TYPES, FileState
from orderhouse.jobs.schemas import AddFile, FileOut
from orderhouse.jobs.service.files import FileService, Unwanted
from orderhouse.runtime.database.database import Database
from orderhouse.runtime.once import Answer
from orderhouse.runtime.web.answers import Streamed, done, json_answer, unchanged
from orderhouse.runtime.web.fastapi_edge import Asker, Edge, IfNoneMatch, Once, Upload, needs

_BYTES = {"schema": {"type": "string", "format": "binary"}}
_DOWNLOAD: dict[int | str, dict[str, Any]] = {200: {"content": dict.fromkeys(MEDIA_TYPES.values(), _BYTES)}}

# A page somebody made is shown nowhere as if it were ours: it is taken away, and what it may do is nothing.
_HARMLESS = ("content-security-policy", "sandbox; default-src 'none'; style-src 'unsafe-inline'")


def routes(edge: Edge, database: Database, service: FileService, files: Files) -> APIRouter:
    """Return the files' routes."""
    router = edge.router(schemas.FILES, "files")

    @router.post("", status_code=201, response_model=FileOut, **needs("jobs:start", key=True))
    async def add_file(wanted: AddFile, once: Once) -> Answer:
        """Begin a file; its content is put to `links.content`. It is kept for a week."""
        return await once(service.add, wanted, answer=_added)

    @router.get("/{file_id}", response_model=FileOut, **needs("jobs:read", FileNotFound))
    async def get_file(file_id: UUID, caller: Asker) -> Answer:
        """Get what is known of a file; its size and digest are null until its content is there."""
        return json_answer(shown(await _seen(file_id, caller)))

    @router.put("/{file_id}/content", response_model=FileOut, **needs("jobs:start", FileNotFound, FileWhole))
    async def put_file_content(file_id: UUID, caller: Asker, upload: Upload) -> Answer:
        """Put a file's content, once. Safe to send again: the same content changes nothing, any other is refused."""
        await _seen(file_id, caller)
        return json_answer(shown(await files.fill(file_id, upload.parts(), caller)))

    @router.get(
        "/{file_id}/content",
        response_model=None,
        responses=_DOWNLOAD,
        **needs("jobs:read", FileNotFound, FileEmpty),
    )
    async def get_file_content(file_id: UUID, caller: Asker, unless: IfNoneMatch) -> Answer | Streamed:
        """Get a file's content, to be kept as a file."""
        file = await _seen(file_id, caller)
        if file.content is None or file.digest is None or file.size is None:
            raise FileEmpty
        tag = ("etag", f'"{file.digest.hex()}"')
        named = f"attachment; filename*=UTF-8''{quote(file.name, safe='')}"
        headers = (("content-type", file.media_type), ("content-disposition", named), tag, _HARMLESS)
        return unchanged(tag, unless) or Streamed(headers, file.size, files.pieces(file))

    @router.delete("/{file_id}", status_code=204, response_model=None, **needs("jobs:start", FileNotFound))
    async def remove_file(file_id: UUID, once: Once) -> Answer:
        """Remove a file before its time."""
        return await once(service.remove, Unwanted(file_id), answer=done)

    async def _seen(file_id: UUID, caller: Asker) -> FileState:
        file = await database.read(reads.file, file_id, caller)
        if file is None:
            raise FileNotFound
        return file

    return router


def _added(file: FileState) -> Answer:
    return json_answer(shown(file), ("location", schemas.FILE.format(file.id)), status=201)
