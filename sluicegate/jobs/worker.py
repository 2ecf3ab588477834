"""Takes tickets: claims the job, runs its class under a heartbeat, writes down how it ended.

Nothing that a job class or the database does ends the worker. What it cannot write down is left to the lease: when that
runs out, the job goes on from its checkpoint.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from models import job_state
from models.database import Database
from models.job_state import Claim, FencedError
from models.jobs import JobStatus
from models.outages import is_outage
from sluicegate.core import tracing
from sluicegate.core.errors import FatalError
from sluicegate.core.logging import bind
from sluicegate.jobs.announce import Announcer
from sluicegate.jobs.classes import JobClass, Result
from sluicegate.jobs.conclude import Conclusion, Finish, HandOver, RetryLater
from sluicegate.jobs.failures import RetryPolicy, describe, judge
from sluicegate.jobs.handle import Grace, Handle, StopReason

logger = logging.getLogger(__name__)


FIRST_WRITE_WAIT_SECONDS = 0.5
_CANCEL, _RETRY = Grace(1.5, 1.0), RetryPolicy()


class Clock(Protocol):
    """Gives the current time, aware, UTC."""

    def __call__(self) -> datetime:
        """Now."""
        ...


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """Times in seconds. A cancel has to take effect within 2: `cancel` says what the run has of that."""

    lease: float = job_state.LEASE_SECONDS
    heartbeat: float = 4.0
    cancel: Grace = _CANCEL
    retry: RetryPolicy = _RETRY
    write_attempts: int = 5


class Worker:
    """Runs jobs of this process. `worker_id` names it in the rows."""

    def __init__(
        self,
        database: Database,
        announcer: Announcer,
        classes: Mapping[str, JobClass],
        *,
        worker_id: str,
        clock: Clock,
        options: WorkerOptions,
    ) -> None:
        self.running: dict[int, Handle] = {}
        self.started = 0
        self._database = database
        self._announcer = announcer
        self._classes = classes
        self._worker_id = worker_id
        self._clock = clock
        self._options = options
        self._draining = asyncio.Event()
        self._grace = Grace(0.0, 0.0)
        self._look: dict[int, asyncio.Event] = {}
        self._given_up: set[asyncio.Task[Any]] = set()

    async def run(self, job_id: int) -> float | None:
        """The handler of tickets. Never raises; cancellation of the caller leaves the job to its lease."""
        if self._draining.is_set() or job_id in self.running:
            return None
        try:
            async with self._announcer.write(self._database) as session:
                claimed = await job_state.claim(
                    session, job_id, worker_id=self._worker_id, lease_seconds=self._options.lease, at=self._clock()
                )
        except Exception:
            logger.exception("Job %s could not be claimed", job_id)
            await self._pause(self._options.retry.outage)
            return 0.0
        if claimed is None:
            return None
        handle = Handle(*claimed, self._announcer)
        job = handle.job
        parent = job.payload.get(tracing.TRACEPARENT)
        with (
            bind(run_id=job.run_id),
            tracing.span(job.job_class, "CONSUMER", parent=parent, messaging_message_id=str(job_id)),
        ):
            await self._hold(handle)
        return None

    def stop_run(self, job_id: int, status: JobStatus) -> None:
        """The job's row was made CANCELING or PAUSED: its run here, if there is one, ends."""
        handle = self.running.get(job_id)
        if handle is None or status not in _REASONS:
            return
        handle.heard(status)
        handle.request_stop(_REASONS[status], self._options.cancel)

    def interrupt(self, job_id: int) -> None:
        """Something was asked of the job: its heartbeat looks at the row at once."""
        if job_id in self._look:
            self._look[job_id].set()

    def drain(self, grace: Grace) -> None:
        """No new runs; those under way are to hand over at their next checkpoint, and are interrupted if they don't."""
        self._grace = grace
        self._draining.set()
        for handle in self.running.values():
            handle.request_stop(StopReason.DRAIN, grace)

    async def _hold(self, handle: Handle) -> None:
        job_id = handle.claim.job_id
        self.running[job_id] = handle
        self._look[job_id] = asyncio.Event()
        self.started += 1
        beat = asyncio.create_task(self._heartbeat(handle), name=f"job-{job_id}-heartbeat")
        try:
            if self._draining.is_set():
                handle.request_stop(StopReason.DRAIN, self._grace)
            conclusion = await self._work(handle)
            if conclusion is not None and handle.reason is not StopReason.LOST:
                await self._write_down(handle.claim, conclusion)
        finally:
            handle.clear_timers()
            beat.cancel()
            await asyncio.wait({beat})
            del self.running[job_id], self._look[job_id]

    async def _work(self, handle: Handle) -> Conclusion | None:
        """Runs the class; returns what to write down, None for nothing."""
        job = handle.job
        job_class = self._classes.get(job.job_class)
        if job_class is None:
            error = FatalError(f"This gateway has no job class {job.job_class}.", hint="Was it downgraded?")
            return self._failed(handle, error)
        task = asyncio.create_task(job_class.run(handle), name=f"job-{job.id}")
        handle.begin(task)
        gives_up = asyncio.create_task(handle.given_up.wait())
        try:
            await asyncio.wait({task, gives_up}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gives_up.cancel()
            if not task.done():
                self._give_up(job.id, task)
        if not task.done() or task.cancelled():
            return self._interrupted(handle)
        error = task.exception()
        if error is None:
            return self._returned(task.result())
        if isinstance(error, FencedError):
            logger.info("Job %s: %s", job.id, error)
            return None
        if handle.reason is StopReason.CANCEL or (handle.reason is not None and is_outage(error)):
            return self._interrupted(handle)
        return self._failed(handle, error)

    def _interrupted(self, handle: Handle) -> Conclusion:
        """The run was cut off: what its last commit says stands."""
        if handle.reason is StopReason.CANCEL:
            return Finish(JobStatus.CANCELED)
        if handle.reason is None:
            return self._failed(handle, asyncio.CancelledError())
        return HandOver()

    def _returned(self, result: Result) -> Conclusion:
        columns = dict(result.columns)
        return HandOver(columns) if result.status is None else Finish(result.status, columns=columns, also=result.also)

    def _failed(self, handle: Handle, error: BaseException) -> Conclusion:
        job = handle.job
        # A long run may meet many outages; one that fails at the same place again and again ends.
        retries = 0 if handle.progressed else job.retry_count
        verdict = judge(error, retry_count=retries, max_retries=job.max_retries, policy=self._options.retry)
        log = logger.error if verdict.unexpected else logger.warning
        log("Job %s failed: %r", job.id, error, exc_info=error if verdict.unexpected else None)
        if verdict.delay is None:
            return Finish(JobStatus.FAILED, error=verdict.error)
        return RetryLater(verdict.delay, verdict.error, retry_count=retries + verdict.counted)

    async def _write_down(self, claim: Claim, conclusion: Conclusion) -> None:
        """Tries as long as a lease would wait anyway. A row that refuses the run's columns is FAILED without them."""
        for attempt in range(self._options.write_attempts):
            try:
                async with self._announcer.write(self._database) as session:
                    await conclusion.write(session, claim, self._clock())
            except FencedError as error:
                logger.info("Job %s: %s", claim.job_id, error)
            except Exception as error:
                logger.exception("The end of job %s could not be written", claim.job_id)
                if not is_outage(error):
                    conclusion = Finish(JobStatus.FAILED, error=describe(error))
                await self._pause(FIRST_WRITE_WAIT_SECONDS * 2**attempt)
                continue
            return
        logger.error("Job %s is left to its lease", claim.job_id)

    async def _heartbeat(self, handle: Handle) -> None:
        """Renews the lease and obeys the row. A database that fails is asked again later: the fence keeps order."""
        look = self._look[handle.claim.job_id]
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._options.heartbeat):
                    await look.wait()
            look.clear()
            try:
                async with self._announcer.write(self._database) as session:
                    saved = await job_state.save(
                        session, handle.claim, lease_seconds=self._options.lease, at=self._clock()
                    )
            except FencedError as error:
                logger.info("Job %s: its run here ends: %s", handle.claim.job_id, error)
                handle.request_stop(StopReason.LOST, Grace(0.0, self._options.cancel.hard))
                return
            except Exception:
                logger.exception("Job %s: the heartbeat failed", handle.claim.job_id)
            else:
                self.stop_run(handle.claim.job_id, saved.status)

    async def _pause(self, seconds: float) -> None:
        """Waits, unless the process is to end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._draining.wait()

    def _give_up(self, job_id: int, task: asyncio.Task[Any]) -> None:
        """Leaves a task that does not end; whatever it writes later fails at the fence."""
        logger.error("Job %s: its task does not end and is given up", job_id)
        task.cancel()
        self._given_up.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._given_up.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.info("A task that was given up ended: %r", task.exception())


_REASONS = {JobStatus.CANCELING: StopReason.CANCEL, JobStatus.PAUSED: StopReason.PAUSE}
