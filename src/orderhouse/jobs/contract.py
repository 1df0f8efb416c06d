"""What neighbours may know of jobs: the states one can be in, and the facts told of them."""

from collections.abc import Mapping
from typing import Literal, get_args

State = Literal["pending", "running", "done", "failed", "cancelled"]
STATES: tuple[State, ...] = get_args(State)

QUEUED = "JobQueued"
DONE = "JobDone"
FAILED = "JobFailed"
CANCELLED = "JobCancelled"

FACTS: Mapping[str, str] = {
    QUEUED: "A job waits to be done: somebody asked for it, or wants it tried again.",
    DONE: "A job was done; told with its effects, once for each time it was queued at most.",
    FAILED: "A job was given up: after its last attempt, or because another would not help.",
    CANCELLED: "A job was cancelled before it was done.",
}
"""Every fact jobs tells, all of version 1, and what it means. Data: kind and owner, of a failed one the code too."""
