"""What the API tells about itself: its OpenAPI document, its problems, its public keys."""

from typing import Any

from fastapi import APIRouter, FastAPI
from pydantic import BaseModel, Field

from orderhouse.kernel.errors import NotFound
from orderhouse.runtime.once import Answer
from orderhouse.runtime.web import problems
from orderhouse.runtime.web.answers import json_answer
from orderhouse.runtime.web.fastapi_edge import Edge, open_to_all


class ProblemUnknown(NotFound):
    """There is no problem of that name."""

    code = "problem_unknown"


class ProblemKind(BaseModel):
    """What a problem means."""

    code: str = Field(examples=["order_unknown"])
    title: str
    status: int = Field(examples=[404])


class ProblemKinds(BaseModel):
    """Every problem this API can answer with."""

    items: list[ProblemKind]


class JsonWebKeys(BaseModel):
    """Public keys (RFC 7517)."""

    keys: list[dict[str, Any]]


def routes(edge: Edge) -> APIRouter:
    """Return the routes that need no token."""
    router = edge.router("", "about")
    kinds = {
        kind.code: {"code": kind.code, "title": kind().title, "status": problems.status_of(kind)}
        for kind in problems.catalogue()
    }

    @router.get("/problems", response_model=ProblemKinds, **open_to_all("what a refusal means is no secret"))
    async def list_problems() -> Answer:
        """List every problem this API can answer with."""
        return json_answer({"items": list(kinds.values())})

    @router.get(
        "/problems/{code}",
        response_model=ProblemKind,
        **open_to_all("what a refusal means is no secret", ProblemUnknown),
    )
    async def get_problem(code: str) -> Answer:
        """Say what a problem's type means."""
        if code not in kinds:
            raise ProblemUnknown
        return json_answer(kinds[code])

    @router.get("/.well-known/jwks.json", response_model=JsonWebKeys, **open_to_all("public keys are public"))
    async def get_keys() -> Answer:
        """Get the public keys that verify this house's tokens."""
        return json_answer(edge.verifier.jwks())

    return router


def describe(app: FastAPI) -> None:
    """Complete the OpenAPI document FastAPI makes of `app`: the problem's schema, and how to authenticate."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        document = made()
        components = document.setdefault("components", {})
        components.setdefault("schemas", {})["Problem"] = problems.SCHEMA
        components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend it
