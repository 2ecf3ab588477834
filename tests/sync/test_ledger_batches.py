"""Batches of a configuration's runs: each object that was written is in one of them, whatever cuts the run off."""

import json
from typing import Any

import pytest
from sqlalchemy import select

from models import job_state
from models.batch_records import HELD, OPEN
from models.database import ALL
from models.deliveries import Delivery
from models.job_state import JobSignal
from models.jobs import Job
from models.outcomes import Outcome
from models.sync_configs import SyncConfig, SyncConfigStatus
from sluicegate.core.actors import SYSTEM
from sluicegate.sync.run import Run
from tests.support.sync_harness import Harness, Killed, kill_at

HOOK: dict[str, Any] = {"webhook_url": "https://example.com/hook", "webhook_events": ["BATCH_READY"]}
WITH_BATCHES: dict[str, Any] = {"skip_batch_submission": False, "batch_size": 4}


async def batches(harness: Harness) -> list[Delivery]:
    async with harness.database.read(ALL) as session:
        query = select(Delivery).where(Delivery.batch_number.is_not(None)).order_by(Delivery.id)
        return list(await session.scalars(query))


def shape(found: list[Delivery]) -> list[tuple[int | None, int, str]]:
    return [(row.batch_number, row.object_count, row.status) for row in found]


def items(found: list[Delivery]) -> list[tuple[bytes, int]]:
    return [(bytes.fromhex(key), row) for batch in found for key, row in batch.items or []]


def put(harness: Harness, count: int, body: bytes = b"x", *, start: int = 0) -> list[tuple[bytes, int]]:
    keys = [b"k%04d" % number for number in range(start, start + count)]
    for key in keys:
        harness.s3.store.put(key, body)
    return [(key, 0) for key in keys]


async def test_a_run_numbers_its_batches_and_closes_the_last(blobs: Harness) -> None:
    await blobs.configure(**WITH_BATCHES, **HOOK)
    keys = put(blobs, 10)
    sync = await blobs.sync()
    found = await batches(blobs)
    assert shape(found) == [(1, 4, "PENDING"), (2, 4, "PENDING"), (3, 2, "PENDING")]
    assert items(found) == keys
    assert sync["batchesCreated"] == 3
    assert all(row.next_attempt_at is not None and row.next_attempt_at < OPEN for row in found)
    assert len({row.message_id for row in found}) == 3
    async with blobs.database.read(ALL) as session:  # what a first run adds is in batches, but no stored outcome
        assert (await session.scalars(select(Outcome))).all() == []
    # Another run counts from 1 again, and holds what it wrote alone.
    put(blobs, 1, b"changed")
    added = put(blobs, 1, start=10)
    await blobs.sync()
    assert shape(await batches(blobs))[3:] == [(1, 2, "PENDING")]
    assert items((await batches(blobs))[3:]) == [(b"k0000", 0), *added]


async def test_batches_that_nobody_asked_for_are_counted_without_their_objects(blobs: Harness) -> None:
    await blobs.configure(**WITH_BATCHES)
    put(blobs, 6)
    sync = await blobs.sync()
    found = await batches(blobs)
    assert shape(found) == [(1, 4, "SKIPPED"), (2, 2, "SKIPPED")]
    assert [(row.items, row.message_id, row.next_attempt_at) for row in found] == [(None, None, None)] * 2
    assert sync["batchesCreated"] == 2


async def test_no_batches_where_they_are_skipped_or_there_is_no_configuration(blobs: Harness) -> None:
    put(blobs, 6)
    assert (await blobs.sync())["batchesCreated"] == 0
    await blobs.configure(**HOOK)
    assert (await blobs.sync(fullSync=True))["batchesCreated"] == 0
    assert await batches(blobs) == []


async def test_an_open_batch_grows_with_the_commits_and_is_not_due(
    blobs: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs.s3.page_size = 3
    await blobs.configure(**WITH_BATCHES, **HOOK)
    keys = put(blobs, 9)
    handle = await blobs.start()
    seen: list[tuple[int | None, int, bool]] = []
    original = Run.commit

    async def watching(self: Run, work: Any = None) -> None:
        await original(self, work)
        last = (await batches(blobs))[-1:]
        seen.extend((row.batch_number, row.object_count, row.next_attempt_at == OPEN) for row in last)

    monkeypatch.setattr(Run, "commit", watching)
    await blobs.run(handle)
    assert (1, 3, True) in seen
    assert (2, 2, True) in seen
    found = await batches(blobs)
    assert shape(found) == [(1, 4, "PENDING"), (2, 4, "PENDING"), (3, 1, "PENDING")]
    assert items(found) == keys
    assert OPEN not in [row.next_attempt_at for row in found]


@pytest.mark.parametrize("hook", [HOOK, {}], ids=["wanted", "skipped"])
async def test_kills_neither_lose_an_object_nor_put_one_into_two_batches(blobs: Harness, hook: dict[str, Any]) -> None:
    blobs.s3.page_size = 7
    await blobs.configure(**WITH_BATCHES, **hook)
    keys = put(blobs, 60)
    handle = await blobs.start()
    for commit in (3, 3, 2, 3, 2):
        undo = kill_at(blobs.database, commit)
        with pytest.raises(Killed):
            await blobs.run(handle)
        undo()
        handle = await blobs.again(handle)
    result = await blobs.run(handle)
    found = await batches(blobs)
    assert [row.batch_number for row in found] == list(range(1, 16))
    assert [row.object_count for row in found] == [4] * 15
    assert items(found) == (keys if hook else [])
    assert result.columns["sync"]["batchesCreated"] == 15


async def test_a_run_that_fails_closes_its_batch_and_its_retry_opens_the_next(blobs: Harness) -> None:
    blobs.s3.page_size = 3
    await blobs.configure(**WITH_BATCHES, **HOOK)
    keys = put(blobs, 9)
    handle = await blobs.start()
    undo = kill_at(blobs.database, 3)
    with pytest.raises(Killed):
        await blobs.run(handle)
    undo()
    before = await batches(blobs)
    assert (before[-1].next_attempt_at, before[-1].object_count) == (OPEN, 2)
    await blobs.fail(handle)
    assert OPEN not in [row.next_attempt_at for row in await batches(blobs)]
    async with blobs.database.write(ALL) as session:
        await job_state.signal(session, handle.job.id, JobSignal.RETRY, actor=SYSTEM)
    await blobs.run(await blobs.again(handle))
    found = await batches(blobs)
    assert items(found) == keys
    assert shape(found) == [(1, 4, "PENDING"), (2, 2, "PENDING"), (3, 3, "PENDING")]


async def test_rows_of_files_are_objects_of_batches(reads: Harness) -> None:
    await reads.configure(**WITH_BATCHES, **HOOK, use_blob_urls=False)
    reads.s3.store.put(b"rows.jsonl", b"".join(json.dumps({"n": n}).encode() + b"\n" for n in range(5)) + b"bad\n")
    await reads.sync()
    assert items(await batches(reads)) == [(b"rows.jsonl", number) for number in range(5)]


async def test_batches_of_what_waits_for_confirmation_wait_with_it(blobs: Harness) -> None:
    await blobs.configure(**WITH_BATCHES, **HOOK, require_confirmation=True)
    put(blobs, 5)
    handle = await blobs.start()
    await blobs.run(handle)
    assert [row.next_attempt_at for row in await batches(blobs)] == [HELD, HELD]
    async with blobs.database.read(ALL) as session:
        job = await session.get_one(Job, handle.job.id)
    await blobs.confirm(job)
    released = [row.next_attempt_at for row in await batches(blobs)]
    assert all(moment is not None and moment < OPEN for moment in released)


async def test_what_a_run_stages_after_its_configuration_was_archived_waits_for_nobody(blobs: Harness) -> None:
    await blobs.configure(**WITH_BATCHES, **HOOK, require_confirmation=True)
    put(blobs, 9)
    handle = await blobs.start()
    assert handle.job.sync_config_id is not None
    async with blobs.database.write(ALL) as session:
        config = await session.get_one(SyncConfig, handle.job.sync_config_id)
        config.status = SyncConfigStatus.ARCHIVED
    await blobs.run(handle)
    assert len(found := await batches(blobs)) == 3
    assert HELD not in [row.next_attempt_at for row in found]
