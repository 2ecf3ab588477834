"""From enqueue to the end of a run."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from models import job_state
from models.database import ALL, Database
from models.jobs import JobStatus
from sluicegate.core.actors import SYSTEM
from sluicegate.core.clock import now
from sluicegate.core.errors import AlreadyRunningError, ErrorCode, FatalError, RetriableError, ThrottledError
from sluicegate.jobs.failures import RetryPolicy, judge
from sluicegate.sync.run import RunHandle
from tests.support.jobs import QUICK, Done, Scripted, jobs_of, until_stopped

S = JobStatus


async def test_a_job_runs_and_every_state_is_announced_after_its_commit(database: Database) -> None:
    async def work(handle: RunHandle) -> Done:
        return Done(S.COMPLETED, {"sync": {"objectsAdded": 2, "objectsUpdated": 1}, "progress": 1.0})

    async with jobs_of(database, [Scripted(work)]) as jobs:
        job = await jobs.enqueue("u", storage_id=jobs.tenant.storage_id)
        final = await jobs.events.status(job.id, S.COMPLETED)
        states = jobs.events.of("job", job.id)
        assert [state["status"] for state in states] == [S.QUEUED, S.IN_PROGRESS, S.COMPLETED]
        revisions = [state["row_rev"] for state in states]
        assert revisions == sorted(set(revisions))
        row = await jobs.row(job)
        assert (row.status, row.row_rev, row.progress) == (S.COMPLETED, final["row_rev"], 1.0)
        assert row.finished_at is not None
        assert row.lease_expires_at is None
        await jobs.events.wait(lambda topic, state: topic == "storage" and state["status"] == S.COMPLETED)
        shown = [state["status"] for state in jobs.events.of("storage", jobs.tenant.storage_id)]
        assert shown == [S.QUEUED, S.IN_PROGRESS, S.COMPLETED]
        storage = await jobs.storage()
        assert (storage.last_sync_count, storage.last_sync_job_id) == (3, job.id)


async def test_a_transaction_that_rolls_back_neither_delivers_nor_announces(database: Database) -> None:
    work = Scripted(until_stopped)
    async with jobs_of(database, [work]) as jobs:

        async def fail_at_the_end() -> None:
            async with database.write(jobs.tenant.namespace_id) as session:
                await jobs.service.enqueue(
                    session, namespace_id=jobs.tenant.namespace_id, job_class="TEST", unicity="u", payload={},
                    created_by=SYSTEM,
                )  # fmt: skip
                raise RuntimeError

        with pytest.raises(RuntimeError):
            await fail_at_the_end()
        following = await jobs.enqueue("u")
        await work.wait_begun()
        assert {state["id"] for _, state in jobs.events.states} == {following.id}


async def test_a_second_request_is_answered_with_the_running_job(database: Database) -> None:
    work = Scripted(until_stopped)
    async with jobs_of(database, [work]) as jobs:
        job = await jobs.enqueue("u")
        await work.wait_begun()
        with pytest.raises(AlreadyRunningError) as caught:
            await jobs.enqueue("u")
        assert (caught.value.job.id, caught.value.job.status) == (job.id, S.IN_PROGRESS)


async def test_the_most_urgent_job_runs_first_even_when_it_came_last(database: Database) -> None:
    gate = asyncio.Event()

    async def work(handle: RunHandle) -> None:
        await gate.wait()

    scripted = Scripted(work)
    async with jobs_of(database, [scripted], concurrency=1) as jobs:
        await jobs.enqueue()
        await scripted.wait_begun()
        waiting = [await jobs.enqueue(priority=priority) for priority in (0, -5, 10, 100, 5)]
        gate.set()
        for job in waiting:
            await jobs.events.status(job.id, S.COMPLETED)
        by_priority = sorted(waiting, key=lambda job: -job.priority)
        assert scripted.runs[1:] == [job.id for job in by_priority]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_many_jobs_are_run_though_few_have_tickets(database: Database) -> None:
    async def work(handle: RunHandle) -> None:
        most_tickets.append(len(jobs.service._engine._tickets))  # type: ignore[attr-defined]

    most_tickets: list[int] = []
    async with jobs_of(database, [Scripted(work)], concurrency=2) as jobs:
        for job in [await jobs.enqueue() for _ in range(30)]:
            await jobs.events.status(job.id, S.COMPLETED)
    assert len(most_tickets) == 30
    assert max(most_tickets) <= 8


async def test_a_scheduled_job_waits_for_its_time(database: Database) -> None:
    work = Scripted(until_stopped)
    async with jobs_of(database, [work]) as jobs:
        soon = await jobs.enqueue(scheduled_at=now() + timedelta(seconds=0.3))
        later = await jobs.enqueue(scheduled_at=now() + timedelta(hours=1))
        assert (soon.status, later.status) == (S.SCHEDULED, S.SCHEDULED)
        await work.wait_begun()
        row = await jobs.row(soon)
        assert row.started_at is not None
        assert row.scheduled_at is not None
        assert row.started_at >= row.scheduled_at
        assert work.runs == [soon.id]
        assert (await jobs.row(later)).status == S.SCHEDULED


async def test_asking_again_for_a_scheduled_job_runs_it_now(database: Database) -> None:
    work = Scripted(until_stopped)
    async with jobs_of(database, [work]) as jobs:
        scheduled = await jobs.enqueue("u", scheduled_at=now() + timedelta(hours=1), payload={"fullSync": False})
        again = await jobs.enqueue("u", payload={"fullSync": True}, priority=3)
        assert again.id == scheduled.id
        await work.wait_begun()
        row = await jobs.row(again)
        assert (row.status, row.payload, row.priority) == (S.IN_PROGRESS, {"fullSync": True}, 3)


async def test_a_retriable_error_is_tried_again_until_the_retries_are_used_up(database: Database) -> None:
    async def work(handle: RunHandle) -> None:
        raise RetriableError("The bucket is away.", provider_code="ServiceUnavailable", hint="Wait.")

    scripted = Scripted(work)
    async with jobs_of(database, [scripted]) as jobs:
        job = await jobs.enqueue(storage_id=jobs.tenant.storage_id, max_retries=2)
        await jobs.events.status(job.id, S.FAILED)
        row = await jobs.row(job)
        assert (len(scripted.runs), row.retry_count) == (3, 2)
        assert row.error == {
            "type": "PROVIDER_UNAVAILABLE", "message": "The bucket is away.", "providerCode": "ServiceUnavailable",
            "hint": "Wait.",
        }  # fmt: skip
        assert row.error_message == "The bucket is away."
        storage = await jobs.storage()
        assert storage.status == S.FAILED
        assert "The bucket is away." in (storage.traceback or "")


async def test_a_run_that_gets_on_has_all_its_retries_again(database: Database) -> None:
    outages = 5

    async def work(handle: RunHandle) -> None:
        nonlocal outages
        async with database.write(ALL) as session:
            saved = await job_state.save(session, handle.claim, progress=1 / (outages + 1))
        handle.job.row_rev = saved.row_rev
        if outages:
            outages -= 1
            raise RetriableError("The bucket is away.")

    scripted = Scripted(work)
    async with jobs_of(database, [scripted]) as jobs:
        job = await jobs.enqueue(max_retries=1)
        await jobs.events.status(job.id, S.COMPLETED)
        assert len(scripted.runs) == 6
        assert max(state["retry_count"] for state in jobs.events.of("job", job.id)) == 1


async def test_throttling_is_no_failure(database: Database) -> None:
    answers = [ThrottledError("slow", retry_after=0.01)] * 5

    async def work(handle: RunHandle) -> None:
        if answers:
            raise answers.pop()

    policy = RetryPolicy(throttled=0.01)
    assert judge(answers[0], retry_count=9, max_retries=0, policy=policy).counted is False
    async with jobs_of(database, [Scripted(work)], options=replace(QUICK, retry=policy)) as jobs:
        job = await jobs.enqueue(max_retries=0)
        final = await jobs.events.status(job.id, S.COMPLETED, S.FAILED)
        assert (final["status"], final["retry_count"], answers) == (S.COMPLETED, 0, [])


async def test_a_fatal_error_ends_the_job_at_once(database: Database) -> None:
    async def work(handle: RunHandle) -> None:
        try:
            raise ValueError("secret-of-a-library")
        except ValueError as cause:
            raise FatalError("No such bucket.", code=ErrorCode.PROVIDER_NOT_FOUND) from cause

    scripted = Scripted(work)
    async with jobs_of(database, [scripted]) as jobs:
        job = await jobs.enqueue(storage_id=jobs.tenant.storage_id)
        await jobs.events.status(job.id, S.FAILED)
        row = await jobs.row(job)
        assert len(scripted.runs) == 1
        assert row.error is not None
        assert (row.error["type"], row.error["causes"]) == ("PROVIDER_NOT_FOUND", ["ValueError"])
        assert "secret-of-a-library" not in ((await jobs.storage()).traceback or "")


async def test_an_unexpected_exception_shows_nothing_of_itself(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(handle: RunHandle) -> None:
        raise KeyError("password=hunter2")

    scripted = Scripted(work)
    async with jobs_of(database, [scripted]) as jobs:
        job = await jobs.enqueue(max_retries=1)
        final = await jobs.events.status(job.id, S.FAILED)
        assert final["error"]["type"] == "InternalError"
        assert "hunter2" not in str(final["error"])
        assert len(scripted.runs) == 2
    assert "KeyError" in caplog.text


async def test_what_a_provider_says_is_stored_whatever_it_holds(database: Database) -> None:
    async def work(handle: RunHandle) -> None:
        raise FatalError("bad \x00 and \ud800 " + "x" * 10_000)

    async with jobs_of(database, [Scripted(work)]) as jobs:
        job = await jobs.enqueue()
        final = await jobs.events.status(job.id, S.FAILED)
        assert final["error"]["message"].startswith("bad \ufffd and ? x")
        assert len(final["error"]["message"]) == 2000


async def test_columns_that_the_row_refuses_fail_the_job_and_not_the_worker(database: Database) -> None:
    async def work(handle: RunHandle) -> Done:
        return Done(S.COMPLETED, {"sync": {"rate": float("nan")}})

    async with jobs_of(database, [Scripted(work)]) as jobs:
        job = await jobs.enqueue()
        final = await jobs.events.status(job.id, S.FAILED, S.COMPLETED)
        assert (final["status"], final["error"]["type"]) == (S.FAILED, "InternalError")


async def test_a_job_of_an_unknown_class_fails(database: Database) -> None:
    async with jobs_of(database, [Scripted(until_stopped)]) as jobs:
        job = await jobs.enqueue(job_class="FROM_THE_FUTURE")
        final = await jobs.events.status(job.id, S.FAILED)
        assert "FROM_THE_FUTURE" in final["error"]["message"]


def test_the_wait_grows_is_bounded_and_honours_the_provider() -> None:
    policy = RetryPolicy()
    for retry, longest in enumerate((2.0, 6.0, 18.0, 54.0, 162.0, 300.0, 300.0)):
        verdict = judge(RetriableError("x"), retry_count=retry, max_retries=99, policy=policy)
        assert verdict.delay is not None
        assert longest / 2 <= verdict.delay <= longest
    asked = judge(RetriableError("x", retry_after=1000), retry_count=0, max_retries=1, policy=policy)
    assert asked.delay == 1000
    assert judge(RetriableError("x"), retry_count=1, max_retries=1, policy=policy).delay is None
