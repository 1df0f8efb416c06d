"""Import of the whole Online Retail file: wall time and memory of the command as a user runs it, server down and up."""

import json
import os
import statistics
import subprocess
import threading
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from sqlalchemy.engine import make_url

from bench import servers
from bench.servers import Product
from bench.talk import call

ROUNDS = int(os.environ.get("ORDERHOUSE_BENCH_ROUNDS", "3"))
LINES = 541_909


def measure() -> dict[str, object]:
    """Return the figures of both databases."""
    folder = os.environ.get("ORDERHOUSE_REAL_DATA")
    if not folder:
        raise SystemExit("importing is measured on the real file: say where, with ORDERHOUSE_REAL_DATA")
    file = Path(folder) / "online-retail" / "online-retail.csv.gz"
    with servers.postgres() as url:
        return {"sqlite": _database(file, ""), "postgresql": _database(file, url)}


def _database(file: Path, server: str) -> dict[str, object]:
    alone = []
    for _ in range(ROUNDS):
        with servers.folder() as folder:
            environment = servers.environment(Path(folder) / "data", _fresh(server))
            alone.append(_import(file, environment, Path(folder)))
    with servers.folder() as folder:
        data = Path(folder) / "data"
        with servers.product(data, _fresh(server)) as product:
            beside = _beside(file, product, Path(folder))
            again = _import(file, product.environment, Path(folder))
            server_mb = product.peak_memory() >> 20
    walls = [one["seconds"] for one in alone]
    return {
        "seconds": walls,
        "lines_per_s": round(LINES / statistics.median(walls)),
        "import_mb": max(one["mb"] for one in alone),
        "beside_a_server": beside,
        "again_seconds": again["seconds"],
        "server_mb": server_mb,
    }


def _fresh(server: str) -> str:
    if not server:
        return ""
    name = f"bench_{uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def _import(file: Path, environment: dict[str, str], folder: Path) -> dict[str, Any]:
    command = [str(servers.PROGRAM), "import", "online-retail", str(file)]
    with (folder / "import.log").open("ab") as log:
        began = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - began
    if process.returncode:
        raise SystemExit((folder / "import.log").read_text())
    return {"seconds": round(seconds, 2), "mb": usage.ru_maxrss >> 10}


def _beside(file: Path, product: Product, folder: Path) -> dict[str, Any]:
    """Import while orders are placed one after the other, and return how long those waited."""
    token = product.token()
    customer = call(product.url, "POST", "/v1/customers", token, {"name": "Somebody"})["id"]
    order = {"customer_id": customer, "currency": "EUR", "lines": [{"sku": "TEA", "quantity": 1, "unit_price": "1.00"}]}
    waits: list[float] = []
    done = threading.Event()

    def place() -> None:
        while not done.is_set():
            began = time.perf_counter()
            call(product.url, "POST", "/v1/orders", token, order)
            waits.append(time.perf_counter() - began)
            time.sleep(0.01)

    placing = threading.Thread(target=place)
    placing.start()
    told = _import(file, product.environment, folder)
    done.set()
    placing.join()
    waits.sort()
    return {
        "seconds": told["seconds"],
        "orders_placed": len(waits),
        "p50_ms": round(waits[len(waits) // 2] * 1e3, 1),
        "p99_ms": round(waits[int(len(waits) * 0.99)] * 1e3, 1),
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
