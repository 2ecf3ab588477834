"""The engine of many processes: PgQueuer on PostgreSQL.

A ticket is written in the transaction that makes its job QUEUED, under a key of the job and its attempt: another
ticket for the same attempt is no ticket. What PgQueuer (1.6) must be kept from:

- A limit of an entrypoint counts over all processes, so there is none. Here one process takes as many tickets as it
  may run jobs, also when that is one, which PgQueuer's own option refuses.
- A failure of the database ends its loop, but not before every run has ended, and until then nothing new is taken. So
  a failed look finds nothing, and listening has a connection of its own (`listener`).
- Its log has three rows for a ticket: they are deleted each minute. Its statistics are switched off.
- A handler outside of its cancellation scope runs to its end whatever happens; its shutdown waits without bound, so the
  worker bounds its runs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, cast

import asyncpg
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver, AsyncpgPoolDriver
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment, QueryQueueBuilder, QuerySchedulerBuilder
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.core.qm import QueueManager
from pgqueuer.domain.errors import RetryRequested
from pgqueuer.domain.models import Context, TracebackRecord
from pgqueuer.domain.models import Job as Delivery
from pgqueuer.domain.settings import DBSettings, Durability
from pgqueuer.domain.types import JOB_STATUS, QueueEntrypoint, QueueManagerId
from pgqueuer.ports.driver import Driver, NotifyCallback
from pgqueuer.ports.repository import EntrypointExecutionParameter

from models import tickets
from models.database import ALL, AsyncSession, Database
from models.job_leases import DueJob
from models.jobs import Job
from sluicegate.jobs.engine import Handler, due
from sluicegate.jobs.listener import Listener

logger = logging.getLogger(__name__)

CONNECTIONS = 4
"""The most that a running engine has to the database, besides the sessions': one listens."""
CLEAR_LOG_SECONDS = 60.0
SIGNALS = f"{tickets.PREFIX}signals"
"""The channel on which a job's id says: look at its row."""
_UNTYPED = cast("Any", asyncpg)
_OTHER = "other"
_POLL = timedelta(seconds=2)
_BUSY_POLL = timedelta(seconds=0.2)
_HEARTBEAT = timedelta(seconds=10)
_TIMES = {"timeout": 10.0, "command_timeout": 30.0}
SETTINGS = DBSettings(**tickets.NAMES, durability=Durability.balanced)


class PostgresEngine:
    """Tickets in the database. `concurrency` jobs run here at a time, the most urgent ones first.

    `classes`: the names of the job classes that there are. `only`: those whose tickets this process takes; None: all,
    and those of classes that nobody knows.
    """

    def __init__(
        self,
        database: Database,
        classes: Collection[str],
        concurrency: int,
        *,
        only: Collection[str] | None = None,
        clear_log_seconds: float = CLEAR_LOG_SECONDS,
    ) -> None:
        self.window = 16 * concurrency
        self._database = database
        self._classes = frozenset(classes)
        self._taken = sorted(self._classes | {_OTHER}) if only is None else sorted(set(only))
        self._concurrency = concurrency
        self._clear_log_seconds = clear_log_seconds
        self._queries: _Queries | None = None
        self._manager: QueueManager | None = None
        self._stopped = False

    @property
    def hungry(self) -> bool:
        """Whether no ticket that this process may take waits."""
        return self._queries is None or not self._queries.backlog

    async def enqueue(self, session: AsyncSession, job: Job) -> None:
        """A ticket in the session's transaction."""
        await self._write(session, [due(job)])

    async def deliver(self, jobs: Sequence[DueJob]) -> None:
        """Tickets for those of the jobs that have none. Whether an engine runs here is no matter."""
        if not jobs:
            return
        async with self._database.read(ALL) as session:
            present = await tickets.present(session, [_key(job) for job in jobs])
        missing = [job for job in jobs if _key(job) not in present]
        if missing:
            async with self._database.write(ALL) as session:
                await self._write(session, missing)

    async def interrupt(self, session: AsyncSession, job_id: int) -> None:
        """Tells every process, with the commit."""
        await tickets.notify(session, SIGNALS, str(job_id))

    async def run(self, handler: Handler) -> None:
        """Delivers until `stop`. Raises what the driver raises when the database can't be reached at the start."""
        arguments = {**_TIMES, **tickets.connect_arguments(self._database)}
        pool: Any = await _UNTYPED.create_pool(min_size=1, max_size=CONNECTIONS - 1, **arguments)
        listening = asyncio.Event()
        listener = Listener(arguments, connected=listening.set)
        await listener.add(SIGNALS, partial(_hear, handler))
        queries = _queries(_Driver(pool, listener), self._concurrency)
        helpers = {
            asyncio.create_task(listener.run(), name="jobs-listener"),
            asyncio.create_task(self._clear_log(queries), name="jobs-clear-log"),
        }
        try:
            await listening.wait()
            await self._manage(queries, handler)
        finally:
            self._manager = self._queries = None
            for task in helpers:
                task.cancel()
            await asyncio.wait(helpers)
            await _close(pool)

    def stop(self) -> None:
        """No more tickets; those that wait are for others."""
        self._stopped = True
        if self._queries is not None:
            self._queries.ending = True
        if self._manager is not None:
            self._manager.shutdown.set()

    async def _manage(self, queries: _Queries, handler: Handler) -> None:
        manager = QueueManager(queries, channel=SETTINGS.channel)
        manager.min_dequeue_poll_interval = _BUSY_POLL
        for name in self._taken:
            manager.entrypoint(name, accepts_context=True)(partial(self._dispatch, handler))
        self._manager, self._queries = manager, queries
        if self._stopped:
            return
        await manager.run(
            dequeue_timeout=_POLL,
            batch_size=max(1, self._concurrency // 2),
            max_concurrent_tasks=max(2, self._concurrency),
            heartbeat_timeout=_HEARTBEAT,
            log_aggregation_interval=timedelta(0),
        )

    async def _dispatch(self, handler: Handler, delivery: Delivery, context: Context) -> None:
        assert delivery.payload is not None
        delay: float | None = None
        with context.cancellation:
            delay = await handler.run(int(delivery.payload))
        if delay is not None and not self._stopped:
            raise RetryRequested(timedelta(seconds=delay))

    async def _write(self, session: AsyncSession, jobs: Sequence[DueJob]) -> None:
        # In one order: two processes that write the same tickets would else wait for each other.
        jobs = sorted(jobs)
        await _queries(_InSession(session)).enqueue(
            [job.job_class if job.job_class in self._classes else _OTHER for job in jobs],
            [str(job.id).encode() for job in jobs],
            [job.priority for job in jobs],
            dedupe_key=[_key(job) for job in jobs],
            on_conflict="skip",
        )

    async def _clear_log(self, queries: _Queries) -> None:
        names = sorted(self._classes | {_OTHER})
        while True:
            await asyncio.sleep(self._clear_log_seconds)
            try:
                await queries.clear_queue_log(names)
            except Exception:
                logger.warning("The log of tickets could not be cleared", exc_info=True)


@dataclass
class _Queries(Queries):
    """PgQueuer's, for a loop that must not end. `backlog`: whether tickets waited at the last look."""

    concurrency: int = 1
    backlog: bool = False
    failing: bool = False
    ending: bool = False

    async def dequeue(
        self,
        batch_size: int,
        entrypoints: dict[QueueEntrypoint, EntrypointExecutionParameter],
        queue_manager_id: QueueManagerId,
        global_concurrency_limit: int | None,  # noqa: ARG002 - at least two: ours may be one
        heartbeat_timeout: timedelta,
    ) -> list[Delivery]:
        try:
            found = await super().dequeue(
                batch_size, entrypoints, queue_manager_id, self.concurrency, heartbeat_timeout
            )
        except Exception:
            if not self.failing:
                logger.exception("Tickets can't be taken; it is tried again each second")
            self.failing = True
            await self._pause()
            return []
        if self.failing:
            logger.info("Tickets can be taken again")
        self.failing = False
        return found

    async def log_jobs(self, job_status: list[tuple[Delivery, JOB_STATUS, TracebackRecord | None]]) -> None:
        try:
            await super().log_jobs(job_status)
        except Exception:
            # PgQueuer logs it and tries again, ten times a second if it may.
            await self._pause()
            raise

    async def eligible_queued_work(self, entrypoints: list[QueueEntrypoint]) -> int:
        with suppress(Exception):  # `dequeue` tells of it
            found = await super().eligible_queued_work(entrypoints)
            self.backlog = found > 0
            return found
        return 0

    async def next_deferred_eta(self, entrypoints: list[QueueEntrypoint]) -> timedelta | None:
        with suppress(Exception):  # `dequeue` tells of it
            return await super().next_deferred_eta(entrypoints)
        return None

    async def queued_work(self, entrypoints: list[QueueEntrypoint]) -> int:
        with suppress(Exception):  # `dequeue` tells of it
            return await super().queued_work(entrypoints)
        return 0

    async def _pause(self) -> None:
        if not self.ending:
            await asyncio.sleep(1)


class _Driver(AsyncpgPoolDriver):
    """PgQueuer's, but it hears through a connection that is made again."""

    def __init__(self, pool: Any, listener: Listener) -> None:
        super().__init__(pool)
        self._listener = listener

    async def add_listener(self, channel: str, callback: NotifyCallback) -> None:
        await self._listener.add(channel, callback)


class _InSession(AsyncpgDriver):
    """For `enqueue` alone: its one statement, in the transaction of a session and with the errors of one."""

    def __init__(self, session: AsyncSession) -> None:
        super().__init__(cast("Any", None))
        self._session = session

    async def fetch(self, query: str, *args: object) -> list[dict[str, object]]:
        return await tickets.execute(self._session, query, args)


def _queries(driver: Driver, concurrency: int = 1) -> _Queries:
    return _Queries(
        driver, QueryBuilderEnvironment(SETTINGS), QueryQueueBuilder(SETTINGS), QuerySchedulerBuilder(SETTINGS),
        concurrency=concurrency,
    )  # fmt: skip


def _key(job: DueJob) -> str:
    return f"{job.id}:{job.fence}"


def _hear(handler: Handler, payload: str | bytes | bytearray) -> None:
    if payload.isdigit():
        handler.interrupt(int(payload))


async def _close(pool: Any) -> None:
    # A statement that hangs would keep it open for ever.
    with suppress(TimeoutError):
        async with asyncio.timeout(1):
            await pool.close()
