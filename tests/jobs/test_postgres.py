"""The engine of many processes: tickets in PostgreSQL, written with their jobs and taken by whoever is free."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment
from pgqueuer.adapters.persistence.queries import Queries
from sqlalchemy import text

from models import job_state, migrate
from models.database import ALL, Database
from models.job_leases import DueJob
from models.job_state import JobSignal
from models.jobs import JobStatus
from sluicegate.core.actors import SYSTEM
from sluicegate.core.errors import ConfigurationError
from sluicegate.jobs import postgres
from sluicegate.jobs.postgres import PostgresEngine
from sluicegate.jobs.worker import WorkerOptions
from sluicegate.sync.run import RunHandle
from tests.support.jobs import PATIENCE_SECONDS, Done, Scripted, jobs_of, make_schema, until_stopped

S = JobStatus
SLOW_BEATS = WorkerOptions(lease=7200, heartbeat=3600)
"""What such a worker learns, neither a heartbeat nor the end of a lease has told it."""


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    database = Database(postgres_url)
    await make_schema(database)
    yield database
    await database.close()


async def rows(database: Database, query: str) -> list[Any]:
    async with database.read(ALL) as session:
        return [tuple(row) for row in await session.execute(text(query))]


async def tickets(database: Database) -> list[Any]:
    query = (
        "SELECT convert_from(payload, 'UTF8'), entrypoint, priority, dedupe_key FROM sluicegate_pgqueuer ORDER BY id"
    )
    return await rows(database, query)


async def until_rows(database: Database, query: str, wanted: list[Any]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await rows(database, query) != wanted:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.02)


async def test_the_tables_are_those_that_the_installed_pgqueuer_wants(postgres_url: str) -> None:
    database = Database(postgres_url)
    await migrate.upgrade(database)
    await database.close()
    connection = await asyncpg.connect(postgres_url)
    try:
        queries = Queries(AsyncpgDriver(connection), QueryBuilderEnvironment(postgres.SETTINGS))
        assert await queries.schema_is_installed()
        assert list((await queries.plan_upgrade()).statements) == []
    finally:
        await connection.close()


def test_no_variable_of_the_environment_names_the_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = type(postgres.SETTINGS)
    for name in settings.model_fields:
        monkeypatch.setenv(f"PGQUEUER_{name}".upper(), "other")
    given = {name: getattr(postgres.SETTINGS, name) for name in postgres.SETTINGS.model_fields_set}
    assert set(given) == set(settings.model_fields)
    assert settings(**given) == postgres.SETTINGS


async def test_a_ticket_is_committed_and_rolled_back_with_its_job(database: Database) -> None:
    async with jobs_of(database, [Scripted(until_stopped)], start=False) as jobs:
        job = await jobs.enqueue("kept", priority=7)

        async def fail_at_the_end() -> None:
            async with database.write(jobs.tenant.namespace_id) as session:
                await jobs.service.enqueue(
                    session, namespace_id=jobs.tenant.namespace_id, job_class="TEST", unicity="gone", payload={},
                    created_by=SYSTEM,
                )  # fmt: skip
                raise RuntimeError

        with pytest.raises(RuntimeError):
            await fail_at_the_end()
        assert await tickets(database) == [(str(job.id), "TEST", 7, f"{job.id}:0")]


async def test_looks_at_the_rows_write_what_is_missing_and_nothing_twice(database: Database) -> None:
    async with jobs_of(database, [Scripted(until_stopped)], start=False) as jobs:
        made = [await jobs.enqueue() for _ in range(20)]
        async with database.write(ALL) as session:
            await session.execute(text("DELETE FROM sluicegate_pgqueuer WHERE id % 2 = 0"))
        wanted = [DueJob(job.id, 0, "TEST", 0) for job in made]
        engines = [PostgresEngine(database, ["TEST"], 4) for _ in range(4)]
        await asyncio.gather(*(engine.deliver(wanted[:: 1 - 2 * (n % 2)]) for n, engine in enumerate(engines)))
        assert sorted(key for *_, key in await tickets(database)) == sorted(f"{job.id}:0" for job in made)
        highest = await rows(database, "SELECT max(id) FROM sluicegate_pgqueuer")
        await engines[0].deliver(wanted)
        assert await rows(database, "SELECT max(id) FROM sluicegate_pgqueuer") == highest


async def test_a_lost_ticket_is_written_again_and_the_job_runs(database: Database) -> None:
    scripted = Scripted(until_stopped)
    async with jobs_of(database, [scripted], start=False) as before:
        job = await before.enqueue()
        async with database.write(ALL) as session:
            await session.execute(text("DELETE FROM sluicegate_pgqueuer"))
    async with jobs_of(database, [scripted], tenant=before.tenant):
        await scripted.wait_begun()
        assert scripted.runs == [job.id]


async def test_processes_on_one_database_share_the_work_and_run_nothing_twice(database: Database) -> None:
    gate = asyncio.Event()

    async def work(handle: RunHandle) -> Done:
        await gate.wait()
        return Done()

    first, second = Scripted(work), Scripted(work)
    other = Database(database.url)
    async with (
        jobs_of(database, [first], concurrency=2) as jobs,
        jobs_of(other, [second], concurrency=2, tenant=jobs.tenant),
    ):
        made = [await jobs.enqueue() for _ in range(24)]
        for _ in range(2):
            await first.wait_begun()
            await second.wait_begun()
        gate.set()
        done = "SELECT count(*) FROM job WHERE status = 'COMPLETED' AND fence = 1"
        await until_rows(database, done, [(len(made),)])
    await other.close()
    assert sorted(first.runs + second.runs) == [job.id for job in made]
    # Neither took more than it may run.
    assert min(len(first.runs), len(second.runs)) >= 2


async def test_a_process_of_one_runs_one_at_a_time(database: Database) -> None:
    most = running = 0

    async def work(handle: RunHandle) -> Done:
        nonlocal most, running
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        async with database.write(ALL) as session:
            await job_state.save(session, handle.claim, progress=0.5)
        running -= 1
        return Done()

    async with jobs_of(database, [Scripted(work)], concurrency=1) as jobs:
        for job in [await jobs.enqueue() for _ in range(6)]:
            await jobs.events.status(job.id, S.COMPLETED)
    assert most == 1


@pytest.mark.parametrize(
    ("asked", "ends"), [(JobSignal.CANCEL, S.CANCELED), (JobSignal.PAUSE, S.PAUSED)], ids=["cancel", "pause"]
)
async def test_what_another_process_asks_reaches_the_run_at_once(
    database: Database, asked: JobSignal, ends: JobStatus
) -> None:
    scripted = Scripted(until_stopped)
    other = Database(database.url)
    async with (
        jobs_of(database, [scripted], options=SLOW_BEATS) as jobs,
        jobs_of(other, [scripted], start=False, tenant=jobs.tenant) as gateway,
    ):
        job = await gateway.enqueue()
        await scripted.wait_begun()
        await gateway.signal(job, asked)
        stopped = f"SELECT status FROM job WHERE id = {job.id} AND lease_expires_at IS NULL"
        await until_rows(database, stopped, [(ends,)])
    await other.close()


async def test_a_connection_that_is_lost_is_made_again_under_running_jobs(database: Database) -> None:
    scripted = Scripted(until_stopped)
    async with jobs_of(database, [scripted], options=SLOW_BEATS) as jobs:
        running = await jobs.enqueue()
        await scripted.wait_begun()
        listening = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
        before = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
        (pid,) = (await rows(database, before))[0]
        await rows(database, f"SELECT pg_terminate_backend({pid})")
        gone = f"SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}"
        await until_rows(database, gone, [(0,)])
        await until_rows(database, listening, [(1,)])
        # New jobs are taken while the one from before runs on, and it hears what is asked of it.
        await jobs.enqueue()
        await scripted.wait_begun()
        async with database.write(ALL) as session:
            await job_state.signal(session, running.id, JobSignal.CANCEL, actor=SYSTEM)
            await jobs.service._engine.interrupt(session, running.id)
        await jobs.events.status(running.id, S.CANCELED)


async def test_a_connection_that_is_silent_for_long_is_still_heard(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sluicegate.jobs.listener.CHECK_SECONDS", 0.01)
    scripted = Scripted(until_stopped)
    async with jobs_of(database, [scripted], options=SLOW_BEATS) as jobs:
        job = await jobs.enqueue()
        await scripted.wait_begun()
        checked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query = 'SELECT 1'"
        await until_rows(database, checked, [(1,)])
        async with database.write(ALL) as session:
            await job_state.signal(session, job.id, JobSignal.CANCEL, actor=SYSTEM)
            await jobs.service._engine.interrupt(session, job.id)
        await jobs.events.status(job.id, S.CANCELED)


async def test_a_worker_of_some_classes_leaves_the_tickets_of_others(database: Database) -> None:
    mine, theirs = Scripted(until_stopped, name="MINE"), Scripted(until_stopped, name="THEIRS")
    async with jobs_of(database, [mine, theirs], only=["MINE"]) as jobs:
        left = await jobs.enqueue(job_class="THEIRS")
        unknown = await jobs.enqueue(job_class="UNKNOWN")
        await jobs.enqueue(job_class="MINE")
        await mine.wait_begun()
        assert {(await jobs.row(job)).status for job in (left, unknown)} == {S.QUEUED}
        async with jobs_of(database, [mine, theirs], tenant=jobs.tenant) as all_classes:
            await theirs.wait_begun()
            await all_classes.events.status(unknown.id, S.FAILED)


async def test_a_class_that_there_is_not_is_refused(database: Database) -> None:
    with pytest.raises(ConfigurationError, match="NONE") as caught:
        async with jobs_of(database, [Scripted(until_stopped)], only=["NONE"]):
            pass
    assert "TEST" in (caught.value.hint or "")


async def test_the_log_of_tickets_does_not_grow(database: Database) -> None:
    async def work(handle: RunHandle) -> None:
        return None

    engine = PostgresEngine(database, ["TEST"], 4, clear_log_seconds=0.05)
    async with jobs_of(database, [Scripted(work)], engine=engine) as jobs:
        for job in [await jobs.enqueue() for _ in range(5)]:
            await jobs.events.status(job.id, S.COMPLETED)
        await until_rows(database, "SELECT count(*) FROM sluicegate_pgqueuer", [(0,)])
        await until_rows(database, "SELECT count(*) FROM sluicegate_pgqueuer_log", [(0,)])


async def test_what_is_handed_over_has_a_ticket_at_once(database: Database) -> None:
    scripted = Scripted(until_stopped)
    async with jobs_of(database, [scripted]) as jobs:
        job = await jobs.enqueue()
        await scripted.wait_begun()
        await jobs.service.close()
        assert (f"{job.id}:1") in [key for *_, key in await tickets(database)]
