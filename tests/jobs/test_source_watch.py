"""Storages that tell of their changes: what is told is noted, once, and looked at soon; and queues that die."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from models import source_event_queries, source_keys
from models.database import ALL, Database
from models.jobs import Job, JobStatus, JobTrigger
from models.source_events import SourceEvent
from models.storages import Storage
from models.sync_configs import SyncConfig, SyncConfigStatus, SyncMode
from sluicegate.core.clock import now
from sluicegate.core.errors import ErrorCode, RetriableError
from sluicegate.jobs.source_watch import SourceWatch
from sluicegate.providers.base import EventBatch, ObjectEvent
from tests.jobs.configs import add_config, read_config, runs_of, set_config
from tests.support.jobs import Done, Jobs, Scripted, Tenant, jobs_of, make_tenant, until

S = SyncConfigStatus
QUEUE = {"bucket": "b", "event_queue_url": "https://sqs.example/queue"}


class Source:
    """A provider whose events a test sends; `broken` raises instead. Opened again after each failure."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[EventBatch] = asyncio.Queue()
        self.broken: Exception | None = None
        self.opened = 0
        self.acked: list[set[bytes]] = []

    async def send(self, *keys: bytes) -> None:
        async def ack() -> None:
            self.acked.append(set(keys))

        await self.queue.put(EventBatch([ObjectEvent(key, removed=False) for key in keys], ack))

    async def events(self) -> AsyncGenerator[EventBatch]:
        while True:
            if self.broken is not None:
                raise self.broken
            yield await self.queue.get()

    @asynccontextmanager
    async def open(self, _storage: Storage) -> AsyncGenerator[Any]:
        self.opened += 1
        yield self


@pytest.fixture
async def tenant(database: Database) -> Tenant:
    made = await make_tenant(database)
    async with database.write(ALL) as session:
        (await session.get_one(Storage, made.storage_id)).settings = QUEUE
    return made


async def listed(database: Database, tenant: Tenant, prefix: bytes = b"", **columns: Any) -> SyncConfig:
    """A configuration that has listed everything and waits for events."""
    later = now() + timedelta(hours=1)
    given = {"status": S.ACTIVE, "next_sync_at": later, "listed_at": now(), "run_number": 1, **columns}
    return await add_config(database, tenant, prefix, **given)


async def noted(database: Database, config: SyncConfig) -> set[bytes]:
    async with database.read(ALL) as session:
        query = select(SourceEvent.source_key).where(SourceEvent.sync_config_id == config.id)
        return set(await session.scalars(query))


async def note(database: Database, tenant: Tenant, *keys: bytes) -> None:
    async with database.write(ALL) as session:
        await source_event_queries.note(session, tenant.storage_id, keys, at=now())


@asynccontextmanager
async def watching(jobs: Jobs, source: Source, **options: Any) -> AsyncGenerator[SourceWatch]:
    watch = SourceWatch(jobs.database, jobs.service._announcer, source.open, look_seconds=0.02, **options)
    task = asyncio.create_task(watch.run())
    try:
        yield watch
    finally:
        task.cancel()
        await asyncio.wait({task})


def looks_at_keys(database: Database, seen: list[bytes]) -> Scripted:
    """A run that takes the keys that wait, as the engine does."""

    async def script(handle: Any) -> Done:
        job: Job = handle.job
        assert job.payload["onlyKeys"]
        assert job.storage_id is not None
        assert job.sync_config_id is not None
        async with database.write(ALL) as session:
            found = await source_keys.waiting(session, job.storage_id, job.sync_config_id, 500)
            await source_keys.done(session, job.storage_id, job.sync_config_id, found)
        seen.extend(key for key, _ in found)
        return Done(columns={"sync": {"listingComplete": True}})

    return Scripted(script, name="SYNC_CONFIG")


async def test_what_is_told_is_looked_at_soon_and_then_forgotten(database: Database, tenant: Tenant) -> None:
    config = await listed(database, tenant, b"in/")
    seen: list[bytes] = []
    source = Source()
    async with jobs_of(database, [looks_at_keys(database, seen)], tenant=tenant) as jobs, watching(jobs, source):
        await source.send(b"in/a", b"in/b", b"out/c")
        await until(lambda: sorted(seen) == [b"in/a", b"in/b"])
        await source.send(b"in/c")
        await until(lambda: b"in/c" in seen)
        await until(lambda: len(source.acked) == 2)
    assert all(job.trigger == JobTrigger.EVENT for job in await runs_of(database, config))
    row = await read_config(database, config)
    assert row.listed_at == config.listed_at, "single keys are no listing"


async def test_keys_that_come_while_a_run_is_under_way_start_the_next(database: Database, tenant: Tenant) -> None:
    config = await listed(database, tenant)
    begun, go_on = asyncio.Event(), asyncio.Event()
    seen: list[bytes] = []
    inner = looks_at_keys(database, seen)

    async def script(handle: Any) -> Any:
        done = await inner.script(handle)
        begun.set()
        await go_on.wait()
        return done

    source = Source()
    job_class = Scripted(script, name="SYNC_CONFIG")
    async with jobs_of(database, [job_class], tenant=tenant) as jobs, watching(jobs, source):
        await source.send(b"a")
        await asyncio.wait_for(begun.wait(), 20)
        await source.send(b"b")
        await until(lambda: len(source.acked) == 2)
        go_on.set()
        await until(lambda: seen == [b"a", b"b"])
    assert len(job_class.runs) == 2
    assert await noted(database, config) == set()


async def test_a_key_told_of_again_while_a_run_looks_at_it_waits_anew(database: Database, tenant: Tenant) -> None:
    config = await listed(database, tenant)
    await note(database, tenant, b"a", b"b")
    async with database.read(ALL) as session:
        taken = await source_keys.waiting(session, tenant.storage_id, config.id, 10)
    # Another machine's clock is behind.
    async with database.write(ALL) as session:
        await source_event_queries.note(session, tenant.storage_id, [b"b"], at=now() - timedelta(hours=1))
        await source_keys.done(session, tenant.storage_id, config.id, taken)
    assert await noted(database, config) == {b"b"}


async def test_only_the_configurations_that_cover_a_key_and_listen_hear_of_it(
    database: Database, tenant: Tenant
) -> None:
    inner, outer, other = [await listed(database, tenant, prefix) for prefix in (b"a/b", b"a/", b"b/")]
    deaf = [
        await listed(database, tenant, b"a/", mode=SyncMode.SCHEDULED),
        await listed(database, tenant, b"a/", status=S.PAUSED),
    ]
    await note(database, tenant, b"a/bc", b"a/c")
    found = [await noted(database, config) for config in (inner, outer, other, *deaf)]
    assert found == [{b"a/bc"}, {b"a/bc", b"a/c"}, set(), set(), set()]


async def test_too_many_keys_are_dropped_for_a_listing_of_everything(
    database: Database, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_event_queries, "MAX_PENDING", 3)
    config = await listed(database, tenant)
    await note(database, tenant, b"1", b"2", b"3")
    assert (await read_config(database, config)).listed_at is not None
    await note(database, tenant, b"4")
    row = await read_config(database, config)
    assert (row.listed_at, await noted(database, config)) == (None, set())
    assert row.next_sync_at is not None
    assert row.next_sync_at <= now()


async def test_too_many_keys_at_once_are_not_written_first(
    database: Database, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_event_queries, "MAX_PENDING", 3)
    monkeypatch.setattr(source_event_queries.plain_sql, "insert_many", None)
    config = await listed(database, tenant)
    await note(database, tenant, b"1", b"2", b"3", b"4")
    row = await read_config(database, config)
    assert row.listed_at is None
    assert row.next_sync_at is not None
    assert row.next_sync_at <= now()


async def test_what_is_dropped_while_everything_is_listed_needs_another_listing(
    database: Database, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_event_queries, "MAX_PENDING", 0)
    config = await add_config(database, tenant)

    async def script(_handle: Any) -> Done:
        if len(job_class.runs) == 1:
            await note(database, tenant, b"behind the listing")
        return Done(columns={"sync": {"listingComplete": True}})

    job_class = Scripted(script, name="SYNC_CONFIG")
    async with jobs_of(database, [job_class], tenant=tenant) as jobs:
        ended = await jobs.events.wait(lambda topic, state: topic == "syncConfig" and state["last_job_id"] is not None)
        assert ended["listed_at"] is None
        await set_config(database, config, next_sync_at=now())
        await jobs.service._schedule.tick(now())
        await jobs.events.wait(lambda topic, state: topic == "syncConfig" and state["listed_at"] is not None)


async def test_a_queue_that_dies_is_tried_again_and_polled_meanwhile(
    database: Database, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sluicegate.jobs.source_watch.MAX_WAIT_SECONDS", 0.02)
    config = await listed(database, tenant, polling_interval_seconds=60)
    source = Source()
    source.broken = RetriableError("The queue does not answer.", code=ErrorCode.PROVIDER_UNAVAILABLE)
    async with jobs_of(database, [], tenant=tenant, start=False) as jobs, watching(jobs, source) as watch:
        await until(lambda: source.opened > 4)
        assert watch.failing == {tenant.storage_id: "The queue does not answer."}
        row = await read_config(database, config)
        assert row.listed_at is None
        assert row.next_sync_at is not None
        assert row.next_sync_at <= now() + timedelta(seconds=61)
        source.broken = None
        await source.send(b"a")
        await until(lambda: len(source.acked) == 1)
        assert watch.failing == {}
    assert "can't be read: The queue does not answer." in caplog.text


async def test_nothing_is_acknowledged_that_is_not_noted(
    database: Database, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sluicegate.jobs.source_watch.MAX_WAIT_SECONDS", 0.02)
    config = await listed(database, tenant)
    real, failures = source_event_queries.note, 1

    async def failing_note(*args: Any, **options: Any) -> int:
        nonlocal failures
        made = await real(*args, **options)
        if failures:
            failures -= 1
            raise OSError("disk")
        return made

    monkeypatch.setattr(source_event_queries, "note", failing_note)
    source = Source()
    async with jobs_of(database, [], tenant=tenant, start=False) as jobs, watching(jobs, source):
        await source.send(b"a")
        await until(lambda: source.opened == 2)
        assert source.acked == []
        await source.send(b"b")
        await until(lambda: source.acked == [{b"b"}])
    assert await noted(database, config) == {b"b"}


async def test_watchers_follow_what_is_wanted(database: Database, tenant: Tenant) -> None:
    config = await listed(database, tenant)
    source = Source()
    others = asyncio.all_tasks()  # of a gateway that other tests share
    async with jobs_of(database, [], tenant=tenant, start=False) as jobs, watching(jobs, source) as watch:
        await until(lambda: source.opened == 1)
        async with database.write(ALL) as session:
            (await session.get_one(Storage, tenant.storage_id)).settings = {**QUEUE, "event_queue_url": "https://other"}
        await until(lambda: source.opened == 2)
        await set_config(database, config, status=S.PAUSED)
        await until(lambda: not watch.watched)
        await set_config(database, config, status=S.ACTIVE)
        await until(lambda: source.opened == 3)
        async with database.write(ALL) as session:
            (await session.get_one(Storage, tenant.storage_id)).settings = {"bucket": "b"}
        await until(lambda: not watch.watched)
    assert [task for task in asyncio.all_tasks() - others if task.get_name().startswith("source-watch")] == []


async def test_more_storages_than_watchers_have_their_turns(
    database: Database, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sluicegate.jobs.source_watch.TURN_SECONDS", 0.0)
    async with database.write(ALL) as session:
        for number in range(4):
            storage = Storage(namespace_id=tenant.namespace_id, project_id=tenant.project_id, type="S3", settings=QUEUE)
            session.add(storage)
            await session.flush()
            session.add(
                SyncConfig(
                    namespace_id=tenant.namespace_id, project_id=tenant.project_id, storage_id=storage.id,
                    source_path=str(number), range_low=b"", status=S.ACTIVE,
                )
            )  # fmt: skip
    served: set[int] = set()

    class Counting(Source):
        @asynccontextmanager
        async def open(self, storage: Storage) -> AsyncGenerator[Any]:
            served.add(storage.id)
            yield self

    async with (
        jobs_of(database, [], tenant=tenant, start=False) as jobs,
        watching(jobs, Counting(), max_watchers=2) as watch,
    ):
        await until(lambda: len(served) == 4)
        assert len(watch.watched) <= 2


async def test_events_replace_polling_but_not_for_ever(database: Database, tenant: Tenant) -> None:
    """With a queue and a listing of late, a slot starts nothing; an hour after the listing, one does."""
    config = await listed(database, tenant, next_sync_at=now())
    async with jobs_of(database, [], tenant=tenant, start=False) as jobs:
        following = await jobs.service._schedule.tick(now())
        assert await runs_of(database, config) == []
        assert config.listed_at is not None
        assert following is not None
        assert following == config.listed_at + timedelta(hours=1)
        await jobs.service._schedule.tick(following)
        (job,) = await runs_of(database, config)
        assert (job.trigger, job.payload["onlyKeys"]) == (JobTrigger.SCHEDULE, False)
        assert job.status == JobStatus.QUEUED


async def test_one_note_counts_once_however_often_it_comes(database: Database, tenant: Tenant) -> None:
    await listed(database, tenant)
    for _ in range(3):
        await note(database, tenant, b"a", b"a")
    async with database.read(ALL) as session:
        assert await session.scalar(select(func.count()).select_from(SourceEvent)) == 1
