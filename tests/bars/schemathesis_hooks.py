"""What schemathesis cannot know: things that exist, their present versions, and that a key is for one request."""

import json
import os
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import schemathesis
from schemathesis import Case, GenerationMode, HookContext, Response

from tests import poison
from tests.bars import schemathesis_auth
from tests.installation import Installation

KNOWN: dict[str, str] = json.loads(os.environ["KNOWN_IDS"])
REPORT = Path(os.environ["ANSWERS_REPORT"])
FOR_SERVICES = ("/v1/people", "/v1/auth/revocations", "/oauth/introspection", "/v1/audit/refusals")
_answers: Counter[str] = Counter()


@schemathesis.auth(refresh_interval=None)
class Bearer:
    """The token a request is sent with: an owner's, or a service's where nobody else may ask."""

    def get(self, case: Case[Any], _context: Any) -> str:
        return os.environ["SERVICE_BEARER" if case.operation.path.startswith(FOR_SERVICES) else "BEARER"]

    def set(self, case: Case[Any], data: str, _context: Any) -> None:
        case.headers["Authorization"] = data


@schemathesis.hook
def before_call(_context: HookContext, case: Case[Any], _kwargs: dict[str, Any]) -> None:
    """Name things that exist by their present version, and give every request that is right a key of its own."""
    _spared(case)
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    _prepared(case)
    for name in KNOWN.keys() & (case.path_parameters or {}).keys():
        if _removes(case):
            continue
        case.path_parameters[name] = KNOWN[name]
    if case.method == "PUT" and case.operation.path.startswith("/v1/files"):
        # A file has one content: this one has none yet.
        case.path_parameters["file_id"] = _MADE["file_id"](uuid.uuid4().hex)
    if isinstance(case.body, dict) and "customer_id" in case.body:
        case.body["customer_id"] = KNOWN["customer_id"]
    headers = case.headers
    if headers and "Idempotency-Key" in headers:
        headers["Idempotency-Key"] = str(uuid.uuid4())
    if headers and "If-Match" in headers:
        path = (
            case.formatted_path.removesuffix("/transitions").removesuffix("/deactivation").removesuffix("/reactivation")
        ).removesuffix("/role")
        path = path.removesuffix("/replay")
        asked = {"Authorization": os.environ["BEARER"]}
        found = httpx2.get(f"{os.environ['BASE_URL']}{path}", headers=asked)
        headers["If-Match"] = found.headers.get("etag", '"1"')


def _removes(case: Case[Any]) -> bool:
    return case.method == "DELETE" and "/members/" not in case.operation.path


def _spared(case: Case[Any]) -> None:
    """Keep what everybody asks about: a request that is wrong only where nobody looks removes something else."""
    for name, value in (case.path_parameters or {}).items() if _removes(case) else ():
        if value == KNOWN.get(name):
            case.path_parameters[name] = str(uuid.uuid4())


_BODIES: dict[str, Any] = {
    "/v1/dead-letters/{letter_id}": {"data": {"country": "France", "active": True}},
    "/v1/readers/{reader}/replays": {"first": 1, "last": 1},
}


def _prepared(case: Case[Any]) -> None:
    """Make what a request needs to be able to succeed."""
    if schemathesis_auth.prepared(case):
        return
    path, fresh = case.operation.path, uuid.uuid4().hex
    if isinstance(case.body, dict) and {"role", "email"} <= case.body.keys():
        case.body |= {"role": "clerk", "email": f"{fresh}@example.com"}
    _startable(case, fresh)
    if path.endswith("/role"):
        case.body = {"role": "clerk"}
    if path == "/v1/people-searches":
        schemathesis_auth.said(case)["email"] = KNOWN["email"]
    if path == "/v1/acceptances":
        schemathesis_auth.said(case)["token"] = _asked(f"/v1/invitations/{_invited(fresh)}/link")["token"]
    _mendable(case)
    for name in {"reader", "user_id"} & (case.query or {}).keys():
        case.query[name] = KNOWN[name]
    if _removes(case):
        (name,) = case.path_parameters
        case.path_parameters[name] = _MADE[name](fresh)
        case.headers.pop("If-Match", None)


def _startable(case: Case[Any], fresh: str) -> None:
    """Ask for a job of a kind that is there, at a time that comes; cancel one that waits, and retry one that ended."""
    path = case.operation.path
    if path == "/v1/jobs" and isinstance(case.body, dict):
        case.body |= {"kind": "ping", "argument": {}, "deadline_s": None, "unique_key": fresh}
    if path.startswith("/v1/schedules") and isinstance(case.body, dict):
        # What no schema can say: that such a kind takes such an argument, and that the time ever comes.
        case.body |= {"name": fresh, "argument": {}, "cron": "0 0 29 2 *"}
        case.body |= {"kind": "ping"} if "kind" in case.body else {}
    if path.endswith(("/cancellation", "/retry")):
        KNOWN["job_id"] = _waiting() if path.endswith("/cancellation") else _cancelled()


def _mendable(case: Case[Any]) -> None:
    """Ask about a letter that was mended by nobody yet, and about facts that are there."""
    if "letter_id" in (case.path_parameters or {}) and not _removes(case):
        case.path_parameters["letter_id"] = _parked()
    if case.operation.path in _BODIES and case.method in ("PATCH", "POST"):
        case.body = _BODIES[case.operation.path]


def _asked(path: str, body: object = None) -> dict[str, Any]:
    headers = {"Authorization": os.environ["BEARER"], "Idempotency-Key": str(uuid.uuid4())}
    answer = httpx2.post(f"{os.environ['BASE_URL']}{path}", json=body, headers=headers)
    assert answer.status_code in (200, 201, 202), answer.text
    made: dict[str, Any] = answer.json()
    return made


def _waiting() -> str:
    return str(_asked("/v1/jobs", {"kind": "ping", "delay_s": 3600})["id"])


def _cancelled() -> str:
    return str(_asked(f"/v1/jobs/{_waiting()}/cancellation")["id"])


def _parked() -> str:
    """Return a fact about a customer that nobody can read, once it is parked."""
    about = uuid.uuid4()
    poison.customer(Installation(Path(os.environ["DATA_FOLDER"])), about)
    while True:
        address = "/v1/dead-letters?limit=200"
        while address:
            page = _found(address)
            for letter in page["items"]:
                if letter["event"]["subject"] == str(about):
                    return str(letter["id"])
            address = page["links"].get("next")


def _found(path: str) -> dict[str, Any]:
    answer = httpx2.get(f"{os.environ['BASE_URL']}{path}", headers={"Authorization": os.environ["BEARER"]})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _deactivated(fresh: str) -> str:
    made = _asked("/v1/users", {"email": f"{fresh}@example.org", "name": "Ada", "role": "clerk"})["id"]
    return str(_asked(f"/v1/users/{made}/deactivation")["id"])


def _invited(fresh: str) -> str:
    wanted = {"email": f"{fresh}@example.net", "name": "Ada", "role": "clerk"}
    return str(_asked("/v1/invitations", wanted)["id"])


def _ruled(fresh: str) -> str:
    asked = {"Authorization": os.environ["BEARER"]}
    there = httpx2.get(f"{os.environ['BASE_URL']}/v1/task-rules", headers=asked).json()["items"]
    for rule in there[40:]:
        # There may only be so many: whoever wants to remove one makes room for it.
        httpx2.delete(f"{os.environ['BASE_URL']}{rule['links']['self']}", headers=asked)
    return str(_asked("/v1/task-rules", {"title": fresh, "when": {"kind": "order_on_hold"}})["id"])


_MADE: dict[str, Callable[[str], str]] = {
    "letter_id": lambda _fresh: _parked(),
    "user_id": _deactivated,
    "invitation_id": _invited,
    "task_id": lambda fresh: str(_asked("/v1/tasks", {"title": fresh})["id"]),
    "rule_id": _ruled,
    "comment_id": lambda fresh: str(_asked(f"/v1/tasks/{KNOWN['task_id']}/comments", {"text": fresh})["id"]),
    "item_id": lambda fresh: str(_asked(f"/v1/tasks/{KNOWN['task_id']}/checklist", {"text": fresh})["id"]),
    "team_id": lambda fresh: str(_asked("/v1/teams", {"name": fresh})["id"]),
    "schedule_id": lambda fresh: str(
        _asked("/v1/schedules", {"name": fresh, "kind": "ping", "cron": "0 0 29 2 *"})["id"]
    ),
    "file_id": lambda fresh: str(_asked("/v1/files", {"name": fresh})["id"]),
    "role_id": lambda fresh: str(_asked("/v1/roles", {"name": f"r{fresh}", "permissions": ["orders:read"]})["id"]),
}
"""What is made anew for each request that removes one."""


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
