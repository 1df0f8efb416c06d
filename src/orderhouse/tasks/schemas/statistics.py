"""How much there is to do, on the wire."""

from pydantic import Field

from orderhouse.tasks.contract import TaskPriority, TaskStatus
from orderhouse.tasks.schemas.shared import Schema

STATISTICS = "/v1/task-statistics"

MOST_PEOPLE = 20
"""Of how many people the statistics tell: those with the most to do."""


class Workload(Schema):
    """What somebody still has to do."""

    assigned_to: str = Field(examples=["clerk-7"])
    open: int = Field(examples=[4])
    overdue: int = Field(examples=[1])


class StatisticsOut(Schema):
    """How much there is to do, and how much of it is late."""

    by_status: dict[TaskStatus, int] = Field(
        examples=[{"pending": 3, "in_progress": 2, "completed": 9, "cancelled": 1}]
    )
    open_by_priority: dict[TaskPriority, int] = Field(examples=[{"low": 1, "medium": 3, "high": 1, "urgent": 0}])
    open: int = Field(examples=[5], description="What is still to be done.")
    overdue: int = Field(examples=[1], description="What is still to be done and should have been.")
    unassigned: int = Field(examples=[1], description="What is still to be done, by nobody yet.")
    people: list[Workload] = Field(description=f"Who has the most to do, {MOST_PEOPLE} at most.")
