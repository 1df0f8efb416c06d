"""The API is what its document says: asked with everything the document allows, and with what it does not."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest

from bench.servers import Product, product
from tests.bars.counts import FULL, count

HERE = Path(__file__).parent
LINE = {"sku": "TEA", "quantity": 2, "unit_price": "3.50"}

LEAP = "0 0 29 2 *"


def added(served: Product, path: str, body: dict[str, Any], token: str) -> str:
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": path}
    answer = httpx2.post(f"{served.url}{path}", json=body, headers=headers)
    assert answer.status_code in (201, 202), answer.text
    return str(answer.json()["id"])


def with_content(served: Product, file: str, token: str) -> str:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/octet-stream"}
    put = httpx2.put(f"{served.url}/v1/files/{file}/content", content=b"sku,quantity", headers=headers)
    assert put.status_code == 200, put.text
    return file


WITH_ANOTHER = {"POST /v1/auth/outside-sign-ins", "POST /v1/auth/outside-sign-ins/completion"}
"""What needs another house to succeed, and does in tests/integration/test_auth_outside.py."""


@pytest.mark.timeout(1800)
def test_the_api_is_as_documented(tmp_path: Path) -> None:
    # Hashes that cost next to nothing: this is about everything but their cost.
    cheap = {"ORDERHOUSE_ARGON2_KIB": "64", "ORDERHOUSE_ARGON2_PASSES": "1"}
    with product(tmp_path / "data", **cheap) as served:
        token = served.token()
        customer = added(served, "/v1/customers", {"name": "Ada", "country": "United Kingdom"}, token)
        order = added(served, "/v1/orders", {"customer_id": customer, "currency": "GBP", "lines": [LINE]}, token)
        ada = {"email": "ada@example.com", "name": "Ada", "role": "clerk"}
        known = {
            "customer_id": customer,
            "order_id": order,
            "code": "order_unknown",
            "context": "customers",
            "name": "CustomerAdded",
            "version": "1",
            "reader": "orders.customers",
            "email": ada["email"],
            "user_id": added(served, "/v1/users", ada, token),
            "team_id": added(served, "/v1/teams", {"name": "Returns"}, token),
            "role_id": added(served, "/v1/roles", {"name": "returns", "permissions": ["orders:read"]}, token),
            "file_id": with_content(served, added(served, "/v1/files", {"name": "orders.csv"}, token), token),
            "schedule_id": added(served, "/v1/schedules", {"name": "Leap", "kind": "ping", "cron": LEAP}, token),
            "job_id": added(served, "/v1/jobs", {"kind": "ping"}, token),
            "task_id": added(served, "/v1/tasks", {"title": "Call Ada"}, token),
            "invitation_id": added(served, "/v1/invitations", ada | {"email": "new@example.com"}, token),
        }
        of_task = f"/v1/tasks/{known['task_id']}"
        known["rule_id"] = added(served, "/v1/task-rules", {"title": "R", "when": {"kind": "order_on_hold"}}, token)
        known["comment_id"] = added(served, f"{of_task}/comments", {"text": "Nobody there."}, token)
        known["item_id"] = added(served, f"{of_task}/checklist", {"text": "Call"}, token)
        report = tmp_path / "answers.json"
        (tmp_path / "data" / "mail").mkdir(exist_ok=True)
        environment = {
            **os.environ,
            "PYTHONPATH": str(HERE.parents[1]),
            "SCHEMATHESIS_HOOKS": "tests.bars.schemathesis_hooks",
            "KNOWN_IDS": json.dumps(known),
            "ANSWERS_REPORT": str(report),
            "BASE_URL": served.url,
            "DATA_FOLDER": str(tmp_path / "data"),
            "MAIL_DIR": str(tmp_path / "data" / "mail"),
            "BEARER": f"Bearer {token}",
            "SERVICE_BEARER": f"Bearer {served.token('service')}",
        }
        command = [
            str(Path(sys.executable).with_name("schemathesis")),
            *("--config-file", str(HERE / "schemathesis.toml")),
            *("run", f"{served.url}/openapi.json"),
            # Found anew by everybody who looks for more; the same for everybody else.
            *(() if FULL else ("--seed", "20261120")),
            *("-n", str(count(4, 400)), "--generation-database=none", "--no-color", "--continue-on-failure"),
        ]
        ran = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        document: dict[str, Any] = httpx2.get(f"{served.url}/openapi.json").json()
    assert ran.returncode == 0, ran.stdout[-12000:] + ran.stderr[-2000:]
    answers = json.loads(report.read_text())
    operations = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    operations -= WITH_ANOTHER
    # Whoever lets a client in is sent back to it.
    done = {answer.removesuffix(f" {kind}") for kind in ("2xx", "3xx") for answer in answers if answer.endswith(kind)}
    assert operations - done == set()
    assert not [answer for answer in answers if answer.endswith(" 5xx")]
    assert sum(answers.values()) >= count(500, 5000)
