"""Dead workers, dead databases, dead loops: nothing is lost, nothing hangs."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from pgqueuer.adapters.inmemory import InMemoryQueries
from pgqueuer.adapters.persistence.queries import Queries
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from models import job_retention, job_state
from models.database import ALL, Database
from models.job_state import MAX_INTERRUPTIONS, FencedError, JobSignal
from models.jobs import Job, JobStatus
from models.objects import Checkpoint
from models.outcomes import Outcome
from models.sync_configs import SyncConfig
from sluicegate.core.actors import SYSTEM
from sluicegate.core.clock import now
from sluicegate.jobs.embedded import EmbeddedEngine
from sluicegate.sync.run import RunHandle
from tests.support.jobs import Clock, Jobs, Recorder, Scripted, jobs_of, until, until_stopped

S = JobStatus


async def _orphan(database: Database, jobs: Jobs, *, status: JobStatus = S.IN_PROGRESS) -> Job:
    """A job whose worker was killed a moment ago: its lease is alive."""
    job = await jobs.enqueue("orphan")
    async with database.write(ALL) as session:
        taken = await job_state.claim(session, job.id, worker_id="killed", lease_seconds=3600)
        assert taken is not None
        if status is S.CANCELING:
            await job_state.signal(session, job.id, JobSignal.CANCEL, actor=SYSTEM)
    return job


async def test_after_a_kill_the_next_start_resumes_and_ends_what_was_being_canceled(database: Database) -> None:
    scripted = Scripted(until_stopped)
    async with jobs_of(database, [scripted], start=False) as dead:
        running = await _orphan(database, dead)
        async with database.write(ALL) as session:
            running_row = await session.get_one(Job, running.id)
            running_row.unicity = "other"
        canceling = await _orphan(database, dead, status=S.CANCELING)
    async with jobs_of(database, [scripted], tenant=dead.tenant, exclusive=True) as jobs:
        await scripted.wait_begun()
        await jobs.events.status(canceling.id, S.CANCELED)
        row = await jobs.row(running)
        assert (row.status, row.fence, scripted.runs) == (S.IN_PROGRESS, 2, [running.id])


async def test_beside_other_processes_a_live_lease_is_left_alone_until_it_runs_out(database: Database) -> None:
    scripted, clock = Scripted(until_stopped), Clock()
    async with jobs_of(database, [scripted], start=False, clock=clock) as dead:
        job = await _orphan(database, dead)
    async with jobs_of(database, [scripted], tenant=dead.tenant, exclusive=False, clock=clock) as jobs:
        reconciler = jobs.service._reconciler
        await reconciler.tick(clock())
        assert scripted.runs == []
        clock.forward(3601)
        await reconciler.tick(clock())
        await scripted.wait_begun()
        assert (await jobs.row(job)).fence == 2


async def test_a_zombie_is_stopped_and_writes_nothing(database: Database) -> None:
    outcome: list[BaseException] = []

    async def work(handle: RunHandle) -> None:
        try:
            await handle.stop.wait()
            async with database.write(ALL) as session:
                await job_state.save(session, handle.claim, progress=1.0)
        except BaseException as error:
            outcome.append(error)
            raise

    scripted = Scripted(work)
    async with jobs_of(database, [scripted]) as jobs:
        job = await jobs.enqueue()
        await scripted.wait_begun()
        async with database.write(ALL) as session:
            taken = await job_state.claim(session, job.id, worker_id="other", at=now() + timedelta(hours=1))
            assert taken is not None
        await until(lambda: jobs.service.running == 0)
        row = await jobs.row(job)
        assert (row.status, row.worker_id, row.fence, row.progress) == (S.IN_PROGRESS, "other", 2, None)
        assert isinstance(outcome[0], FencedError | asyncio.CancelledError)
        assert S.FAILED not in {state["status"] for state in jobs.events.of("job", job.id)}


async def _die(database: Database, job: Job, times: int, at: Clock, *, checkpoint: bool) -> Job:
    """Claims the job again and again, each time long after the lease of the last."""
    for number in range(times):
        at.forward(3600)
        async with database.write(ALL) as session:
            await job_state.claim(session, job.id, worker_id="dies", at=at())
            if checkpoint:
                await session.merge(Checkpoint(job_id=job.id, state={"after": number, "progress": {}}, updated_at=at()))
    async with database.read(ALL) as session:
        return await session.get_one(Job, job.id)


async def test_a_job_that_kills_its_worker_again_and_again_fails(database: Database) -> None:
    clock = Clock()
    async with jobs_of(database, [], start=False, clock=clock) as jobs:
        job = await jobs.enqueue("poison", storage_id=jobs.tenant.storage_id)
        # The first claim is of a QUEUED job; each after it follows a death.
        row = await _die(database, job, MAX_INTERRUPTIONS + 1, clock, checkpoint=False)
        assert (row.status, row.interruptions) == (S.IN_PROGRESS, MAX_INTERRUPTIONS)
        row = await _die(database, job, 1, clock, checkpoint=False)
        assert row.status == S.FAILED
        assert row.error is not None
        assert (row.error["type"], "without progress" in row.error["message"]) == ("Interrupted", True)
        assert (await jobs.signal(job, JobSignal.RETRY)).status == S.QUEUED


async def test_a_job_that_gets_further_each_time_may_be_interrupted_for_ever(database: Database) -> None:
    clock = Clock()
    async with jobs_of(database, [], start=False, clock=clock) as jobs:
        job = await jobs.enqueue()
        row = await _die(database, job, 3 * MAX_INTERRUPTIONS, clock, checkpoint=True)
        assert (row.status, row.interruptions) == (S.IN_PROGRESS, 1)


async def test_a_database_that_fails_while_a_run_ends_loses_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = 3
    finish = job_state.finish

    async def full(*args: Any, **kwargs: Any) -> Job:
        nonlocal fails
        if fails:
            fails -= 1
            raise OperationalError("UPDATE job", {}, Exception("database or disk is full"))
        return await finish(*args, **kwargs)

    monkeypatch.setattr(job_state, "finish", full)
    monkeypatch.setattr("sluicegate.jobs.worker.FIRST_WRITE_WAIT_SECONDS", 0.01)

    async def work(handle: RunHandle) -> None:
        return None

    scripted = Scripted(work)
    async with jobs_of(database, [scripted]) as jobs:
        job = await jobs.enqueue()
        await jobs.events.status(job.id, S.COMPLETED)
        assert (fails, len(scripted.runs)) == (0, 1)


async def test_an_outage_while_running_is_no_retry_of_the_job(database: Database) -> None:
    outages = 4

    async def work(handle: RunHandle) -> None:
        nonlocal outages
        if outages:
            outages -= 1
            raise OperationalError("INSERT", {}, Exception("database or disk is full"))

    async with jobs_of(database, [Scripted(work)]) as jobs:
        job = await jobs.enqueue(max_retries=0)
        final = await jobs.events.status(job.id, S.COMPLETED, S.FAILED)
        assert (final["status"], final["retry_count"], outages) == (S.COMPLETED, 0, 0)
        errors = {(state["error"] or {}).get("type") for state in jobs.events.of("job", job.id)}
        assert "DatabaseUnavailable" in errors


async def test_a_claim_that_fails_is_made_later(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    fails = 2
    claim = job_state.claim

    async def locked(*args: Any, **kwargs: Any) -> Any:
        nonlocal fails
        if fails:
            fails -= 1
            raise OperationalError("UPDATE job", {}, Exception("database is locked"))
        return await claim(*args, **kwargs)

    monkeypatch.setattr(job_state, "claim", locked)
    scripted = Scripted(until_stopped)
    async with jobs_of(database, [scripted]) as jobs:
        await jobs.enqueue()
        await scripted.wait_begun()
        assert fails == 0


async def test_an_engine_that_fails_is_started_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sluicegate.jobs.supervise.FIRST_WAIT_SECONDS", 0.01)
    fails = 1
    queries: Any = InMemoryQueries if database.is_sqlite else Queries
    dequeue = queries.dequeue

    async def broken(*args: Any, **kwargs: Any) -> Any:
        nonlocal fails
        if fails:
            fails -= 1
            raise RuntimeError("engine")
        return await dequeue(*args, **kwargs)

    monkeypatch.setattr(queries, "dequeue", broken)
    scripted = Scripted(until_stopped)
    async with jobs_of(database, [scripted]) as jobs:
        await jobs.enqueue()
        await scripted.wait_begun()
        assert fails == 0


async def test_a_publisher_that_fails_harms_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(self: Recorder, topic: str, state: Any) -> None:
        raise ConnectionError("channel")

    scripted = Scripted(until_stopped)
    async with jobs_of(database, [scripted]) as jobs:
        monkeypatch.setattr(Recorder, "publish", broken)
        job = await jobs.enqueue()
        await scripted.wait_begun()
        monkeypatch.undo()
        await jobs.signal(job, JobSignal.CANCEL)
        await jobs.events.status(job.id, S.CANCELED)


async def test_old_finished_jobs_are_deleted_but_never_a_storages_last(database: Database) -> None:
    clock = Clock()
    async with jobs_of(database, [], start=False, clock=clock) as jobs:
        kept = await _finished(jobs, storage_id=jobs.tenant.storage_id)
        gone = await _finished(jobs)
        waiting = await jobs.enqueue()
        clock.forward(31 * 86400)
        recent = await _finished(jobs)
        deleted = await jobs.service._reconciler.forget_old(clock())
        assert deleted == 1
        async with database.read(ALL) as session:
            left = {job_id for job_id in (kept.id, gone.id, waiting.id, recent.id) if await session.get(Job, job_id)}
        assert left == {kept.id, waiting.id, recent.id}


async def test_old_jobs_lose_their_outcomes_a_piece_at_a_time(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_retention, "OUTCOMES", 2)
    clock = Clock()
    async with jobs_of(database, [], start=False, clock=clock) as jobs:
        gone = await _finished(jobs)
        clock.forward(31 * 86400)
        recent = await _finished(jobs)
        async with database.write(ALL) as session:
            for job in (gone, gone, gone, recent):
                session.add(Outcome(job_id=job.id, path="p", row=0, kind="FAILED", at=clock()))
        left: list[list[int]] = []
        for _ in range(2):
            async with database.write(ALL) as session:
                past = job_retention.past(clock() - timedelta(days=30))
                more = await job_retention.delete_outcomes(session, past, limit=10)
                left.append([more, *await session.scalars(select(Outcome.job_id).order_by(Outcome.id))])
        assert left == [[True, gone.id, recent.id], [False, recent.id]]
        assert await jobs.service._reconciler.forget_old(clock()) == 1


async def test_a_configuration_keeps_its_newest_jobs(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_retention, "KEPT_RUNS", 2)
    monkeypatch.setattr(job_retention, "_CONFIGS", 1)
    async with jobs_of(database, [], start=False) as jobs:
        tenant = jobs.tenant
        owner = {"namespace_id": tenant.namespace_id, "project_id": tenant.project_id, "storage_id": tenant.storage_id}
        async with database.write(ALL) as session:
            busy, quiet = (SyncConfig(**owner, source_path=path, range_low=path.encode()) for path in ("a/", "b/"))
            session.add_all([busy, quiet])
        made = [await _finished(jobs, sync_config_id=busy.id) for _ in range(5)]
        others = [await _finished(jobs, sync_config_id=quiet.id), await _finished(jobs)]
        waiting = await jobs.enqueue(sync_config_id=busy.id)
        async with database.write(ALL) as session:
            (await session.get_one(SyncConfig, busy.id)).last_job_id = made[0].id
        assert await jobs.service._reconciler.forget_old(now()) == 3
        async with database.read(ALL) as session:
            left = set(await session.scalars(select(Job.id)))
        assert left == {made[0].id, made[4].id, waiting.id, *(job.id for job in others)}
        assert await jobs.service._reconciler.forget_old(now()) == 0


async def _finished(jobs: Jobs, **more: Any) -> Job:
    return await jobs.signal(await jobs.enqueue(**more), JobSignal.CANCEL)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_engines_log_does_not_grow(database: Database) -> None:
    async def work(handle: RunHandle) -> None:
        return None

    engine = EmbeddedEngine(4, clear_log_seconds=0.05)
    async with jobs_of(database, [Scripted(work)], engine=engine) as jobs:
        for job in [await jobs.enqueue() for _ in range(5)]:
            await jobs.events.status(job.id, S.COMPLETED)
        queries = engine._queries
        assert queries is not None
        await until(lambda: not queries._log and not queries._jobs and not engine._tickets)
        assert queries._statistics == []
