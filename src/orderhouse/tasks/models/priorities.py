"""Priorities, as they are sorted."""

from typing import cast

from orderhouse.tasks.contract import PRIORITIES, TaskPriority


def urgency_of(priority: str) -> int:
    """Return what a priority is sorted by: 0 is the most urgent."""
    return len(PRIORITIES) - 1 - PRIORITIES.index(cast(TaskPriority, priority))


def priority_of(urgency: int) -> TaskPriority:
    """Return the priority that is sorted by `urgency`."""
    return PRIORITIES[len(PRIORITIES) - 1 - urgency]
