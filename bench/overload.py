"""Five times as many clients as the queue of writes holds, none of which waits when it is told to.

Peak, storm and calm take turns. What counts: how much is still placed in the storm, of the peak before it; that who is
turned away is told when to come again; how soon everything is as before. Clients, server and database share a machine,
which cannot make five times what it can serve: the load is as many clients as that, as fast as they are answered. The
more is offered, the less is left to serve it, so this errs on the hard side.
"""

import statistics
import time
from pathlib import Path
from typing import Any

from bench import servers, wrk
from bench.limits import SECONDS
from bench.placing import Load, database_of_its_own
from bench.servers import Product

ROUNDS = 3
QUEUE = 256
STORM = 5 * QUEUE
USUAL = 32
PEAK = (USUAL, 128)
CALM_S = 30


def measure() -> dict[str, object]:
    """Return the figures of both databases, round by round."""
    wrk.required("overload")
    with servers.folder() as folder:
        sqlite = _measured(Path(folder) / "data", "")
    with servers.postgres() as url, servers.folder() as folder:
        postgresql = _measured(Path(folder) / "data", database_of_its_own(url))
    return {"clients": STORM, "usual": USUAL, "queue": QUEUE, "sqlite": sqlite, "postgresql": postgresql}


def _measured(data: Path, url: str) -> dict[str, object]:
    with servers.product(data, url, ORDERHOUSE_WRITE_QUEUE=str(QUEUE), ORDERHOUSE_LOG_LEVEL="info") as product:
        load = Load(product)
        rounds = [_round(product, load) for _ in range(ROUNDS)]
        load.check()
    kept = [one["placed_per_s"] / one["peak_per_s"] for one in rounds]
    return {
        "rounds": rounds,
        "kept": {"rounds": [round(k, 2) for k in kept], "median": round(statistics.median(kept), 2)},
    }


def _round(product: Product, load: Load) -> dict[str, Any]:
    usual = [load.run(USUAL, 1) for _ in range(SECONDS)]
    peak = max(load.run(connections).per_s for connections in PEAK)
    before = product.memory()
    storm = load.storm(STORM, SECONDS)
    ended = time.monotonic()
    slowest = max(second.p99_ms for second in usual)
    recovered = _recovered(load, slowest, ended)
    if storm["bare"] or storm["wrong"]:
        raise SystemExit(f"not everybody was told well: {storm}")
    return {
        "peak_per_s": peak,
        "placed_per_s": round(storm["placed"] / storm["seconds"]),
        "shed_per_s": round(storm["shed"] / storm["seconds"]),
        "told_when": storm["shed"] - storm["bare"],
        "shed": storm["shed"],
        "p50_ms": storm["p50_ms"],
        "max_ms": storm["max_ms"],
        "usual_p99_ms": slowest,
        "recovered_s": recovered,
        "grown_mb": (product.memory() - before) >> 20,
    }


def _recovered(load: Load, usual_p99_ms: float, since: float) -> float:
    """Return how long after the storm a second has ended whose p99 is no worse than the worst second's before it."""
    while (took := time.monotonic() - since) < CALM_S:
        if load.run(USUAL, 1).p99_ms <= usual_p99_ms:
            return round(time.monotonic() - since, 1)
    return round(took, 1)
