"""Memory over many minutes of orders, pages and figures: what is left growing when everything has warmed up.

The cache of the analytics file grows with the file until it is as large as it may be; here that is a third of what is
usual, so that it is full when everything else is warm. ORDERHOUSE_BENCH_MINUTES says how long; 15 unless set.
"""

import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench import servers, wrk
from bench.placing import Load, database_of_its_own
from bench.servers import Product
from bench.talk import call

MINUTES = float(os.environ.get("ORDERHOUSE_BENCH_MINUTES", "15"))
CONNECTIONS = 32
CACHE_MB = 32
SLICE_S = 5
WARM = 0.2
"""The part of the time in which caches fill, which says nothing about what comes later."""
FLAT_MIB_PER_HOUR = 64.0
"""What still counts as flat: a process of a quarter of a gigabyte would take hours to grow by a quarter."""


def measure() -> dict[str, object]:
    """Return the memory of the server over time, on both databases, and its slope."""
    wrk.required("soak")
    with servers.postgres() as url, servers.folder() as folder, ThreadPoolExecutor(2) as both:
        # At once: memory is what counts here, and not how much is placed.
        sqlite = both.submit(_soaked, Path(folder) / "sqlite", "")
        postgresql = both.submit(_soaked, Path(folder) / "postgresql", database_of_its_own(url))
        found = {"sqlite": sqlite.result(), "postgresql": postgresql.result()}
    return {"minutes": MINUTES, "clients": CONNECTIONS, "cache_mb": CACHE_MB, **found}


def _soaked(data: Path, url: str) -> dict[str, object]:
    chosen = {"ORDERHOUSE_LOG_LEVEL": "info", "ORDERHOUSE_ANALYTICS_MEMORY_MB": str(CACHE_MB)}
    with servers.product(data, url, **chosen) as product, ThreadPoolExecutor(1) as beside:
        load, began, orders = Load(product), time.monotonic(), 0
        at: list[float] = []
        mb: list[float] = []
        while time.monotonic() - began < MINUTES * 60:
            looking = beside.submit(_look_about, product)
            orders += load.storm(CONNECTIONS, SLICE_S)["placed"]
            looking.result()
            at.append((time.monotonic() - began) / 60)
            mb.append(product.memory() / 2**20)
        load.check()
    warm = [n for n, minute in enumerate(at) if minute >= WARM * MINUTES]
    slope, _ = statistics.linear_regression([at[n] / 60 for n in warm], [mb[n] for n in warm])
    return {
        "orders": orders,
        "first_mib": round(mb[0]),
        "warm_mib": round(mb[warm[0]]),
        "last_mib": round(mb[-1]),
        "most_mib": round(max(mb)),
        "mib_by_minute": [round(mb[n]) for n in range(len(at)) if n == 0 or int(at[n]) > int(at[n - 1])],
        "slope_mib_per_hour": round(slope, 1),
        "flat": slope <= FLAT_MIB_PER_HOUR,
    }


def _look_about(product: Product) -> None:
    """Ask what people ask meanwhile: pages, one order, figures."""
    token = product.token()
    page = call(product.url, "GET", "/v1/orders?limit=200", token)
    for one in page["items"][:20]:
        call(product.url, "GET", one["links"]["self"], token)
    for cut in ("day", "customer&limit=20", "status"):
        call(product.url, "GET", f"/v1/analytics/sales?by={cut}&from=2020-01-01&to=2029-12-31&currency=GBP", token)
