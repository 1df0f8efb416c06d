"""Bar 28: whether somebody has an account, neither the words nor the time of an answer tell."""

import math
import random
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from orderhouse.auth.errors import SignInRefused
from orderhouse.auth.passwords import Hasher
from orderhouse.auth.service.asking import Where
from orderhouse.auth.wiring import SCHEMA
from orderhouse.kernel.ids import new_id
from orderhouse.runtime import migrate
from orderhouse.runtime.database.database import Place
from tests.bars.counts import count
from tests.integration.auth_world import World, opened

pytestmark = [pytest.mark.anyio, pytest.mark.context("auth"), pytest.mark.timeout(600)]

PAIRS = count(80, 500)
# Of so few pairs chance alone makes more: three standard deviations of what two equal crowds come to.
APART = max(0.05, 3 * math.sqrt((2 * PAIRS + 1) / (12 * PAIRS * PAIRS)))
REAL: dict[str, Any] = {"memory_kib": 19_456, "passes": 2}
KNOWN = 20


@pytest.fixture(autouse=True)
def untraced() -> Iterator[None]:
    """Let nobody look on: what is done for a known address is more lines, and each would cost something."""
    here, elsewhere = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)
    yield
    sys.settrace(here)
    threading.settrace(elsewhere)


async def separable(world: World) -> float:
    """Return how often an unknown address takes longer than a known one, by the share of pairs; half is alike."""
    for n in range(KNOWN):
        await world.somebody(f"known-{n}@example.com")
    known: list[float] = []
    unknown: list[float] = []
    for n in range(PAIRS):
        asks = [(known, f"known-{n % KNOWN}@example.com"), (unknown, f"{new_id().hex[-7:]}@example.com")]
        random.shuffle(asks)
        for took, email in asks:
            began = time.perf_counter()
            with pytest.raises(SignInRefused):
                await world.signs_in(email, "not this one at all", where=Where(f"192.0.2.{n % 250}", "a stranger's"))
            took.append(time.perf_counter() - began)
    return _auc(known, unknown)


def _auc(some: Sequence[float], others: Sequence[float]) -> float:
    return sum((one < other) + 0.5 * (one == other) for one in some for other in others) / (len(some) * len(others))


async def test_bar_28_time_does_not_tell_who_is_known(place: Place, tmp_path: Path) -> None:
    async with opened(place, tmp_path, **REAL) as world:
        assert abs(await separable(world) - 0.5) <= APART


async def test_bar_28_control_a_hash_that_is_not_made_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate.migrate(SCHEMA, place := tmp_path / "auth.sqlite3")
    careful = Hasher.matches

    def hasty(self: Hasher, kept: str | None, password: str) -> bool:
        return kept is not None and careful(self, kept, password)

    monkeypatch.setattr(Hasher, "matches", hasty)
    async with opened(place, tmp_path, **REAL) as world:
        assert abs(await separable(world) - 0.5) > APART
