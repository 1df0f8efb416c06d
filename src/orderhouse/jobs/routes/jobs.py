"""Jobs over HTTP."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query

from orderhouse.jobs import reads, schemas
from orderhouse.jobs.errors import (
    JobAlreadyQueued,
    JobArgumentInvalid,
    JobEnded,
    JobKindNotAllowed,
    JobKindUnknown,
    JobNeverInTime,
    JobNotFound,
    JobNotRetryable,
)
from orderhouse.jobs.kind import JobKind
from orderhouse.jobs.models.jobs import JobState
from orderhouse.jobs.schemas import PRIORITIES, AskJob, JobKinds, JobOut, JobPage, ListJobs, Named
from orderhouse.jobs.service.jobs import JobService
from orderhouse.kernel.clock import as_text, text_or_none
from orderhouse.kernel.pages import CursorInvalid
from orderhouse.runtime.database.database import Database
from orderhouse.runtime.once import Answer
from orderhouse.runtime.web import links
from orderhouse.runtime.web.answers import etag, json_answer, unchanged
from orderhouse.runtime.web.fastapi_edge import Asker, Edge, IfNoneMatch, Once, needs

_AGAIN = ("retry-after", "1")
"""Whoever waits for a job's end asks once a second."""


def routes(edge: Edge, database: Database, service: JobService) -> APIRouter:
    """Return the jobs' routes."""
    router = edge.router("", "jobs")

    @router.post(
        schemas.PATH,
        status_code=202,
        response_model=JobOut,
        **needs(
            "jobs:start",
            JobKindUnknown,
            JobKindNotAllowed,
            JobArgumentInvalid,
            JobAlreadyQueued,
            JobNeverInTime,
            key=True,
        ),
    )
    async def ask_for_job(wanted: AskJob, once: Once) -> Answer:
        """Ask for a job: it waits, a worker takes it up, and Location tells how far it is and what it came to."""
        return await once(service.ask, wanted, answer=_accepted)

    @router.get(schemas.PATH, response_model=JobPage, **needs("jobs:read", CursorInvalid))
    async def list_jobs(wanted: Annotated[ListJobs, Query()], caller: Asker) -> Answer:
        """List your jobs, or everybody's if you may see them, a page at a time; the latest first."""
        page = await database.read(reads.page, wanted, caller)
        return json_answer(
            {
                "items": [_shown(job) for job in page.jobs],
                "next": page.next,
                "links": links.of_page(schemas.PATH, wanted, page.next),
            }
        )

    @router.get(
        f"{schemas.PATH}/{{job_id}}",
        response_model=JobOut,
        **needs("jobs:read", JobNotFound),
    )
    async def get_job(job_id: UUID, caller: Asker, unless: IfNoneMatch) -> Answer:
        """Get a job: its state, how far it is, what it came to. Until it has ended, Retry-After says when to look."""
        job = await database.read(reads.one, job_id, caller)
        if job is None:
            raise JobNotFound
        tag, more = etag(job.version), (_AGAIN,) if job.active else ()
        return unchanged(tag, unless, *more) or json_answer(_shown(job), tag, *more)

    @router.post(
        f"{schemas.PATH}/{{job_id}}/cancellation", response_model=JobOut, **needs("jobs:start", JobNotFound, JobEnded)
    )
    async def cancel_job(job_id: UUID, once: Once) -> Answer:
        """Cancel a job: at once while it waits; one that runs is asked to stop, and ends in a moment."""
        return await once(service.cancel, Named(job_id), answer=_changed)

    @router.post(
        f"{schemas.PATH}/{{job_id}}/retry",
        status_code=202,
        response_model=JobOut,
        **needs("jobs:start", JobNotFound, JobNotRetryable, JobAlreadyQueued),
    )
    async def retry_job(job_id: UUID, once: Once) -> Answer:
        """Have a job tried again that failed or was cancelled, with all its attempts anew."""
        return await once(service.retry, Named(job_id), answer=_accepted)

    @router.get("/v1/job-kinds", response_model=JobKinds, **needs("jobs:read"))
    async def list_job_kinds(caller: Asker) -> Answer:
        """List the kinds of job you may ask for, and what each wants to know."""
        return json_answer({"items": [_kind(kind) for kind in service.allowed(caller)]})

    return router


def _accepted(job: JobState) -> Answer:
    where = ("location", schemas.SELF.format(job.id))
    return json_answer(_shown(job), where, etag(job.version), _AGAIN, status=202)


def _changed(job: JobState) -> Answer:
    return json_answer(_shown(job), etag(job.version))


def _shown(job: JobState) -> dict[str, Any]:
    ways = {"self": schemas.SELF.format(job.id)}
    if job.active and not job.cancelling:
        ways["cancellation"] = schemas.CANCELLATION.format(job.id)
    elif job.state in ("failed", "cancelled"):
        ways["retry"] = schemas.RETRY.format(job.id)
    return {
        "id": job.id,
        "kind": job.kind,
        "state": job.state,
        "priority": PRIORITIES[job.priority],
        "argument": job.argument,
        "owner": job.owner,
        "unique_key": job.unique_key,
        "concurrency_key": job.concurrency_key,
        "attempt": job.attempt,
        "progress": {"done": job.done, "total": job.total, "note": job.note},
        "cancelling": job.cancelling,
        "result": job.result,
        "error": job.error,
        "run_at": as_text(job.run_at),
        "deadline": text_or_none(job.deadline),
        "created_at": as_text(job.created_at),
        "started_at": text_or_none(job.started_at),
        "ended_at": text_or_none(job.ended_at),
        "version": job.version,
        "links": ways,
    }


def _kind(kind: JobKind) -> dict[str, Any]:
    return {
        "name": kind.name,
        "summary": kind.summary,
        "permission": kind.permission,
        "attempts": kind.retry.attempts,
        "time_limit_s": kind.time_limit_s,
        "argument": kind.argument.model_json_schema(),
    }
