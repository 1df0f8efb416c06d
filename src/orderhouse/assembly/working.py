"""`orderhouse worker`: a process that does jobs, beside the server and beside other workers."""

import asyncio
import signal

import structlog

from orderhouse.assembly.contexts import Contexts
from orderhouse.assembly.process import settle_down
from orderhouse.runtime.settings import Settings

log = structlog.get_logger(__name__)


async def work(contexts: Contexts, settings: Settings) -> None:
    """Do jobs until the process is told to end; what runs then is waited for, or put back."""
    loop = asyncio.get_running_loop()
    working = asyncio.create_task(contexts.jobs.worker(threads=settings.job_threads).run())
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, working.cancel)
    settle_down()
    log.info("working", threads=settings.job_threads, database=contexts.jobs.database.dialect)
    await asyncio.gather(working, return_exceptions=True)
