"""The product's own tables as ORM classes: the rival reads the very rows and indexes that the product reads."""

from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, ForeignKey, Integer, LargeBinary, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from orderhouse.runtime.database.tables import Id

# SQLAlchemy's own type where the database has one; on SQLite the product keeps 16 bytes.
_Id = Uuid().with_variant(Id(), "sqlite")
_Json = JSON().with_variant(JSONB(), "postgresql")


class Base(DeclarativeBase):
    """Everything the rival reads."""


class Order(Base):
    """A document."""

    __tablename__ = "orders"

    id: Mapped[UUID] = mapped_column(_Id, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    currency: Mapped[str] = mapped_column(Text)
    customer_id: Mapped[UUID | None] = mapped_column(_Id)
    country: Mapped[str | None] = mapped_column(Text)
    placed_at: Mapped[int] = mapped_column(BigInteger)
    placed_by: Mapped[str] = mapped_column(Text)
    owner_id: Mapped[str | None] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    external_reference: Mapped[str | None] = mapped_column(Text)
    note: Mapped[str | None] = mapped_column(Text)
    amount: Mapped[int] = mapped_column(BigInteger)
    total: Mapped[int] = mapped_column(BigInteger)
    line_count: Mapped[int] = mapped_column(Integer)
    version: Mapped[int] = mapped_column(Integer)
    updated_at: Mapped[int] = mapped_column(BigInteger)
    fingerprint: Mapped[bytes | None] = mapped_column(LargeBinary)
    lines: Mapped[list[list[Any]]] = mapped_column(_Json, deferred=True, deferred_raiseload=True)

    reasons: Mapped[list["OrderReason"]] = relationship(lazy="raise")
    facts: Mapped[list["Fact"]] = relationship(order_by="Fact.sequence", lazy="raise")


class OrderReason(Base):
    """Why an order was moved."""

    __tablename__ = "order_reasons"

    order_id: Mapped[UUID] = mapped_column(_Id, ForeignKey("orders.id"), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    reason: Mapped[str] = mapped_column(Text)


class Fact(Base):
    """What happened to an order."""

    __tablename__ = "facts"

    position: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    aggregate: Mapped[UUID] = mapped_column(_Id, ForeignKey("orders.id"))
    sequence: Mapped[int] = mapped_column(Integer)
    data: Mapped[dict[str, Any]] = mapped_column(_Json)
    at: Mapped[int] = mapped_column(BigInteger)
    actor: Mapped[str] = mapped_column(Text)
    request_id: Mapped[str] = mapped_column(Text)
