"""Cancel, pause, retry, drain: what is asked of a job while it waits or runs."""

import asyncio
import time

import pytest

from models import job_state
from models.database import ALL, Database
from models.job_state import FencedError, JobSignal
from models.jobs import JobStatus
from models.objects import Checkpoint
from sluicegate.core.actors import SYSTEM
from sluicegate.core.clock import now
from sluicegate.core.errors import AlreadyRunningError, ConflictError, FatalError
from sluicegate.jobs.handle import Grace
from sluicegate.jobs.worker import WorkerOptions
from sluicegate.sync.run import RunHandle
from tests.support.jobs import PATIENCE_SECONDS, Done, Scripted, for_ever, jobs_of, until, until_stopped

S = JobStatus


async def test_a_waiting_job_is_canceled_at_once(database: Database) -> None:
    async with jobs_of(database, [Scripted(until_stopped)], start=False) as jobs:
        job = await jobs.enqueue("u", storage_id=jobs.tenant.storage_id)
        assert (await jobs.signal(job, JobSignal.CANCEL)).status == S.CANCELED
        assert [state["status"] for state in jobs.events.of("job", job.id)] == [S.QUEUED, S.CANCELED]
        storage = await jobs.storage()
        assert (storage.status, storage.last_sync) == (S.CANCELED, None)
        with pytest.raises(ConflictError) as caught:
            await jobs.signal(job, JobSignal.CANCEL)
        assert caught.value.hint is not None


async def test_a_running_job_shows_canceling_then_canceled_and_keeps_its_counts(database: Database) -> None:
    scripted = Scripted(until_stopped)
    async with jobs_of(database, [scripted], options=WorkerOptions()) as jobs:
        job = await jobs.enqueue("u")
        await scripted.wait_begun()
        assert (await jobs.signal(job, JobSignal.CANCEL)).status == S.CANCELING
        await jobs.events.status(job.id, S.CANCELED)
        statuses = [state["status"] for state in jobs.events.of("job", job.id)]
        assert statuses == [S.QUEUED, S.IN_PROGRESS, S.CANCELING, S.CANCELED]
        assert (await jobs.row(job)).progress == 0.5


async def test_work_in_flight_is_cut_off_and_what_it_saved_stays(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(handle: RunHandle) -> None:
        async with database.write(ALL) as session:
            await job_state.save(session, handle.claim, sync={"objectsAdded": 7})
        scripted.begun.release()
        await for_ever(handle)

    scripted = Scripted(work)
    async with jobs_of(database, [scripted], options=WorkerOptions()) as jobs:
        job = await jobs.enqueue(storage_id=jobs.tenant.storage_id)
        await scripted.wait_begun()
        await scripted.wait_begun()
        asked = time.monotonic()
        await jobs.signal(job, JobSignal.CANCEL)
        final = await jobs.events.status(job.id, S.CANCELED)
        assert time.monotonic() - asked >= 1.4
        assert final["sync"] == {"objectsAdded": 7}
        await jobs.events.wait(lambda topic, state: topic == "storage" and state["status"] == S.CANCELED)
        assert (await jobs.storage()).last_sync_count == 7
    assert "given up" not in caplog.text


async def test_a_task_that_swallows_its_cancellation_is_given_up(database: Database) -> None:
    late: list[BaseException] = []
    released = asyncio.Event()

    async def work(handle: RunHandle) -> None:
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue
        try:
            async with database.write(ALL) as session:
                await job_state.save(session, handle.claim, progress=1.0)
        except FencedError as error:
            late.append(error)

    scripted = Scripted(work)
    options = WorkerOptions(cancel=Grace(0.05, 0.05))
    async with jobs_of(database, [scripted], options=options) as jobs:
        job = await jobs.enqueue()
        await scripted.wait_begun()
        await jobs.signal(job, JobSignal.CANCEL)
        await jobs.events.status(job.id, S.CANCELED)
        released.set()
        await until(lambda: bool(late))
        assert (await jobs.row(job)).progress is None


async def test_a_run_that_completes_after_a_cancel_was_heard_is_canceled(database: Database) -> None:
    async def work(handle: RunHandle) -> Done:
        await handle.stop.wait()
        return Done(S.COMPLETED, {"sync": {"objectsAdded": 1}})

    scripted = Scripted(work)
    async with jobs_of(database, [scripted]) as jobs:
        job = await jobs.enqueue()
        await scripted.wait_begun()
        await jobs.signal(job, JobSignal.CANCEL)
        final = await jobs.events.status(job.id, S.CANCELED, S.COMPLETED)
        assert (final["status"], final["sync"], final["error"]) == (S.CANCELED, {"objectsAdded": 1}, None)


async def test_a_cancel_by_another_process_is_learned_by_the_heartbeat(database: Database) -> None:
    scripted = Scripted(until_stopped)
    async with jobs_of(database, [scripted]) as jobs:
        job = await jobs.enqueue()
        await scripted.wait_begun()
        async with database.write(ALL) as session:
            await job_state.signal(session, job.id, JobSignal.CANCEL, actor=SYSTEM)
        await jobs.events.status(job.id, S.CANCELED)


async def test_no_tick_hides_that_a_cancel_was_heard(database: Database) -> None:
    async def work(handle: RunHandle) -> Done:
        await handle.stop.wait()
        handle.job.tick += 1
        await handle.publish(handle.job)
        return Done(None)

    scripted = Scripted(work)
    async with jobs_of(database, [scripted]) as jobs:
        job = await jobs.enqueue()
        await scripted.wait_begun()
        await jobs.signal(job, JobSignal.CANCEL)
        await jobs.events.status(job.id, S.CANCELED)
        statuses = [state["status"] for state in jobs.events.of("job", job.id)]
        assert statuses == [S.QUEUED, S.IN_PROGRESS, S.CANCELING, S.CANCELING, S.CANCELED]


async def test_pause_stops_at_a_checkpoint_and_resume_goes_on(database: Database) -> None:
    scripted = Scripted(until_stopped)
    async with jobs_of(database, [scripted]) as jobs:
        job = await jobs.enqueue("u")
        await scripted.wait_begun()
        assert (await jobs.signal(job, JobSignal.PAUSE)).status == S.PAUSED
        released = await jobs.events.wait(
            lambda topic, state: topic == "job" and state["status"] == S.PAUSED and state["lease_expires_at"] is None
        )
        assert released["progress"] == 0.5
        with pytest.raises(AlreadyRunningError) as caught:
            await jobs.enqueue("u")
        assert "Resume" in (caught.value.hint or "")
        await jobs.signal(job, JobSignal.RESUME)
        await scripted.wait_begun()
        assert scripted.runs == [job.id, job.id]


async def test_retry_queues_the_same_job_again_and_it_goes_on_from_its_checkpoint(database: Database) -> None:
    async def work(handle: RunHandle) -> None:
        async with database.write(ALL) as session:
            if await session.get(Checkpoint, handle.job.id) is None:
                session.add(Checkpoint(job_id=handle.job.id, state={"at": 1}, updated_at=now()))
                fail = True
            else:
                fail = False
        if fail:
            raise FatalError("Broken.")

    async with jobs_of(database, [Scripted(work)]) as jobs:
        job = await jobs.enqueue("u")
        await jobs.events.status(job.id, S.FAILED)
        again = await jobs.signal(job, JobSignal.RETRY)
        assert (again.id, again.status, again.error, again.trigger, again.finished_at) == (
            job.id, S.QUEUED, None, "RETRY", None,
        )  # fmt: skip
        await jobs.events.status(job.id, S.COMPLETED)
        async with database.read(ALL) as session:
            assert await session.get(Checkpoint, job.id) is None, "a completed job begins anew when it is retried"
        with pytest.raises(ConflictError):
            await jobs.signal(job, JobSignal.RETRY)


async def test_retry_beside_an_unfinished_job_of_the_same_unicity_is_refused(database: Database) -> None:
    async with jobs_of(database, [Scripted(until_stopped)], start=False) as jobs:
        old = await jobs.enqueue("u")
        await jobs.signal(old, JobSignal.CANCEL)
        new = await jobs.enqueue("u")
        with pytest.raises(AlreadyRunningError) as caught:
            await jobs.signal(old, JobSignal.RETRY)
        assert caught.value.job.id == new.id
        assert (await jobs.row(old)).status == S.CANCELED


async def test_a_completed_job_cannot_be_retried_whatever_runs_beside_it(database: Database) -> None:
    async def first_alone(handle: RunHandle) -> None:
        if scripted.runs[0] != handle.job.id:
            await handle.stop.wait()

    scripted = Scripted(first_alone)
    async with jobs_of(database, [scripted]) as jobs:
        old = await jobs.enqueue("u")
        await jobs.events.status(old.id, S.COMPLETED)
        await jobs.enqueue("u")
        with pytest.raises(ConflictError) as caught:
            await jobs.signal(old, JobSignal.RETRY)
        assert "COMPLETED" in str(caught.value)


async def test_closing_hands_running_jobs_over_and_the_next_start_goes_on(database: Database) -> None:
    scripted = Scripted(until_stopped)
    async with jobs_of(database, [scripted]) as jobs:
        job = await jobs.enqueue("u")
        await scripted.wait_begun()
        await jobs.service.close()
        row = await jobs.row(job)
        assert (row.status, row.retry_count, row.progress, row.lease_expires_at) == (S.QUEUED, 0, 0.5, None)
        assert not jobs.service.readiness().ready
    async with jobs_of(database, [scripted], tenant=jobs.tenant) as after:
        await scripted.wait_begun()
        assert (await after.row(job)).interruptions == 0


async def test_closing_is_bounded_though_a_run_heeds_nothing(database: Database) -> None:
    scripted = Scripted(for_ever)
    async with jobs_of(database, [scripted]) as jobs:
        job = await jobs.enqueue()
        await scripted.wait_begun()
        began = time.monotonic()
        await jobs.service.close(within=2)
        assert time.monotonic() - began < PATIENCE_SECONDS / 4
        assert (await jobs.row(job)).status == S.QUEUED
