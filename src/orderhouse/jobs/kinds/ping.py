"""A job that does nothing: whether jobs are taken up, and how soon, is seen by it."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from orderhouse.jobs.kind import Argument, Job, job
from orderhouse.kernel.text import Line


class Ping(Argument):
    """What is to come back."""

    echo: Line = Field("", max_length=200)


@job()
def ping(argument: Ping, _job: Job) -> Mapping[str, Any]:
    """Do nothing, and answer what was said: shows that jobs are taken up."""
    return {"echo": argument.echo}
