"""The engine of one process: PgQueuer on its in-memory adapter.

What it must be kept from (PgQueuer 1.6): its log rows stay for ever, so they are cleared each minute, and its
statistics are switched off; each of its loops scans all tickets, so there are at most four for each job that may run,
and the ticker feeds it from the rows; its shutdown waits without bound, so the worker bounds its runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from pgqueuer.adapters.inmemory import InMemoryDriver, InMemoryQueries
from pgqueuer.core.qm import QueueManager
from pgqueuer.domain.errors import RetryRequested
from pgqueuer.domain.models import Context
from pgqueuer.domain.models import Job as Delivery
from pgqueuer.domain.types import JobId

from models.database import AsyncSession, after_commit
from models.job_leases import DueJob
from models.jobs import Job
from sluicegate.jobs.engine import Handler, due

CLEAR_LOG_SECONDS = 60.0
_ENTRYPOINT = "job"


@dataclass(slots=True)
class _Ticket:
    id: JobId
    priority: int
    picked: bool = False


class EmbeddedEngine:
    """Tickets in this process's memory; `concurrency` jobs run at a time, the most urgent ones first."""

    def __init__(self, concurrency: int, *, clear_log_seconds: float = CLEAR_LOG_SECONDS) -> None:
        self.window = 4 * concurrency
        self._concurrency = concurrency
        self._clear_log_seconds = clear_log_seconds
        self._tickets: dict[int, _Ticket] = {}
        self._queries: InMemoryQueries | None = None
        self._handler: Handler | None = None
        self._stop = asyncio.Event()

    @property
    def hungry(self) -> bool:
        """Whether fewer tickets wait than jobs may run."""
        return sum(not ticket.picked for ticket in self._tickets.values()) < self._concurrency

    async def enqueue(self, session: AsyncSession, job: Job) -> None:
        """A ticket after the commit; where there is no room, the ticker's."""
        after_commit(session, partial(self.deliver, [due(job)]))

    async def deliver(self, jobs: Sequence[DueJob]) -> None:
        """Tickets for these jobs; a more urgent one takes the place of the least urgent that waits."""
        for job in jobs:
            queries = self._queries
            if queries is None or self._stop.is_set():
                return
            if job.id in self._tickets or not await self._make_room(queries, job.priority):
                continue
            # Taken before the await: the ticket may be dispatched before `enqueue` returns.
            ticket = self._tickets[job.id] = _Ticket(JobId(0), job.priority)
            ticket.id = (await queries.enqueue(_ENTRYPOINT, str(job.id).encode(), job.priority))[0]

    async def interrupt(self, session: AsyncSession, job_id: int) -> None:
        """The run is in this process, if anywhere."""
        after_commit(session, partial(self._interrupt, job_id))

    async def run(self, handler: Handler) -> None:
        """Delivers until `stop`. A new run after a failed one begins with no tickets: the ticker writes them anew."""
        queries = InMemoryQueries(InMemoryDriver())
        manager = QueueManager(queries)
        manager.shutdown = self._stop
        manager.entrypoint(_ENTRYPOINT, concurrency_limit=self._concurrency, accepts_context=True)(
            partial(self._dispatch, handler)
        )
        self._tickets.clear()
        self._queries, self._handler = queries, handler
        cleaner = asyncio.create_task(self._clear_log(queries), name="jobs-clear-log")
        try:
            await manager.run(
                dequeue_timeout=timedelta(seconds=1),
                batch_size=max(1, self._concurrency // 2),
                max_concurrent_tasks=max(2, self._concurrency),
                heartbeat_timeout=timedelta(seconds=10),
                log_aggregation_interval=timedelta(0),
            )
        finally:
            self._queries = None
            cleaner.cancel()
            await asyncio.wait({cleaner})

    def stop(self) -> None:
        """No more tickets; those that wait are dropped with the process, their rows stay QUEUED."""
        self._stop.set()

    async def _interrupt(self, job_id: int) -> None:
        if self._handler is not None:
            self._handler.interrupt(job_id)

    async def _dispatch(self, handler: Handler, delivery: Delivery, context: Context) -> None:
        assert delivery.payload is not None
        job_id = int(delivery.payload)
        ticket = self._tickets.get(job_id)
        if ticket is not None:
            ticket.picked = True
        delay: float | None = None
        try:
            # PgQueuer lets a handler outside of this scope run to its end whatever happens.
            with context.cancellation:
                delay = await handler.run(job_id)
        finally:
            if delay is None and self._tickets.get(job_id) is ticket:
                self._tickets.pop(job_id, None)
        if delay is not None and not self._stop.is_set():
            if ticket is not None:
                ticket.picked = False
            raise RetryRequested(timedelta(seconds=delay))

    async def _make_room(self, queries: InMemoryQueries, priority: int) -> bool:
        if len(self._tickets) < self.window:
            return True
        waiting = [(ticket.priority, -job_id) for job_id, ticket in self._tickets.items() if not ticket.picked]
        if not waiting or min(waiting)[0] >= priority:
            return False
        ticket = self._tickets.pop(-min(waiting)[1])
        await queries.mark_job_as_cancelled([ticket.id])
        return True

    async def _clear_log(self, queries: InMemoryQueries) -> None:
        while True:
            await asyncio.sleep(self._clear_log_seconds)
            await queries.clear_queue_log()
