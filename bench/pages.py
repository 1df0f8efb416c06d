"""What an order costs a server whose memory is in huge pages, and one whose memory is not.

Two servers of the product, which differ by `ORDERHOUSE_HUGE_PAGES` alone, take turns.
"""

import statistics
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import servers, wrk
from bench.limits import ROUNDS, SECONDS
from bench.placing import Load, database_of_its_own
from orderhouse.assembly import huge_pages

CONNECTIONS = 32
ASKED_S = sum(huge_pages.PAUSES_S) + 4
"""When the last of a server's memory has been asked for."""


def measure() -> dict[str, object]:
    """Return orders a second, processor time an order and memory, without and with huge pages, on both databases."""
    wrk.required("pages")
    said = huge_pages.ENABLED.read_text().strip() if huge_pages.ENABLED.exists() else "none"
    with servers.postgres() as url:
        return {"kernel": said, "sqlite": _measured(""), "postgresql": _measured(url)}


def _measured(url: str) -> dict[str, Any]:
    with ExitStack() as running:
        folder = Path(running.enter_context(servers.folder()))
        loads: dict[str, Load] = {}
        for wanted in ("false", "true"):
            own = database_of_its_own(url) if url else ""
            loads[wanted] = Load(
                running.enter_context(servers.product(folder / wanted, own, ORDERHOUSE_HUGE_PAGES=wanted))
            )
        began = time.monotonic()
        while time.monotonic() - began < ASKED_S:
            for load in loads.values():
                load.run(CONNECTIONS, SECONDS)
        rounds: dict[str, list[dict[str, float]]] = {wanted: [] for wanted in loads}
        for _ in range(ROUNDS):
            for wanted, load in loads.items():
                rounds[wanted].append(_round(load))
        for load in loads.values():
            load.check()
    costs = [fine["cpu_us"] / small["cpu_us"] for small, fine in zip(rounds["false"], rounds["true"], strict=True)]
    return {
        "rounds": rounds,
        "ratio": {"rounds": [round(c, 2) for c in costs], "median": round(statistics.median(costs), 2)},
    }


def _round(load: Load) -> dict[str, float]:
    figure = load.run(CONNECTIONS, SECONDS)
    assert figure.server_us is not None
    return {
        "per_s": figure.per_s,
        "p99_ms": figure.p99_ms,
        "cpu_us": figure.server_us,
        "mib": load.product.memory() >> 20,
    }
