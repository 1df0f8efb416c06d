"""Is it alive, and may it be sent requests?"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from fastapi import APIRouter
from pydantic import BaseModel, Field

from orderhouse.kernel.errors import Refusal
from orderhouse.runtime.once import Answer
from orderhouse.runtime.web.answers import json_answer
from orderhouse.runtime.web.fastapi_edge import Edge, open_to_all

Check = Callable[[], Awaitable[object]]
"""Raises when what it checks cannot be used now."""

_DEADLINE_S = 1.0


class CheckOut(BaseModel):
    """How one dependency did."""

    ok: bool
    ms: float = Field(description="How long the check took, in milliseconds.")
    trouble: str | None = Field(None, description="The kind of failure, without any address or secret.")


class LivenessOut(BaseModel):
    """The process answers."""

    ok: bool = Field(examples=[True])


class ReadinessOut(BaseModel):
    """Whether requests can be served, and how each dependency did."""

    ok: bool
    checks: dict[str, CheckOut]


def routes(edge: Edge, checks: Mapping[str, Check]) -> APIRouter:
    """Return the health routes; readiness runs all `checks` at once, each with a deadline of a second."""
    router = edge.router("/health", "health")

    @router.get(
        "/liveness", response_model=LivenessOut, **open_to_all("an orchestrator has no token, and nothing is told")
    )
    async def liveness() -> Answer:
        """Say that the process is alive; whatever it depends on is not asked."""
        return json_answer({"ok": True})

    @router.get(
        "/readiness",
        response_model=ReadinessOut,
        responses={503: {"model": ReadinessOut, "description": "Something it depends on cannot be used now."}},
        **open_to_all("a load balancer has no token; the answer names dependencies and timings only"),
    )
    async def readiness() -> Answer:
        """Say whether requests can be served, with the timing of each dependency."""
        results = await asyncio.gather(*(_checked(check) for check in checks.values()))
        ok = all(result["ok"] for result in results)
        body = {"ok": ok, "checks": dict(zip(checks, results, strict=True))}
        return json_answer(body, status=200 if ok else 503)

    return router


async def _checked(check: Check) -> dict[str, object]:
    began = time.perf_counter()
    trouble: str | None = None
    try:
        async with asyncio.timeout(_DEADLINE_S):
            await check()
    except Refusal as refusal:
        trouble = refusal.code
    except Exception as error:  # noqa: BLE001 - whatever it is, the dependency cannot be used
        trouble = type(error).__name__
    return {"ok": trouble is None, "ms": round((time.perf_counter() - began) * 1000, 3), "trouble": trouble}
