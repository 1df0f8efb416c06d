"""Analytics from the facts, from the first one on."""

from collections.abc import Mapping
from typing import Any

from orderhouse.jobs.kind import Job, NoArgument, job


@job(permission="jobs:manage", at_home=True)
def rebuild_analytics(_argument: NoArgument, running: Job) -> Mapping[str, Any]:
    """Make the figures anew from the facts; until they are there, those of before are served."""
    return {"facts": running.wait_for(running.neighbours.sales.rebuild(running.progress))}
