"""Real outages: a full disk, a database server that is killed."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from models import job_state
from models.database import ALL, Database
from models.job_state import JobSignal
from models.jobs import JobStatus
from models.storages import Storage
from sluicegate.sync.run import RunHandle
from tests.support.jobs import Scripted, jobs_of, make_schema, make_tenant, until_stopped
from tests.support.postgres import PostgresServer

S = JobStatus


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'full.db'}")
    await make_schema(database)
    yield database
    await database.close()


async def _limit_pages(database: Database, more: int) -> None:
    """The database file may grow by so many pages; then SQLite answers as it does on a full disk."""
    async with database.writer.connect() as connection:
        pages = await connection.scalar(text("PRAGMA page_count"))
        await connection.execute(text(f"PRAGMA max_page_count={pages + more}"))


async def test_a_full_disk_delays_a_job_and_no_more(sqlite: Database) -> None:
    async def work(handle: RunHandle) -> None:
        async with sqlite.write(ALL) as session:
            await job_state.save(session, handle.claim, progress=0.1)
            storage = await session.get_one(Storage, handle.job.payload["storage"])
            storage.description = "x" * 1_000_000

    scripted, tenant = Scripted(work), await make_tenant(sqlite)
    async with jobs_of(sqlite, [scripted], tenant=tenant) as jobs:
        await _limit_pages(sqlite, 3)
        job = await jobs.enqueue(payload={"storage": tenant.storage_id}, max_retries=0)
        delayed = await jobs.events.wait(lambda topic, state: topic == "job" and state["error"] is not None)
        assert (delayed["status"], delayed["error"]["type"], delayed["progress"]) == (
            S.QUEUED,
            "DatabaseUnavailable",
            None,
        )
        await _limit_pages(sqlite, 10_000)
        final = await jobs.events.status(job.id, S.COMPLETED, S.FAILED)
        assert (final["status"], final["retry_count"], final["progress"]) == (S.COMPLETED, 0, 0.1)
        assert len((await jobs.storage()).description) == 1_000_000


@pytest.mark.slow
async def test_a_killed_postgresql_delays_jobs_and_no_more() -> None:
    with PostgresServer() as server:
        database = Database(await server.create_database())
        await make_schema(database)
        scripted = Scripted(until_stopped)
        async with jobs_of(database, [scripted]) as jobs:
            job = await jobs.enqueue("u")
            await scripted.wait_begun()
            server.kill()
            await asyncio.sleep(0.3)  # some heartbeats fail
            server.start()
            assert (await jobs.row(job)).status == S.IN_PROGRESS
            assert (await jobs.signal(job, JobSignal.CANCEL)).status == S.CANCELING
            await jobs.events.status(job.id, S.CANCELED)
            after = await jobs.enqueue("u")
            await scripted.wait_begun()
            assert scripted.runs == [job.id, after.id]
        await database.close()
