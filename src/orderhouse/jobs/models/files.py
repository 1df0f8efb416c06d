"""A file that a job reads or has made, and the tables it is kept in: its content in pieces, beside the jobs.

In the database, and not in a folder: every worker reaches it wherever it runs, a backup holds it, and it goes when its
row does.
"""

from dataclasses import dataclass, replace
from pathlib import PurePath
from uuid import UUID

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, Text

from orderhouse.jobs.models.jobs import tables
from orderhouse.kernel.clock import Instant
from orderhouse.kernel.ids import new_id
from orderhouse.kernel.principal import Principal
from orderhouse.runtime.database.sql import Row, as_id, as_id_or_none
from orderhouse.runtime.database.tables import Id

FILES = Table(
    "files",
    tables,
    Column("id", Id, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("content", Id),
    Column("size", BigInteger),
    Column("digest", LargeBinary),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    # What nobody needs any more is removed from the oldest on.
    Index("files_expire", "expires_at"),
    # Whose a content is; nobody's is removed.
    Index("files_content", "content"),
)

PIECES = Table(
    "file_pieces",
    tables,
    Column("content", Id, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("data", LargeBinary, nullable=False),
    Column("kept_at", BigInteger, nullable=False),
    # Pieces of a content that never became whole are looked for among the old ones.
    Index("file_pieces_kept", "kept_at"),
)

FILE_COLUMNS = tuple(column.name for column in FILES.columns)
FILLED = ("content", "size", "digest")
"""What its content changes about a file."""

KEPT = 7 * 86_400_000_000
"""How long a file is kept, in microseconds."""

MEDIA_TYPES = {
    "": "application/octet-stream",
    ".csv": "text/csv; charset=utf-8",
    ".gz": "application/gzip",
    ".html": "text/html; charset=utf-8",
    ".jsonl": "application/x-ndjson",
    ".parquet": "application/vnd.apache.parquet",
}
"""What the ending of a file's name says that it is."""


@dataclass(frozen=True, slots=True)
class FileState:
    """A file; without content until it is whole."""

    id: UUID
    owner: str
    name: str
    content: UUID | None
    size: int | None
    digest: bytes | None
    created_at: Instant
    expires_at: Instant

    @classmethod
    def begun(cls, name: str, owner: str, at: Instant) -> "FileState":
        """Return a new file, without content."""
        return cls(new_id(), owner, name, None, None, None, at, at + KEPT)

    @classmethod
    def of(cls, row: Row) -> "FileState":
        """Return the file a row holds, which has every column."""
        file_id, owner, name, content, *rest = row
        return cls(as_id(file_id), owner, name, as_id_or_none(content), *rest)

    @property
    def row(self) -> Row:
        """The row that holds it."""
        return tuple(getattr(self, name) for name in FILE_COLUMNS)

    @property
    def media_type(self) -> str:
        """What its name says it is."""
        return MEDIA_TYPES.get(PurePath(self.name).suffix.lower(), MEDIA_TYPES[""])

    def visible_to(self, caller: Principal) -> bool:
        """Whether `caller` may know of it."""
        return caller.subject == self.owner or caller.may("jobs:manage")

    def filled(self, content: UUID, size: int, digest: bytes) -> "FileState":
        """Return it whole."""
        return replace(self, content=content, size=size, digest=digest)
