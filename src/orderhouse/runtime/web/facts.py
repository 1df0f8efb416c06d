"""Facts over HTTP: the logs as CloudEvents, and what they look like as JSON schemas and as an AsyncAPI document."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from orderhouse.kernel.errors import NotFound
from orderhouse.runtime import cloudevents, facts
from orderhouse.runtime.database.database import Database
from orderhouse.runtime.once import Answer
from orderhouse.runtime.registry import Registry, schema_of
from orderhouse.runtime.web.fastapi_edge import Edge, needs, open_to_all

_LARGEST_BATCH = 1000
LARGEST_POSITION = 2**53 - 1
"""The largest number every reader of JSON knows exactly."""

_EVENT = {"type": "object", "required": cloudevents.REQUIRED, "properties": cloudevents.ATTRIBUTES}


class LogUnknown(NotFound):
    """No context of that name tells facts."""

    code = "log_unknown"


class SchemaUnknown(NotFound):
    """No fact of that name has that version now."""

    code = "schema_unknown"


class ReadLog(BaseModel):
    """Which facts of a log."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: int = Field(0, ge=0, le=LARGEST_POSITION, description="Behind this position: that of the last one you have.")
    limit: int = Field(100, ge=1, le=_LARGEST_BATCH, description="How many at most.")


def routes(
    edge: Edge, registry: Registry, logs: Mapping[str, Database], asyncapi: Callable[[], Mapping[str, Any]]
) -> APIRouter:
    """Return the routes of facts; `asyncapi` makes the document, when it is first asked for."""
    router = edge.router("", "facts")

    @router.get(
        "/v1/facts/{context}",
        response_model=None,
        responses={200: {"content": {cloudevents.BATCH_MEDIA_TYPE: {"schema": {"type": "array", "items": _EVENT}}}}},
        **needs("facts:read", LogUnknown),
    )
    async def read_facts(context: str, wanted: Annotated[ReadLog, Query()]) -> Answer:
        """Read a context's log in order, as a batch of CloudEvents; empty when there are no more yet."""
        if context not in logs:
            raise LogUnknown
        found = await logs[context].scan(facts.read, wanted.after, wanted.limit)
        body = orjson.dumps([cloudevents.event_of(context, fact) for fact in found])
        return Answer(200, (("content-type", cloudevents.BATCH_MEDIA_TYPE),), body)

    @router.get(
        "/schemas/facts/{name}/{version}",
        response_model=None,
        responses={200: {"content": {"application/schema+json": {"schema": {"type": "object"}}}}},
        **open_to_all("what a fact looks like is no secret", SchemaUnknown),
    )
    async def get_fact_schema(name: str, version: str) -> Answer:
        """Get the JSON schema of a fact's data."""
        kind = registry.kind(name, version)
        if kind is None:
            raise SchemaUnknown
        return Answer(200, (("content-type", "application/schema+json"),), orjson.dumps(schema_of(kind)))

    @cache
    def document() -> bytes:
        return orjson.dumps(asyncapi())

    @router.get(
        "/asyncapi.json",
        response_model=None,
        responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}}},
        **open_to_all("which facts are told is no secret"),
    )
    async def get_asyncapi() -> Answer:
        """Get the AsyncAPI document: which context tells which facts, and who reads them."""
        return Answer(200, (), document())

    return router
