"""New jobs and signals, as the rows and their storage show them."""

import asyncio
from datetime import timedelta

import pytest

from models.database import Database
from models.job_state import JobSignal
from models.jobs import Job, JobStatus
from models.storages import SyncStatus
from sluicegate.core.actors import SYSTEM
from sluicegate.core.clock import now
from sluicegate.core.errors import AlreadyRunningError, ConflictError, NotFoundError
from tests.support.jobs import jobs_of, make_tenant

S = JobStatus


async def test_of_requests_at_the_same_moment_one_makes_a_job(database: Database) -> None:
    async with jobs_of(database, [], start=False) as jobs:
        answers = await asyncio.gather(*(jobs.enqueue("u") for _ in range(8)), return_exceptions=True)
        made = [answer for answer in answers if isinstance(answer, Job)]
        refused = [answer for answer in answers if isinstance(answer, AlreadyRunningError)]
        assert (len(made), len(refused)) == (1, 7)
        assert {error.job.id for error in refused} == {made[0].id}


async def test_of_retries_at_the_same_moment_one_queues_its_job(database: Database) -> None:
    async with jobs_of(database, [], start=False) as jobs:
        old = [await jobs.signal(await jobs.enqueue("u"), JobSignal.CANCEL) for _ in range(4)]
        answers = await asyncio.gather(*(jobs.signal(job, JobSignal.RETRY) for job in old), return_exceptions=True)
        assert sorted(type(answer).__name__ for answer in answers) == ["AlreadyRunningError"] * 3 + ["Job"]


async def test_the_same_unicity_in_another_namespace_is_another(database: Database) -> None:
    async with jobs_of(database, [], start=False) as ours:
        await ours.enqueue("u")
        async with jobs_of(database, [], start=False, tenant=await make_tenant(database, "other")) as theirs:
            assert (await theirs.enqueue("u")).status == S.QUEUED


async def test_another_tenants_job_is_no_job(database: Database) -> None:
    async with jobs_of(database, [], start=False) as ours:
        job = await ours.enqueue("u")
        theirs = await make_tenant(database, "other")
        with pytest.raises(NotFoundError):
            async with database.write(theirs.namespace_id) as session:
                await ours.service.signal(session, job.id, JobSignal.CANCEL, actor=SYSTEM)
        assert (await ours.row(job)).status == S.QUEUED


async def test_a_scheduled_job_or_a_dry_run_is_not_the_storages_state(database: Database) -> None:
    async with jobs_of(database, [], start=False) as jobs:
        before = await jobs.storage()
        later = await jobs.enqueue(storage_id=jobs.tenant.storage_id, scheduled_at=now() + timedelta(hours=1))
        await jobs.signal(later, JobSignal.CANCEL)
        await jobs.enqueue(storage_id=jobs.tenant.storage_id, payload={"dryRun": True})
        after = await jobs.storage()
        assert (after.status, after.row_rev) == (SyncStatus.INITIALIZED, before.row_rev)
        assert jobs.events.of("storage", jobs.tenant.storage_id) == []


async def test_a_job_of_a_deleted_storage_is_not_tried_again(database: Database) -> None:
    async with jobs_of(database, [], start=False) as jobs:
        job = await jobs.signal(await jobs.enqueue(storage_id=jobs.tenant.storage_id), JobSignal.CANCEL)
        async with database.write(jobs.tenant.namespace_id) as session:
            (await session.merge(await jobs.storage())).deleted_at = now()
        with pytest.raises(ConflictError, match="deleted"):
            await jobs.signal(job, JobSignal.RETRY)


async def test_who_asked_and_why_is_kept(database: Database) -> None:
    async with jobs_of(database, [], start=False) as jobs:
        job = await jobs.signal(await jobs.enqueue(), JobSignal.CANCEL)
        assert job.last_signal is not None
        assert (job.last_signal["signal"], job.last_signal["reason"], job.last_signal["by"]["kind"]) == (
            "CANCEL", "test", "SYSTEM",
        )  # fmt: skip
