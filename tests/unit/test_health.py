"""Alive, and ready?"""

import asyncio
import time
from pathlib import Path
from typing import Any

from orderhouse.runtime.database.errors import DatabaseUnavailable
from tests.unit import edge_world


async def well() -> None:
    await asyncio.sleep(0.01)


async def down() -> None:
    raise DatabaseUnavailable("postgresql://me:hunter2@db/orders")


async def broken() -> None:
    raise ConnectionError("postgresql://me:hunter2@db/orders")


async def stuck() -> None:
    await asyncio.sleep(60)


def test_alive_says_nothing_of_what_it_depends_on(tmp_path: Path) -> None:
    with edge_world.opened(tmp_path, database=down) as api:
        answer = api("GET", "/health/liveness", role=None)
    assert (answer.status_code, answer.json()) == (200, {"ok": True})


def test_ready_tells_how_long_each_check_took(tmp_path: Path) -> None:
    with edge_world.opened(tmp_path, database=well, readers=well) as api:
        answer = api("GET", "/health/readiness", role=None)
    assert answer.status_code == 200
    checks: dict[str, Any] = answer.json()["checks"]
    assert set(checks) == {"database", "readers"}
    assert all(check["ok"] and check["trouble"] is None and 10 <= check["ms"] < 1000 for check in checks.values())


def test_one_failing_check_is_enough_and_tells_no_address(tmp_path: Path) -> None:
    with edge_world.opened(tmp_path, database=down, broker=broken, readers=well) as api:
        answer = api("GET", "/health/readiness", role=None)
    assert answer.status_code == 503
    said = answer.json()
    assert said["ok"] is False
    troubles = {name: check["trouble"] for name, check in said["checks"].items()}
    assert troubles == {"database": "database_unavailable", "broker": "ConnectionError", "readers": None}
    assert "hunter2" not in answer.text
    assert "postgresql" not in answer.text


def test_a_check_has_a_second_and_does_not_hold_up_the_others(tmp_path: Path) -> None:
    began = time.monotonic()
    with edge_world.opened(tmp_path, database=stuck, broker=stuck, readers=well) as api:
        answer = api("GET", "/health/readiness", role=None)
    assert time.monotonic() - began < 3
    checks = answer.json()["checks"]
    assert {name: check["trouble"] for name, check in checks.items()} == {
        "database": "TimeoutError",
        "broker": "TimeoutError",
        "readers": None,
    }
    assert checks["readers"]["ms"] < 900
