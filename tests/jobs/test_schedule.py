"""The ticker: what is due starts once, at its time, whatever else is going on."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from models import config_transitions, job_state, schedule_queries
from models.config_transitions import ConfigEvent
from models.database import ALL, Database
from models.jobs import Job, JobStatus, JobTrigger
from models.projects import Project
from models.storages import Storage
from models.sync_configs import SyncConfig, SyncConfigStatus, SyncMode
from sluicegate.core.clock import now
from sluicegate.jobs.announce import Announcer
from sluicegate.jobs.schedule import Schedule
from tests.jobs.configs import add_config, read_config, runs_of, set_config, utc
from tests.support.jobs import (
    Clock,
    Done,
    Jobs,
    Recorder,
    Scripted,
    Tenant,
    jobs_of,
    make_schema,
    make_tenant,
    until,
    until_stopped,
)  # fmt: skip

S = SyncConfigStatus


@pytest.fixture
async def tenant(database: Database) -> Tenant:
    return await make_tenant(database)


def schedule(database: Database, clock: Clock) -> Schedule:
    return Schedule(database, Announcer(Recorder()), started=lambda: None, clock=clock)


async def at_once(_handle: Any) -> Done:
    return Done(columns={"sync": {"objectsFound": 3, "objectsAdded": 2, "listingComplete": True}})


def runs(script: Any = at_once) -> Scripted:
    return Scripted(script, name="SYNC_CONFIG")


async def finish(database: Database, config: SyncConfig, status: JobStatus = JobStatus.COMPLETED) -> None:
    """Ends the configuration's run as a worker would."""
    row = await read_config(database, config)
    assert row.current_job_id is not None
    async with database.write(ALL) as session:
        claimed = await job_state.claim(session, row.current_job_id, worker_id="w", at=now() + timedelta(days=1000))
        assert claimed is not None
        await job_state.finish(session, claimed[0], status, error={"message": "no"} if status == "FAILED" else None)


# ------------------------------------------------------------------ a service
async def test_a_new_configuration_runs_by_itself_and_shows_it(database: Database, tenant: Tenant) -> None:
    async with jobs_of(database, [runs()], tenant=tenant) as jobs:
        async with database.write(tenant.namespace_id) as session:
            config = SyncConfig(
                namespace_id=tenant.namespace_id, project_id=tenant.project_id, storage_id=tenant.storage_id,
                source_path="", range_low=b"", row_rev=0,
            )  # fmt: skip
            config_transitions.start(config, now())
            session.add(config)
            await session.flush()
            await config_transitions.touch(session, config, now())
            # The ticker slept for half a minute: only the commit can have woken it.
            jobs.service.announce(session)
        ended = await jobs.events.wait(lambda topic, state: topic == "syncConfig" and state["last_job_id"] is not None)
        assert (ended["status"], ended["run_number"], ended["current_job_id"]) == (S.ACTIVE, 1, None)
        assert (ended["total_found"], ended["total_synced"]) == (3, 2)
        (job,) = await runs_of(database, config)
        assert (job.trigger, job.created_by_kind, job.status) == (JobTrigger.SCHEDULE, "SYSTEM", JobStatus.COMPLETED)
        assert (await jobs.storage()).last_sync is None, "a storage shows its own syncs alone"


async def test_two_services_start_each_run_once(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule_queries, "PART", 5)  # many transactions side by side
    count = 40
    job_class = runs()
    async with databases(postgres_url) as (one, other):
        tenant = await make_tenant(one)
        await add_many(one, tenant, count)
        async with (
            jobs_of(one, [job_class], tenant=tenant, exclusive=False),
            jobs_of(other, [job_class], tenant=tenant, exclusive=False),
        ):
            await until(lambda: len(job_class.runs) >= count)
        assert Counter(job_class.runs).most_common(1)[0][1] == 1
        async with one.read(ALL) as session:
            started = Counter(await session.scalars(select(Job.sync_config_id)))
        assert (len(started), set(started.values())) == (count, {1})


async def test_tickers_side_by_side_share_the_work(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule_queries, "PART", 50)
    async with databases(postgres_url) as (one, other):
        due = await add_many(one, await make_tenant(one), 300)
        tickers = [schedule(database, Clock(due)) for database in (one, other, one, other)]
        await asyncio.gather(*(ticker.tick(due) for ticker in tickers))
        async with one.read(ALL) as session:
            started = Counter(await session.scalars(select(Job.sync_config_id)))
        assert (len(started), set(started.values())) == (300, {1})


@asynccontextmanager
async def databases(url: str) -> AsyncGenerator[tuple[Database, Database]]:
    """Two processes' connections to one database."""
    one, other = Database(url), Database(url)
    await make_schema(one)
    yield one, other
    await one.close()
    await other.close()


async def add_many(database: Database, tenant: Tenant, count: int, **columns: Any) -> datetime:
    due = now()
    async with database.write(ALL) as session:
        session.add_all(
            SyncConfig(
                namespace_id=tenant.namespace_id,
                project_id=tenant.project_id,
                storage_id=tenant.storage_id,
                source_path=f"{number}/",
                range_low=b"%d/" % number,
                range_high=b"%d0" % number,
                next_sync_at=due,
                **columns,
            )
            for number in range(count)
        )
    return due


async def test_hundreds_that_are_due_together_all_start(database: Database, tenant: Tenant) -> None:
    due = await add_many(database, tenant, 700)
    clock = Clock(due)
    await schedule(database, clock).tick(due)
    async with database.read(ALL) as session:
        assert await session.scalar(select(func.count(func.distinct(Job.sync_config_id)))) == 700
        assert await session.scalar(select(func.count(Job.id))) == 700
        slots = set(await session.scalars(select(SyncConfig.next_sync_at)))
    assert slots == {due + timedelta(seconds=300)}
    assert await schedule(database, clock).tick(due) == due + timedelta(seconds=300)


# ------------------------------------------------------------------ slots
async def test_slots_neither_drift_nor_pile_up(database: Database, tenant: Tenant) -> None:
    clock = Clock(utc("2026-01-01T00:00:00"))
    config = await add_config(
        database, tenant, status=S.ACTIVE, next_sync_at=clock.time, polling_interval_seconds=60, run_number=1
    )
    ticker = schedule(database, clock)
    clock.forward(7)
    assert await ticker.tick(clock()) == utc("2026-01-01T00:01:00")
    await finish(database, config)
    clock.forward(3 * 3600)
    assert await ticker.tick(clock()) == utc("2026-01-01T03:01:00")
    assert len(await runs_of(database, config)) == 2, "what was missed is one run"


@pytest.mark.parametrize(("mode", "skipped"), [(SyncMode.SCHEDULED, 1), (SyncMode.CONTINUOUS, 0)])
async def test_a_run_that_has_not_ended_is_not_joined_by_another(
    database: Database, tenant: Tenant, caplog: pytest.LogCaptureFixture, mode: SyncMode, skipped: int
) -> None:
    clock = Clock()
    config = await add_config(database, tenant, mode=mode, next_sync_at=clock.time, polling_interval_seconds=60)
    ticker = schedule(database, clock)
    await ticker.tick(clock())
    clock.forward(61)
    with caplog.at_level(logging.WARNING):
        await ticker.tick(clock())
    row = await read_config(database, config)
    assert (row.skipped_runs, len(await runs_of(database, config))) == (skipped, 1)
    assert row.next_sync_at == clock.time + timedelta(seconds=59)
    assert ("skipped" in caplog.text) == bool(skipped)


async def test_a_run_scheduled_by_hand_is_the_one_that_is_due(database: Database, tenant: Tenant) -> None:
    clock = Clock()
    config = await add_config(database, tenant, next_sync_at=clock.time)
    async with jobs_of(database, [], tenant=tenant, start=False) as jobs:
        job = await enqueue(jobs, config, scheduled_at=clock.time + timedelta(days=1))
        await schedule(database, clock).tick(clock())
        assert (await jobs.row(job)).status == JobStatus.QUEUED
        assert len(await runs_of(database, config)) == 1


async def enqueue(jobs: Jobs, config: SyncConfig, **more: Any) -> Job:
    values: dict[str, Any] = {"payload": {"dryRun": False}, "job_class": "SYNC_CONFIG", **more}
    return await jobs.enqueue(
        f"sync:config:{config.id}", storage_id=config.storage_id, project_id=config.project_id,
        sync_config_id=config.id, key_range=config.range, **values,
    )  # fmt: skip


async def test_one_time_runs_once(database: Database, tenant: Tenant) -> None:
    clock = Clock()
    config = await add_config(database, tenant, mode=SyncMode.ONE_TIME, next_sync_at=clock.time)
    ticker = schedule(database, clock)
    assert await ticker.tick(clock()) is None
    await finish(database, config)
    clock.forward(7 * 24 * 3600)
    await ticker.tick(clock())
    assert len(await runs_of(database, config)) == 1
    assert (await read_config(database, config)).status == S.COMPLETED


async def test_what_is_not_active_does_not_start(database: Database, tenant: Tenant) -> None:
    clock = Clock()
    still = [S.DRAFT, S.PAUSED, S.SUSPENDED, S.ARCHIVED, S.COMPLETED]
    configs = [await add_config(database, tenant, status=status, next_sync_at=clock.time) for status in still]
    assert await schedule(database, clock).tick(clock()) is None
    assert [await runs_of(database, config) for config in configs] == [[]] * len(still)


async def test_a_storage_that_is_not_to_be_synced_keeps_its_configurations_waiting(
    database: Database, tenant: Tenant
) -> None:
    clock = Clock()
    config = await add_config(database, tenant, next_sync_at=clock.time)
    async with database.write(ALL) as session:
        await session.execute(update(Storage).values(synchronizable=False))
    assert await schedule(database, clock).tick(clock()) is None, "it would be looked at again and again"
    async with database.write(ALL) as session:
        await session.execute(update(Storage).values(synchronizable=True))
    await schedule(database, clock).tick(clock())
    assert len(await runs_of(database, config)) == 1


async def test_a_job_that_the_row_does_not_know_of_holds_up_nobody_else(database: Database, tenant: Tenant) -> None:
    clock = Clock()
    first = await add_config(database, tenant, b"a/", next_sync_at=clock.time)
    second = await add_config(database, tenant, b"b/", next_sync_at=clock.time)
    async with jobs_of(database, [], tenant=tenant, start=False) as jobs:
        job = await enqueue(jobs, first)
    await set_config(database, first, current_job_id=None)
    await schedule(database, clock).tick(clock())
    assert [run.id for run in await runs_of(database, first)] == [job.id]
    assert len(await runs_of(database, second)) == 1
    assert (await read_config(database, first)).current_job_id == job.id


async def test_five_failures_in_a_row_suspend_and_a_person_wakes(database: Database, tenant: Tenant) -> None:
    clock = Clock()
    config = await add_config(database, tenant, next_sync_at=clock.time, polling_interval_seconds=60)
    ticker = schedule(database, clock)
    row = config
    for failures in range(1, 6):
        await ticker.tick(clock())
        await finish(database, config, JobStatus.FAILED)
        row = await read_config(database, config)
        assert (row.consecutive_failures, row.last_error) == (failures, "no")
        clock.forward(60)
    assert (row.status, row.next_sync_at) == (S.SUSPENDED, None)
    await ticker.tick(clock())
    assert len(await runs_of(database, config)) == 5
    async with database.write(ALL) as session:
        await config_transitions.apply(session, config.id, ConfigEvent.ACTIVATE, at=clock())
    await ticker.tick(clock())
    await finish(database, config)
    row = await read_config(database, config)
    assert (row.status, row.consecutive_failures, row.last_error) == (S.ACTIVE, 0, None)
    assert row.run_number == 6


async def test_overlapping_configurations_of_one_storage_take_turns(database: Database, tenant: Tenant) -> None:
    """Four runs over keys that meet, four at a time: never two at once, and all come to their turn."""
    under_way, most = 0, 0

    async def script(_handle: Any) -> Done:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        return Done()

    job_class = runs(script)
    for prefix in (b"", b"a", b"ab", b"abc"):
        await add_config(database, tenant, prefix)
    async with jobs_of(database, [job_class], tenant=tenant):
        await until(lambda: len(job_class.runs) >= 4)
    assert most == 1


async def test_what_does_not_meet_runs_beside(database: Database, tenant: Tenant) -> None:
    job_class = runs(until_stopped)
    configs = [await add_config(database, tenant, prefix) for prefix in (b"a/", b"b/")]
    async with database.write(ALL) as session:
        other = Project(namespace_id=tenant.namespace_id, name="other")
        session.add(other)
        await session.flush()
    elsewhere = await add_config(database, Tenant(tenant.namespace_id, other.id, tenant.storage_id), b"a/")
    async with jobs_of(database, [job_class], tenant=tenant):
        for _ in (*configs, elsewhere):
            await job_class.wait_begun()
