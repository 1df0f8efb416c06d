"""Column types that mean the same on both databases, and the tables the runtime keeps in every context's database."""

from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from orderhouse.runtime.database.sql import as_id_or_none


class Id(TypeDecorator[UUID]):
    """An id: 16 bytes on SQLite, `uuid` on PostgreSQL."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the column type of `dialect`."""
        return dialect.type_descriptor(postgresql.UUID() if dialect.name == "postgresql" else LargeBinary(16))

    def process_bind_param(self, value: UUID | None, dialect: Dialect) -> Any:
        """Return what the driver takes for an id."""
        return value if value is None or dialect.name == "postgresql" else value.bytes

    def process_result_value(self, value: Any, dialect: Dialect) -> UUID | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Return the id the driver gave."""
        return as_id_or_none(value)


# A rowid of SQLite must be declared INTEGER, or it is another column beside it.
Position = BigInteger().with_variant(Integer(), "sqlite")
Json = JSONB().with_variant(Text(), "sqlite")


def partial_index(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """Return an index of those rows only that hold `where`, which is SQL both databases know."""
    condition = text(where)
    return Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


def tables_of(context: str) -> MetaData:
    """Return the metadata of `context`, with the runtime's own tables already in it."""
    tables = MetaData(info={"context": context})
    # The log: what happened, in the order in which it was committed, and it stays.
    Table(
        "facts",
        tables,
        Column("position", Position, primary_key=True, autoincrement=False),
        Column("id", Id, nullable=False),
        Column("name", Text, nullable=False),
        Column("version", SmallInteger, nullable=False),
        Column("aggregate", Id, nullable=False),
        Column("sequence", Integer, nullable=False),
        Column("data", Json, nullable=False),
        Column("at", BigInteger, nullable=False),
        Column("actor", Text, nullable=False),
        Column("request_id", Text, nullable=False),
        Column("trace", Text, nullable=False),
        # The history of one aggregate is read by it, and two writers can never both be its next fact.
        UniqueConstraint("aggregate", "sequence", name="facts_aggregate"),
    )
    # The one row whose lock hands out positions: the last one given.
    Table(
        "fact_head",
        tables,
        Column("only", SmallInteger, primary_key=True, autoincrement=False),
        Column("position", BigInteger, nullable=False),
    )
    # What `once` answered, kept so that a retry hears the same.
    Table(
        "answers",
        tables,
        Column("id", Id, primary_key=True),
        Column("fingerprint", LargeBinary(16), nullable=False),
        Column("status", SmallInteger, nullable=False),
        Column("headers", Text, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("kept_at", BigInteger, nullable=False),
        # Old answers are forgotten from the oldest on.
        Index("answers_kept_at", "kept_at"),
        # Unlike smaller rows, kept as they come: an answer is a third of a page, and in the order of its id, which is
        # random, each would be written into a page of its own.
    )
    # How far this context has read its neighbours' logs.
    Table(
        "readers",
        tables,
        Column("name", Text, primary_key=True),
        Column("position", BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    # Leased work: whatever is slow, late or failing.
    Table(
        "queue",
        tables,
        Column("id", Id, primary_key=True),
        Column("kind", Text, nullable=False),
        Column("lane", Text, nullable=False),
        Column("payload", Json, nullable=False),
        Column("state", Text, nullable=False),
        Column("due_at", BigInteger, nullable=False),
        Column("fence", BigInteger, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("reason", Text, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        # Claiming takes what is due, oldest first; dead letters are listed by the same index.
        Index("queue_due", "kind", "state", "due_at", "id"),
        # An entry waits for the earlier ones of its lane: the ids are in the order of their making.
        Index("queue_lane", "kind", "lane", "id"),
    )
    return tables
