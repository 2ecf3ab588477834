"""The jobs of this process: what the rest of Sluicegate starts, asks and stops."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import uuid
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from models import job_state
from models.database import AsyncSession, Database, after_commit
from models.job_state import JobSignal
from models.jobs import Job, JobStatus
from sluicegate.core import tracing
from sluicegate.core.actors import Actor
from sluicegate.core.clock import now
from sluicegate.core.errors import ConfigurationError
from sluicegate.core.logging import bind
from sluicegate.jobs.announce import Announcer, Publisher
from sluicegate.jobs.classes import JobClass, registry
from sluicegate.jobs.embedded import EmbeddedEngine
from sluicegate.jobs.engine import Engine
from sluicegate.jobs.handle import Grace
from sluicegate.jobs.postgres import PostgresEngine
from sluicegate.jobs.reconcile import Reconciler
from sluicegate.jobs.schedule import Schedule
from sluicegate.jobs.source_watch import Opener, SourceWatch
from sluicegate.jobs.supervise import supervise
from sluicegate.jobs.worker import Worker, WorkerOptions
from sluicegate.settings import Settings

logger = logging.getLogger(__name__)

RECONCILE_SECONDS = 30.0
SHARED_LOOK_SECONDS = 5.0
"""The longest sleep where other processes change rows too: less than a lease, so that its end is known before."""
DRAIN_SECONDS = 8.0
LOOK_GAP_SECONDS = 0.02
"""Between two looks at the rows, which cost most where many jobs wait."""
_FORGET_SECONDS = 3600.0

Loop = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether jobs are run here, and if not, why."""

    ready: bool
    detail: str


class JobsService:
    """Enqueues and signals jobs; between `start` and `close` also runs them.

    `exclusive`: no other process can run jobs of this database, so every lease is void at start; so on SQLite.
    `only`: the job classes that are run here where other processes run jobs too; None: all. Raises ConfigurationError
    for a name that is none.
    `loops`: what else a worker does all the time, by its name; it ends by being canceled, within a second.
    """

    def __init__(
        self,
        database: Database,
        publisher: Publisher,
        classes: Iterable[JobClass],
        settings: Settings,
        *,
        exclusive: bool | None = None,
        only: Collection[str] | None = None,
        engine: Engine | None = None,
        loops: Mapping[str, Loop] | None = None,
        clock: Callable[[], datetime] = now,
        options: WorkerOptions | None = None,
    ) -> None:
        self.worker_id = f"{platform.node()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._exclusive = database.is_sqlite if exclusive is None else exclusive
        self._database = database
        self._sources: SourceWatch | None = None
        self._clock = clock
        self._loops = dict(loops or {})
        self._announcer = Announcer(publisher)
        self._classes = registry(classes)
        self._engine: Engine = engine or self._new_engine(settings.worker_concurrency, only)
        self._worker = Worker(
            database, self._announcer, self._classes,
            worker_id=self.worker_id, clock=clock, options=options or WorkerOptions(),
        )  # fmt: skip
        self._reconciler = Reconciler(
            database, self._announcer, self._engine, retention_days=settings.job_retention_days
        )
        self._wake = asyncio.Event()
        self._look_seconds = RECONCILE_SECONDS if self._exclusive else SHARED_LOOK_SECONDS
        self._schedule = Schedule(
            database, self._announcer, started=self._wake.set, clock=clock, look_seconds=self._look_seconds
        )
        self._announcer.watch_configs(self._schedule.notice)
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = asyncio.Event()
        self._last_look: float | None = None

    @property
    def running(self) -> int:
        """Jobs that run here now."""
        return len(self._worker.running)

    @property
    def started(self) -> int:
        """Runs begun here so far."""
        return self._worker.started

    def readiness(self) -> Readiness:
        """For /readyz: not ready before the first look at the rows, while draining, or when looks keep failing."""
        if self._closing.is_set():
            return Readiness(ready=False, detail="draining")
        if self._last_look is None:
            return Readiness(ready=False, detail="starting")
        age = asyncio.get_running_loop().time() - self._last_look
        if age > 3 * RECONCILE_SECONDS:
            return Readiness(ready=False, detail=f"the job rows were last looked at {age:.0f} s ago")
        return Readiness(ready=True, detail=f"{self.running} running")

    async def enqueue(
        self,
        session: AsyncSession,
        *,
        namespace_id: int,
        job_class: str,
        unicity: str | None,
        payload: dict[str, Any],
        created_by: Actor,
        **more: Any,
    ) -> Job:
        """A new job in the caller's transaction, delivered and announced after its commit. As `job_state.insert`."""
        if (trace := tracing.traceparent()) is not None:
            payload = {**payload, tracing.TRACEPARENT: trace}
        job = await job_state.insert(
            session, namespace_id=namespace_id, job_class=job_class, unicity=unicity, payload=payload,
            created_by=created_by, at=self._clock(), **more,
        )  # fmt: skip
        await self._changed(session, job)
        return job

    async def signal(
        self, session: AsyncSession, job_id: int, signal: JobSignal, *, reason: str = "", actor: Actor
    ) -> Job:
        """Does what a person asks in the caller's transaction; obeyed after its commit. As `job_state.signal`."""
        job = await job_state.signal(session, job_id, signal, reason=reason, actor=actor, at=self._clock())
        logger.info("Job %s: %s by %s %s: %s", job_id, signal, actor.kind, actor.name, job.status)
        await self._changed(session, job)
        return job

    async def unlock(self, session: AsyncSession, job_id: int, *, reason: str = "", actor: Actor) -> Job:
        """Takes a run's lease away in the caller's transaction. As `job_state.unlock`."""
        job = await job_state.unlock(session, job_id, reason=reason, actor=actor, at=self._clock())
        logger.info("Job %s: unlocked by %s %s: %s", job_id, actor.kind, actor.name, job.status)
        await self._changed(session, job)
        await self._engine.interrupt(session, job_id)
        return job

    def announce(self, session: AsyncSession) -> None:
        """After the session's commit, shows what its changes of configurations have touched, and looks what is due."""
        self._announcer.announce(session)

    def watch_sources(self, opener: Opener) -> None:
        """Also listens to the storages that tell of their changes, from `start` on. `opener` opens one's provider."""
        self._sources = SourceWatch(self._database, self._announcer, opener, clock=self._clock)
        self._loops["source watch"] = self._sources.run

    @property
    def failing_queues(self) -> Mapping[int, str]:
        """Storage id → why its event queue can't be read here, in words to be shown."""
        return self._sources.failing if self._sources is not None else {}

    async def start(self) -> None:
        """Begins to run jobs. Raises what the database raises when it cannot be read at all."""
        if self._tasks:
            raise RuntimeError("The jobs were started already.")
        if self._exclusive:
            await self._reconciler.release()
        loops = {
            "engine": self._run_engine, "ticker": self._look, "schedule": self._schedule.run,
            "retention": self._forget, **self._loops,
        }  # fmt: skip
        self._tasks = [
            asyncio.create_task(supervise(name, loop, self._closing, self._wake), name=f"jobs-{name}")
            for name, loop in loops.items()
        ]

    async def close(self, *, within: float = DRAIN_SECONDS) -> None:
        """Ends all within so many seconds: runs hand over at a checkpoint; those that don't are cut off."""
        self._closing.set()
        self._engine.stop()
        # The rest is for writing down how the runs ended.
        self._worker.drain(Grace(0.6 * within, 0.15 * within))
        tasks, self._tasks = self._tasks, []
        if not tasks:
            return
        engine, *others = tasks
        for task in others:
            task.cancel()
        await asyncio.wait({engine}, timeout=within)
        if not engine.done():
            logger.error("Jobs did not end within %s s; they go on from their checkpoints after the next start", within)
            engine.cancel()
        await asyncio.wait(tasks, timeout=1.0)
        if not self._database.is_sqlite:
            await self._pass_on()

    def _new_engine(self, concurrency: int, only: Collection[str] | None) -> Engine:
        unknown = sorted(set(only or ()) - set(self._classes))
        if unknown:
            raise ConfigurationError(
                f"There is no job class {unknown[0]}.", hint=f"There are: {', '.join(sorted(self._classes))}."
            )
        if self._database.is_sqlite:
            return EmbeddedEngine(concurrency)
        return PostgresEngine(self._database, self._classes.keys(), concurrency, only=only)

    async def _pass_on(self) -> None:
        """Other processes are to learn at once of what this one handed over; they would look soon anyway."""
        try:
            async with asyncio.timeout(1):
                await self._reconciler.tick(self._clock())
        except Exception:
            logger.warning("No tickets were written for what was handed over", exc_info=True)

    async def _changed(self, session: AsyncSession, job: Job) -> None:
        self._announcer.announce(session)
        status = JobStatus(job.status)
        if status == JobStatus.QUEUED:
            await self._engine.enqueue(session, job)
        # CANCELED may have been PAUSED with a run that has not stopped yet.
        if status in {JobStatus.CANCELING, JobStatus.PAUSED, JobStatus.CANCELED}:
            await self._engine.interrupt(session, job.id)
        after_commit(session, partial(self._obey, job.id, status))

    async def _obey(self, job_id: int, status: JobStatus) -> None:
        self._wake.set()
        self._worker.stop_run(job_id, status)

    async def _run_engine(self) -> None:
        await self._engine.run(_Waking(self._worker, self._room))

    def _room(self) -> None:
        # A look costs most where many wait: not one for each run that ends, unless that was in the way of others.
        if self._engine.hungry or self._reconciler.waiting:
            self._wake.set()

    async def _look(self) -> None:
        """The ticker: a look at the rows whenever something ends, comes due or was asked for, and now and then."""
        while True:
            self._wake.clear()
            at = self._clock()
            following = await self._reconciler.tick(at)
            self._last_look = asyncio.get_running_loop().time()
            wait = self._look_seconds
            if following is not None:
                wait = min(wait, max(0.0, (following - self._clock()).total_seconds()) + 0.001)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            # Many that end at once are one look: a new job has its ticket without one.
            await asyncio.sleep(LOOK_GAP_SECONDS)

    async def _forget(self) -> None:
        while True:
            deleted = await self._reconciler.forget_old(self._clock())
            if deleted:
                logger.info("Deleted %s jobs past their retention", deleted)
            await asyncio.sleep(_FORGET_SECONDS)


class _Waking:
    """The worker, which says when it is through with a ticket: there is room for another."""

    def __init__(self, worker: Worker, room: Callable[[], None]) -> None:
        self._worker = worker
        self._room = room

    async def run(self, job_id: int) -> float | None:
        """Runs the job of a ticket."""
        try:
            with bind(job_id=job_id):
                return await self._worker.run(job_id)
        finally:
            self._room()

    def interrupt(self, job_id: int) -> None:
        """Has the run's heartbeat look at the row."""
        self._worker.interrupt(job_id)
