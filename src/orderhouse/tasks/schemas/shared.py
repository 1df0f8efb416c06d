"""What several shapes of tasks have in common: paths, fields, and how strictly they are read."""

from typing import Annotated, NamedTuple
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from orderhouse.kernel.pages import LARGEST_PAGE, USUAL_PAGE, Cursor
from orderhouse.kernel.text import NOT_BLANK, Line, not_blank

ID = "0197f0e2-7b7a-7c3a-9f52-6f1d2b3c4d5e"

TASKS = "/v1/tasks"

Title = Annotated[
    Line,
    Field(min_length=1, max_length=200, examples=["Call about the address"], json_schema_extra=NOT_BLANK),
    AfterValidator(not_blank),
]
Who = Annotated[Line, Field(min_length=1, max_length=128, examples=["clerk-7"])]
IdOut = Annotated[str, Field(examples=[ID], json_schema_extra={"format": "uuid"})]
Links = Annotated[dict[str, str], Field(examples=[{"self": f"{TASKS}/{ID}"}])]


class Schema(BaseModel):
    """A shape that is read strictly: what is unknown is refused, and nothing is taken for what it is not."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Target(NamedTuple):
    """A thing, at the version the caller last saw if it said so."""

    id: UUID
    version: int | None


class ListParts(BaseModel):
    """How much of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: int = Field(USUAL_PAGE, ge=1, le=LARGEST_PAGE, description="How many to a page.")
    cursor: Cursor | None = None


def path_of(task_id: UUID | str) -> str:
    """Return where in the API a task is."""
    return f"{TASKS}/{task_id}"
