"""What a run of a configuration costs that finds nothing new: CPU, statements, transactions, from its slot to its end.

Part of `python -m benchmarks.schedule`. The bucket is a canned server in a process of its own; each configuration has
10 objects in it. CPU is of this process with its database threads: ticker, tickets, claim, listing, catalogue, end.
"""

from __future__ import annotations

import asyncio
import cProfile
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import event, func, select, update

from benchmarks.listing import responder
from models.access import Namespace
from models.database import ALL, Database
from models.jobs import FINISHED, Job, JobStatus
from models.migrate import upgrade
from models.projects import Project
from models.storages import Storage
from models.sync_configs import SyncConfig, SyncConfigStatus
from sluicegate.core.clock import now
from sluicegate.core.crypto import SecretBox, new_secret_key
from sluicegate.core.net import Connector
from sluicegate.jobs.service import JobsService
from sluicegate.jobs.sync_config import SyncConfigRun
from sluicegate.settings import Settings
from sluicegate.sync.services import SyncServices

KEYS_EACH = 10


class Silent:
    """A publisher that nobody listens to."""

    async def publish(self, topic: str, state: Any) -> None:
        """Nobody is watching."""

    async def publish_stale(self, topic: str, scope: int) -> None:
        """Nobody is watching."""

    def heard(self, topic: str) -> bool:  # noqa: ARG002 - the protocol's
        """Nobody is watching."""
        return False


@dataclass
class Counted:
    """What went to the database."""

    statements: int = 0
    transactions: int = 0


@dataclass(frozen=True)
class Cost:
    """One unchanged run, on average."""

    cpu: float
    wall: float
    statements: float
    transactions: float


def _count(database: Database) -> Counted:
    counted = Counted()

    def statement(*_: object) -> None:
        counted.statements += 1

    def commit(*_: object) -> None:
        counted.transactions += 1

    engines = {database.reader.sync_engine, database.writer.sync_engine}
    for engine in engines:
        event.listen(engine, "before_cursor_execute", statement)
        event.listen(engine, "commit", commit)
    return counted


async def _tenant(database: Database, box: SecretBox, endpoint: str, configs: int) -> None:
    async with database.write(ALL) as session:
        namespace = Namespace(name="bench")
        session.add(namespace)
        await session.flush()
        project = Project(name="dataset", namespace_id=namespace.id)
        session.add(project)
        await session.flush()
        storage = Storage(
            namespace_id=namespace.id, project_id=project.id, type="S3", use_blob_urls=True,
            settings={"bucket": "bucket", "region_name": "us-east-1", "s3_endpoint": endpoint},
        )  # fmt: skip
        session.add(storage)
        await session.flush()
        storage.sealed_secrets = box.seal(
            {"aws_access_key_id": "A", "aws_secret_access_key": "B"},
            table="storage", row=storage.id, namespace=namespace.id,
        )  # fmt: skip
        for number in range(configs):
            path = f"data/{number * KEYS_EACH // 1000:05}/{number:07}"
            session.add(
                SyncConfig(
                    namespace_id=namespace.id, project_id=project.id, storage_id=storage.id,
                    source_path=f"bucket/{path}*", range_low=path.encode(), range_high=path.encode() + b":",
                    status=SyncConfigStatus.ACTIVE, next_sync_at=now(),
                )
            )  # fmt: skip


async def _ended(database: Database, count: int) -> None:
    while True:
        async with database.read(ALL) as session:
            done = await session.scalar(select(func.count(Job.id)).where(Job.status.in_(FINISHED)))
        if done == count:
            return
        await asyncio.sleep(0.1)


async def _round(database: Database, services: SyncServices, count: int, all_runs: int) -> tuple[float, float]:
    settings = Settings.model_validate({"data_dir": "unused"})
    jobs = JobsService(database, Silent(), [SyncConfigRun(services)], settings, exclusive=True)
    used, began = time.process_time(), time.monotonic()
    await jobs.start()
    try:
        await _ended(database, all_runs)
        return (time.process_time() - used) / count, (time.monotonic() - began) / count
    finally:
        await jobs.close()


async def unchanged(configs: int, *, url: str | None = None, profile: str | None = None) -> Cost:
    """The second round of so many configurations over an unchanged bucket.

    `url`: an empty database, instead of a file of SQLite; `profile`: where cProfile's figures go.
    """
    with tempfile.TemporaryDirectory() as folder, responder(configs * KEYS_EACH) as endpoint:
        database = Database(url or f"sqlite:///{Path(folder) / 'bench.db'}")
        await upgrade(database)
        box = SecretBox([new_secret_key()])
        await _tenant(database, box, endpoint, configs)
        async with Connector("127.0.0.1") as connector:
            services = SyncServices(database, box, connector, {}, folder)
            await _round(database, services, configs, configs)
            async with database.write(ALL) as session:
                await session.execute(update(SyncConfig).values(next_sync_at=now()))
            counted, profiler = _count(database), cProfile.Profile()
            if profile:
                profiler.enable()
            cpu, wall = await _round(database, services, configs, 2 * configs)
            if profile:
                profiler.disable()
                profiler.dump_stats(profile)
            async with database.read(ALL) as session:
                runs = list(await session.scalars(select(Job).order_by(Job.id.desc()).limit(configs)))
        await database.close()
        for job in runs:
            assert job.status == JobStatus.COMPLETED, job.error
            assert (job.sync or {}).get("objectsUnchanged") == KEYS_EACH, job.sync
        return Cost(cpu, wall, counted.statements / configs, counted.transactions / configs)
