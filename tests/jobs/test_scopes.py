"""Syncs whose keys meet take turns, whoever claims them; and leases that a person takes away."""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest

from models import config_transitions, job_leases, job_retention, job_state
from models.config_transitions import ConfigEvent
from models.database import ALL, Database
from models.job_state import Claim, FencedError, JobSignal
from models.jobs import Job, JobStatus
from models.ranges import EVERYTHING, KeyRange
from models.sync_configs import SyncConfig
from sluicegate.core.actors import SYSTEM
from sluicegate.core.clock import now
from sluicegate.core.errors import ConflictError
from tests.jobs.configs import add_config, read_config, runs_of
from tests.support.jobs import Jobs, Scripted, Tenant, jobs_of, make_schema, make_tenant, until_stopped

S = JobStatus


@pytest.fixture
async def tenant(database: Database) -> Tenant:
    return await make_tenant(database)


async def sync(jobs: Jobs, prefix: bytes | None = None, **more: Any) -> Job:
    keys = EVERYTHING if prefix is None else KeyRange.of_prefix(prefix)
    values: dict[str, Any] = {"storage_id": jobs.tenant.storage_id, "project_id": jobs.tenant.project_id, **more}
    return await jobs.enqueue(key_range=keys, **values)


async def claim(database: Database, job: Job, at: datetime | None = None) -> Claim | None:
    async with database.write(ALL) as session:
        taken = await job_state.claim(session, job.id, worker_id="w", at=at)
    return None if taken is None else taken[0]


async def due(database: Database, at: datetime | None = None, limit: int = 100) -> list[int]:
    async with database.read(ALL) as session:
        return [job.id for job in (await job_leases.due_jobs(session, at=at or now(), limit=limit)).jobs]


async def test_of_runs_whose_keys_meet_one_is_claimed(database: Database, tenant: Tenant) -> None:
    async with jobs_of(database, [], tenant=tenant, start=False) as jobs:
        inner, outer, beside = await sync(jobs, b"a/b"), await sync(jobs, b"a/"), await sync(jobs, b"b/")
        held = await claim(database, inner)
        assert held is not None
        assert await claim(database, outer) is None
        row = await jobs.row(outer)
        assert row.status == S.QUEUED
        assert row.not_before is not None
        assert now() < row.not_before <= now() + timedelta(seconds=1)
        assert await claim(database, beside) is not None
        async with database.write(ALL) as session:
            await job_state.finish(session, held, S.COMPLETED)
        assert await claim(database, outer, now() + timedelta(seconds=1)) is not None


async def test_claims_at_the_same_moment(database: Database, tenant: Tenant) -> None:
    """Each of eight runs covers all: whoever comes first, it is one."""
    async with jobs_of(database, [], tenant=tenant, start=False) as jobs:
        made = [await sync(jobs) for _ in range(8)]
        claims = await asyncio.gather(*(claim(database, job) for job in made))
        assert len([taken for taken in claims if taken is not None]) == 1


async def test_claims_of_two_processes_at_the_same_moment(postgres_url: str) -> None:
    one, other = Database(postgres_url), Database(postgres_url)
    await make_schema(one)
    async with jobs_of(one, [], start=False) as jobs:
        configs = [await add_config(one, jobs.tenant, status="DRAFT") for _ in range(2)]
        for round_ in range(10):
            pair = [await sync(jobs, b"%d/" % round_, sync_config_id=config.id) for config in configs]
            claims = await asyncio.gather(*(claim(*of) for of in zip((one, other), pair, strict=True)))
            assert len([taken for taken in claims if taken is not None]) == 1
    await one.close()
    await other.close()


async def test_what_writes_nothing_or_elsewhere_waits_for_nobody(database: Database, tenant: Tenant) -> None:
    async with jobs_of(database, [], tenant=tenant, start=False) as jobs:
        first = await sync(jobs)
        assert await claim(database, first) is not None
        others = [await sync(jobs, payload={"dryRun": True}), await sync(jobs, project_id=None)]
        others.append(await jobs.enqueue(storage_id=tenant.storage_id, project_id=tenant.project_id))
        assert await due(database) == [job.id for job in others]
        assert all([await claim(database, job) for job in others])


async def test_a_run_that_is_stopping_still_is_in_the_way(database: Database, tenant: Tenant) -> None:
    async with jobs_of(database, [], tenant=tenant, start=False) as jobs:
        first, second = await sync(jobs), await sync(jobs)
        held = await claim(database, first)
        assert held is not None
        await jobs.signal(first, JobSignal.PAUSE)
        assert await due(database) == []
        assert await claim(database, second) is None
        async with database.write(ALL) as session:
            await job_state.hand_over(session, held)
        assert (await jobs.row(first)).status == S.PAUSED
        assert await claim(database, second, now() + timedelta(seconds=2)) is not None


async def test_a_run_that_waits_is_not_overtaken_by_what_came_later(database: Database, tenant: Tenant) -> None:
    """The narrow runs could take turns for ever: the wide one, which came before them, goes first."""
    async with jobs_of(database, [], tenant=tenant, start=False) as jobs:
        running = await sync(jobs, b"a/")
        held = await claim(database, running)
        assert held is not None
        wide, narrow, urgent = await sync(jobs), await sync(jobs, b"b/"), await sync(jobs, b"c/", priority=5)
        assert await due(database) == [urgent.id]
        async with database.write(ALL) as session:
            await job_state.finish(session, held, S.COMPLETED)
        assert await due(database) == [urgent.id]
        await jobs.signal(urgent, JobSignal.CANCEL)
        assert await due(database) == [wide.id]
        await jobs.signal(wide, JobSignal.CANCEL)
        assert await due(database) == [narrow.id]


async def test_what_waits_leaves_room_for_what_need_not(database: Database, tenant: Tenant) -> None:
    async with jobs_of(database, [], tenant=tenant, start=False) as jobs:
        assert await claim(database, await sync(jobs, b"a/")) is not None
        waiting = [await sync(jobs, b"a/") for _ in range(5)]
        free = await sync(jobs, b"b/")
        assert await due(database, limit=2) == [free.id]
        async with database.read(ALL) as session:
            assert (await job_leases.due_jobs(session, at=now(), limit=2)).waiting
        assert waiting


async def test_those_that_wait_at_one_storage_hide_neither_other_work_nor_a_run_without_a_worker(
    database: Database, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_leases, "_MOST", 4)
    monkeypatch.setattr(job_leases, "_PAGE", 1)
    monkeypatch.setattr(job_leases, "_OF_STORAGE", 2)
    async with jobs_of(database, [], tenant=tenant, start=False) as jobs:
        left = await sync(jobs)
        held = await claim(database, left)
        assert held is not None
        for _ in range(6):
            await sync(jobs, priority=100)
        other, more = [await jobs.enqueue(unicity=name) for name in ("other", "more")]
        assert await due(database, limit=1) == [other.id]
        lapsed = now() + timedelta(days=1)
        assert set(await due(database, lapsed)) == {left.id, other.id, more.id}


# ------------------------------------------------------------------ unlock
async def test_a_lease_taken_away_shuts_the_old_run_out(database: Database, tenant: Tenant) -> None:
    async with jobs_of(database, [], tenant=tenant, start=False) as jobs:
        job = await sync(jobs)
        old = await claim(database, job)
        assert old is not None
        unlocked = await unlock(jobs, job)
        assert (unlocked.status, unlocked.lease_expires_at, unlocked.worker_id) == (S.QUEUED, None, None)
        assert unlocked.last_signal is not None
        assert (unlocked.last_signal["signal"], unlocked.last_signal["reason"]) == ("UNLOCK", "stuck")
        with pytest.raises(FencedError):
            async with database.write(ALL) as session:
                await job_state.save(session, old, progress=0.5)
        new = await claim(database, job)
        assert new is not None
        assert new.fence > old.fence


async def test_a_canceled_run_that_does_not_end_ends_canceled(database: Database, tenant: Tenant) -> None:
    async with jobs_of(database, [], tenant=tenant, start=False) as jobs:
        job = await sync(jobs)
        assert await claim(database, job) is not None
        await jobs.signal(job, JobSignal.CANCEL)
        assert (await unlock(jobs, job)).status == S.CANCELED


async def test_what_nobody_holds_cannot_be_unlocked(database: Database, tenant: Tenant) -> None:
    async with jobs_of(database, [], tenant=tenant, start=False) as jobs:
        job = await sync(jobs)
        for _ in range(2):
            with pytest.raises(ConflictError, match="unlocked"):
                await unlock(jobs, job)
            await jobs.signal(job, JobSignal.PAUSE)


async def test_a_run_that_is_unlocked_here_stops_and_goes_on(database: Database, tenant: Tenant) -> None:
    job_class = Scripted(until_stopped)
    async with jobs_of(database, [job_class], tenant=tenant) as jobs:
        job = await sync(jobs)
        await job_class.wait_begun()
        await unlock(jobs, job)
        await job_class.wait_begun()
        assert (await jobs.row(job)).fence == 3, "claimed, unlocked, claimed"


async def unlock(jobs: Jobs, job: Job) -> Job:
    async with jobs.database.write(jobs.tenant.namespace_id) as session:
        return await jobs.service.unlock(session, job.id, reason="stuck", actor=SYSTEM)


# ------------------------------------------------------------------ locks
async def test_a_pause_and_the_end_of_its_run_at_the_same_moment(postgres_url: str) -> None:
    """Both need the configuration and its job: in one order, or the database would end one of them."""
    database = Database(postgres_url)
    await make_schema(database)
    async with jobs_of(database, [], start=False) as jobs:
        config = await add_config(database, jobs.tenant)
        for _ in range(8):
            job = await sync(jobs, job_class="SYNC_CONFIG", sync_config_id=config.id)
            held = await claim(database, job)
            assert held is not None
            await asyncio.gather(pause(jobs, config, job), end(database, held))
            row = await read_config(database, config)
            assert row.status == "PAUSED"
            assert (row.current_job_id, row.last_job_id) == (None, job.id)
            async with database.write(ALL) as session:
                await config_transitions.apply(session, config.id, ConfigEvent.RESUME)
    await database.close()


async def pause(jobs: Jobs, config: SyncConfig, job: Job) -> None:
    async with jobs.database.write(jobs.tenant.namespace_id) as session:
        await config_transitions.apply(session, config.id, ConfigEvent.PAUSE)
        await asyncio.sleep(0.01)  # so that the other has its first lock
        with suppress(ConflictError):  # the run has ended
            await jobs.service.signal(session, job.id, JobSignal.PAUSE, actor=SYSTEM)


async def end(database: Database, held: Claim) -> None:
    async with database.write(ALL) as session:
        await job_state.finish(session, held, S.COMPLETED)


# ------------------------------------------------------------------ retention
async def test_old_jobs_go_but_not_what_a_configuration_shows(database: Database, tenant: Tenant) -> None:
    async with jobs_of(database, [], tenant=tenant, start=False) as jobs:
        config = await add_config(database, tenant)
        made: list[Job] = []
        for _ in range(3):
            made.append(await sync(jobs, job_class="SYNC_CONFIG", sync_config_id=config.id))
            held = await claim(database, made[-1])
            assert held is not None
            await end(database, held)
        async with database.write(ALL) as session:
            deleted = await job_retention.delete_jobs(
                session, job_retention.past(now() + timedelta(seconds=1)), limit=10
            )
        assert deleted == 2
        assert [job.id for job in await runs_of(database, config)] == [made[-1].id]
        assert (await read_config(database, config)).last_job_id == made[-1].id
