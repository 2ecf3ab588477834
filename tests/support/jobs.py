"""Job classes that tests steer, and a jobs service around them on a real database."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any

from models.access import Namespace
from models.base import Base
from models.database import ALL, Database
from models.job_state import JobSignal
from models.jobs import Job, JobStatus
from models.projects import Project
from models.storages import Storage
from sluicegate.core.actors import SYSTEM
from sluicegate.core.clock import now
from sluicegate.jobs.classes import JobClass
from sluicegate.jobs.failures import RetryPolicy
from sluicegate.jobs.service import JobsService
from sluicegate.jobs.worker import WorkerOptions
from sluicegate.settings import Settings
from sluicegate.sync.run import RunHandle

PATIENCE_SECONDS = 20.0
QUEUE = import_module("models.migrations.versions.0003_add_the_queue_of_tickets")
QUICK = WorkerOptions(heartbeat=0.05, retry=RetryPolicy(first=0.02, factor=2.0, outage=0.05))
"""Heartbeats and retries that a test need not wait for."""


@dataclass(frozen=True)
class Tenant:
    """A namespace with a project and a storage."""

    namespace_id: int
    project_id: int
    storage_id: int


async def make_schema(database: Database) -> None:
    """All tables, on PostgreSQL the queue's too."""
    async with database.writer.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
        if not database.is_sqlite:
            await connection.run_sync(QUEUE.install)


async def make_tenant(database: Database, name: str = "tenant") -> Tenant:
    """A new namespace and what a sync job hangs on."""
    async with database.write(ALL) as session:
        namespace = Namespace(name=name)
        session.add(namespace)
        await session.flush()
        project = Project(namespace_id=namespace.id, name="project")
        session.add(project)
        await session.flush()
        storage = Storage(namespace_id=namespace.id, project_id=project.id, type="S3")
        session.add(storage)
        await session.flush()
        return Tenant(namespace.id, project.id, storage.id)


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    time: datetime = field(default_factory=now)

    def __call__(self) -> datetime:
        return self.time

    def forward(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@dataclass
class Recorder:
    """A publisher that keeps what it was given; `wait` waits for a state."""

    states: list[tuple[str, Any]] = field(default_factory=list)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def publish(self, topic: str, state: Any) -> None:
        async with self._changed:
            snapshot = {column.key: getattr(state, column.key) for column in type(state).__table__.columns}
            self.states.append((topic, snapshot))
            self._changed.notify_all()

    async def publish_stale(self, topic: str, scope: int) -> None:
        """Nobody watches lists."""

    def heard(self, topic: str) -> bool:
        return False

    def of(self, topic: str, row_id: int) -> list[dict[str, Any]]:
        return [state for name, state in self.states if name == topic and state["id"] == row_id]

    async def wait(self, matches: Callable[[str, dict[str, Any]], bool]) -> dict[str, Any]:
        found: list[dict[str, Any]] = []

        def seen() -> bool:
            found[:] = [state for topic, state in self.states if matches(topic, state)]
            return bool(found)

        async with asyncio.timeout(PATIENCE_SECONDS), self._changed:
            await self._changed.wait_for(seen)
        return found[-1]

    async def status(self, job_id: int, *statuses: JobStatus) -> dict[str, Any]:
        """Waits until one of the statuses of the job was published."""
        return await self.wait(
            lambda topic, state: topic == "job" and state["id"] == job_id and state["status"] in statuses
        )


@dataclass(frozen=True)
class Done:
    """What the test classes return."""

    status: JobStatus | None = JobStatus.COMPLETED
    columns: dict[str, Any] = field(default_factory=dict)
    also: Any = None


@dataclass
class Scripted:
    """Does what `script` does; counts its runs and lets a test wait for one."""

    script: Callable[[RunHandle], Any]
    name: str = "TEST"
    runs: list[int] = field(default_factory=list)
    begun: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    async def run(self, handle: RunHandle) -> Done:
        self.runs.append(handle.job.id)
        self.begun.release()
        result = await self.script(handle)
        return result if isinstance(result, Done) else Done()

    async def wait_begun(self) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.begun.acquire()


async def until_stopped(handle: RunHandle) -> Done:
    """A well-behaved run: ends at its next checkpoint when it is asked to."""
    await handle.stop.wait()
    return Done(None, {"progress": 0.5})


async def for_ever(_handle: RunHandle) -> None:
    """A read that hangs: `stop` is never looked at."""
    await asyncio.Event().wait()


async def until(condition: Callable[[], bool]) -> None:
    """Waits for what nothing announces."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)


@dataclass
class Jobs:
    """A running service."""

    database: Database
    service: JobsService
    events: Recorder
    tenant: Tenant

    async def enqueue(self, unicity: str | None = None, **more: Any) -> Job:
        async with self.database.write(self.tenant.namespace_id) as session:
            values: dict[str, Any] = {"job_class": "TEST", "payload": {}, **more}
            return await self.service.enqueue(
                session, namespace_id=self.tenant.namespace_id, unicity=unicity, created_by=SYSTEM, **values
            )

    async def signal(self, job: Job, signal: JobSignal) -> Job:
        async with self.database.write(self.tenant.namespace_id) as session:
            return await self.service.signal(session, job.id, signal, reason="test", actor=SYSTEM)

    async def row(self, job: Job) -> Job:
        async with self.database.read(ALL) as session:
            return await session.get_one(Job, job.id)

    async def storage(self) -> Storage:
        async with self.database.read(ALL) as session:
            return await session.get_one(Storage, self.tenant.storage_id)


@asynccontextmanager
async def jobs_of(
    database: Database,
    classes: Iterable[JobClass],
    *,
    tenant: Tenant | None = None,
    start: bool = True,
    concurrency: int = 4,
    **options: Any,
) -> AsyncGenerator[Jobs]:
    """A service with these classes, started, and closed at the end."""
    settings = Settings.model_validate({"data_dir": "unused", "worker_concurrency": concurrency})
    events = Recorder()
    parts: dict[str, Any] = {"options": QUICK, **options}
    service = JobsService(database, events, classes, settings, **parts)
    jobs = Jobs(database, service, events, tenant or await make_tenant(database))
    if start:
        await service.start()
    try:
        yield jobs
    finally:
        await service.close()
