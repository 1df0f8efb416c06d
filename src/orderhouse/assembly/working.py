"""`orderhouse worker`: a process that does jobs, beside the server and beside other workers."""

import asyncio
import os
import signal

import structlog

from orderhouse.assembly.contexts import Contexts
from orderhouse.assembly.data_folder import made
from orderhouse.assembly.neighbours import OwnSales, of_worker
from orderhouse.assembly.process import settle_down
from orderhouse.runtime.settings import Settings
from orderhouse.runtime.transports.direct import DirectSource

log = structlog.get_logger(__name__)

_GIVES_WAY = 19
"""How nice a worker is: whoever waits for an answer goes first, and jobs take what is left of the machine."""


async def work(contexts: Contexts, settings: Settings) -> None:
    """Do jobs until the process is told to end; what runs then is waited for, or put back."""
    os.nice(_GIVES_WAY)
    loop = asyncio.get_running_loop()
    folder = made(settings.data_dir).resolve()
    threads = max(1, settings.job_threads)
    sales = OwnSales(folder, DirectSource(contexts.orders.database), contexts.customers.directory, settings)
    worker = contexts.jobs.worker(
        folder / "jobs",
        of_worker(contexts, sales),
        threads=threads,
        home=False,
        lease_s=settings.job_lease_s,
    )
    working = asyncio.create_task(worker.run())
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, working.cancel)
    settle_down()
    log.info("working", threads=threads, database=contexts.jobs.database.dialect)
    await asyncio.gather(working, return_exceptions=True)
    await sales.close()
