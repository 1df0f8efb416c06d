"""What is kept for a time only, removed when that is over. Facts are not: they stay."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from orderhouse.jobs.kind import Argument, Job, job
from orderhouse.kernel import clock

_DAY = 86_400_000_000


class CleanUp(Argument):
    """How long."""

    keep_days: int = Field(30, ge=1, le=3650, description="How many days jobs are kept that have ended.")


@job(permission="jobs:manage")
def clean_up(argument: CleanUp, running: Job) -> Mapping[str, Any]:
    """Remove jobs that ended long ago, and files whose time is over."""
    before = clock.now() - argument.keep_days * _DAY
    return {"removed": running.wait_for(running.neighbours.house.forget(before))}
