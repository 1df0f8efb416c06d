"""One attempt at a job: its function is called, and whatever it does is an outcome."""

import orjson
import structlog

from orderhouse.jobs.errors import JobBroke
from orderhouse.jobs.kind import Control, Job, JobStopped, Surroundings
from orderhouse.jobs.models.jobs import problem_of
from orderhouse.jobs.service.claims import Claimed, Done, Failed, Outcome, Stopped
from orderhouse.kernel.errors import Refusal, Unavailable
from orderhouse.runtime import telemetry

log = structlog.get_logger(__name__)

_MOST_BYTES = 65_536


def attempt(claimed: Claimed, control: Control, surroundings: Surroundings) -> Outcome:
    """Return what a job's function comes to, called right here, in a folder that goes when it ends."""
    job, kind = claimed.job, claimed.kind
    telemetry.enter(job.request_id, job.trace)
    running = Job(job.id, job.caller, job.attempt, control, surroundings)
    try:
        return _kept(kind.function(kind.parsed(job.argument), running))
    except JobStopped:
        return Stopped(control.reason or "leaving")
    except Refusal as refusal:
        return Failed(problem_of(refusal), lasts=not isinstance(refusal, Unavailable))
    except Exception:  # whatever a kind does wrong, its job has failed and the worker goes on
        log.exception("job_broke", job=str(job.id), kind=job.kind, attempt=job.attempt)
        return Failed(problem_of(JobBroke()), lasts=False)
    finally:
        running.leave()


def _kept(result: object) -> Outcome:
    """Return the outcome that keeps `result`; ValueError or TypeError when it is nothing that can be kept."""
    if result is None:
        return Done(None)
    written = orjson.dumps(result)
    if len(written) > _MOST_BYTES:
        raise ValueError(f"a result has {_MOST_BYTES} bytes at most: leave a file")
    if b"\\u0000" in written:
        raise ValueError("no database keeps U+0000")
    read = orjson.loads(written)
    if not isinstance(read, dict):
        raise TypeError("a result is an object, or nothing")
    return Done(read)
