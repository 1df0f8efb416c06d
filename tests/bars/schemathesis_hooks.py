"""What schemathesis cannot know: things that exist, their present versions, and that a key is for one request."""

import json
import os
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import schemathesis
from schemathesis import Case, GenerationMode, HookContext, Response

KNOWN: dict[str, str] = json.loads(os.environ["KNOWN_IDS"])
REPORT = Path(os.environ["ANSWERS_REPORT"])
_answers: Counter[str] = Counter()


@schemathesis.hook
def before_call(_context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Name things that exist by their present version, and give every request that is right a key of its own."""
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    for name in KNOWN.keys() & (case.path_parameters or {}).keys():
        case.path_parameters[name] = KNOWN[name]
    if isinstance(case.body, dict) and "customer_id" in case.body:
        case.body["customer_id"] = KNOWN["customer_id"]
    headers = case.headers
    if headers and "Idempotency-Key" in headers:
        headers["Idempotency-Key"] = str(uuid.uuid4())
    if headers and "If-Match" in headers:
        path = (
            case.formatted_path.removesuffix("/transitions").removesuffix("/deactivation").removesuffix("/reactivation")
        )
        asked = {"Authorization": os.environ["BEARER"]}
        found = httpx2.get(f"{os.environ['BASE_URL']}{path}", headers=asked)
        headers["If-Match"] = found.headers.get("etag", headers["If-Match"])


@schemathesis.check
def fits_its_schema(_context: Any, response: Response, case: Case[Any]) -> None:
    """What fits its schema is never refused as what does not."""
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE or _holds_a_float(case.body):
        return
    if response.status_code in (400, 422):
        code = response.json()["type"].removeprefix("/problems/")
        assert code not in ("malformed", "request_invalid", "idempotency_key_invalid"), response.text


def _holds_a_float(value: object) -> bool:
    """Whether there is a 1.0 where JSON Schema allows an integer to be written so, and this API does not."""
    if isinstance(value, dict):
        return any(map(_holds_a_float, value.values()))
    if isinstance(value, list):
        return any(map(_holds_a_float, value))
    return isinstance(value, float)


@schemathesis.hook
def after_call(_context: HookContext, case: Case[Any], response: Response) -> None:
    """Count how each operation answered."""
    _answers[f"{case.operation.label} {response.status_code // 100}xx"] += 1
    REPORT.write_text(json.dumps(_answers))
