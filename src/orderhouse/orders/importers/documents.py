"""What an importer finds in a file: documents to take, and what is refused with its reason."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from orderhouse.customers.contract import SourceCustomer
from orderhouse.orders.contract import Kind
from orderhouse.orders.schemas import ImportOrder


class Document(NamedTuple):
    """A document that can be taken, and the line of the file its first row is on.

    `customer` says whose it is; the driver puts that customer's id into `wanted`.
    """

    row: int
    wanted: ImportOrder
    customer: SourceCustomer | None
    amount: int

    @property
    def reference(self) -> str:
        """What the source calls it."""
        return self.wanted.external_reference

    @property
    def kind(self) -> Kind:
        """Whether it is a sale, a credit or an adjustment."""
        return self.wanted.kind

    @property
    def lines(self) -> int:
        """How many lines of the file it is made of."""
        return len(self.wanted.lines)


class RefusedDocument(NamedTuple):
    """A document that is refused, whole. Its rows follow, each with a reason.

    Without a reference it is all rows that name no document, and of no kind.
    """

    reference: str
    kind: Kind | None
    lines: int
    amount: int


class RefusedRow(NamedTuple):
    """A row of a refused document, by the line of the file it starts on."""

    row: int
    reference: str
    reason: str


Found = Document | RefusedDocument | RefusedRow


class Source(Protocol):
    """A file of one format."""

    @property
    def name(self) -> str:
        """What the source is called: (name, document) is imported once."""

    @property
    def currency(self) -> str:
        """What its amounts are in."""

    @property
    def size(self) -> int:
        """How many bytes the file has; 0 when nobody can know."""

    def used(self) -> int:
        """Return how many bytes of the file are read so far."""

    def read(self) -> int:
        """Read and group all of the file, once, and return how many rows it has."""

    def documents(self) -> Iterator[Found]:
        """Yield every document that was read in the order of its first row, in constant memory."""
