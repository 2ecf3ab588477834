"""`sluicegate worker`: runs jobs beside gateways on the same PostgreSQL, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Collection
from contextlib import ExitStack

from sluicegate.app.ending import Ending
from sluicegate.app.factory import create_worker_app
from sluicegate.app.parts import Gateway, running, uses_sqlite
from sluicegate.app.server import GatewayServer, base_url, bind
from sluicegate.cli.config import configure_logging, load_settings, run_async
from sluicegate.core.errors import ConfigurationError
from sluicegate.settings import Settings

logger = logging.getLogger(__name__)

_AT_ONCE = (signal.SIGINT, signal.SIGTERM)


def worker(*, concurrency: int | None, job_classes: Collection[str] | None, host: str, port: int | None) -> None:
    """Runs until it is told to end. Raises ConfigurationError when the installation is set up wrongly."""
    settings = load_settings()
    if concurrency is not None:
        settings = settings.model_copy(update={"worker_concurrency": concurrency})
    configure_logging(settings)
    if uses_sqlite(settings):
        raise ConfigurationError(
            "A worker of its own needs PostgreSQL: on SQLite the gateway's process runs the jobs, and no other can.",
            hint="Set SLUICEGATE_DATABASE_URL=postgresql://… as for the gateways, or just run: sluicegate serve",
        )
    run_async(_work(settings, job_classes, host, port))


async def _work(settings: Settings, job_classes: Collection[str] | None, host: str, port: int | None) -> None:
    with ExitStack() as stack:
        listener = None if port is None else stack.enter_context(bind(host, port))
        async with running(settings, serves=False, only=job_classes or None) as gateway:
            logger.info(
                "Running jobs, %s at a time: %s", settings.worker_concurrency, ", ".join(job_classes or ["all classes"])
            )
            if listener is None:
                await _until_told(gateway)
            else:
                logger.info("Listening on %s", base_url(listener))
                await GatewayServer(create_worker_app(gateway), at_once=_AT_ONCE).serve(sockets=[listener])
    logger.info("Ended in order.")


async def _until_told(gateway: Gateway) -> None:
    drained = asyncio.Event()
    ending = Ending(gateway, at_once=_AT_ONCE, drained=drained.set)
    with ending.signals():
        await drained.wait()
