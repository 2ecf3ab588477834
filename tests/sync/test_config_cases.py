"""What a configuration's runs leave to each other: cases that a random walk over their options has found, or might."""

from contextlib import suppress
from datetime import timedelta

import pytest
from sqlalchemy import select

from models.database import ALL
from models.dead_letters import DeadLetter
from models.objects import StagedObject
from models.outcomes import Outcome
from models.source_events import SourceEvent
from sluicegate.core.clock import now
from tests.support.sync_harness import Harness, Killed, check, counts, kill_at


async def told(ready: Harness, *keys: bytes, ago: timedelta = timedelta(0)) -> None:
    """Notes keys to be looked at by the configuration."""
    assert ready.config is not None
    async with ready.database.write(ALL) as session:
        for key in keys:
            place = {"storage_id": ready.storage.id, "sync_config_id": ready.config.id}
            session.add(SourceEvent(**place, source_key=key, created_at=now() - ago))


async def waiting(ready: Harness) -> list[bytes]:
    """The keys that are still to be looked at."""
    async with ready.database.read(ALL) as session:
        return list(await session.scalars(select(SourceEvent.source_key).order_by(SourceEvent.source_key)))


async def test_rows_that_wait_are_shown_once_confirmation_is_asked_for_no_more(reads: Harness) -> None:
    store = reads.s3.store
    store.put(b"a.jsonl", b"1\n2\n")
    await reads.configure(use_blob_urls=False)
    await reads.sync()
    await reads.reconfigure(require_confirmation=True)
    store.put(b"a.jsonl", b"1\n3\n")
    store.put(b"b.jsonl", b"4\n")
    assert counts(await reads.sync()) == {"added": 1, "updated": 1, "unchanged": 1}
    assert counts(await reads.sync()) == {"unchanged": 3}
    await reads.reconfigure(require_confirmation=False)
    assert counts(await reads.sync()) == {"added": 1, "updated": 1, "unchanged": 1}
    assert list((await reads.data()).values()) == [1, 3, 4]
    assert counts(await reads.sync()) == {"unchanged": 3}


async def test_a_storage_s_own_sync_shows_rows_that_wait_for_a_configuration(reads: Harness) -> None:
    store = reads.s3.store
    store.put(b"a.jsonl", b"1\n2\n")
    await reads.sync()
    store.put(b"a.jsonl", b"1\n3\n")
    store.put(b"b.jsonl", b"4\n")
    await reads.configure(use_blob_urls=False, require_confirmation=True)
    await reads.sync()
    reads.config = None
    assert counts(await reads.sync()) == {"added": 1, "updated": 1, "unchanged": 1}
    assert list((await reads.data()).values()) == [1, 3, 4]


async def test_rows_that_wait_and_are_gone_are_shown_to_nobody(reads: Harness) -> None:
    store = reads.s3.store
    store.put(b"a.jsonl", b"1\n2\n")
    store.put(b"b.jsonl", b"4\n")
    await reads.configure(use_blob_urls=False, require_confirmation=True)
    assert counts(await reads.sync()) == {"added": 3}
    await reads.reconfigure(require_confirmation=False)
    store.put(b"a.jsonl", b"1\n")
    store.delete(b"b.jsonl")
    assert counts(await reads.sync()) == {"added": 1}
    assert set(await reads.objects(status=None)) == {(b"a.jsonl", 0)}


async def test_keys_that_are_gone_are_missing_though_the_run_ends_at_its_limit(blobs: Harness) -> None:
    store = blobs.s3.store
    for key in (b"a", b"b", b"c"):
        store.put(key, b"1")
    await blobs.configure(max_objects_per_run=2)
    await blobs.sync()
    await blobs.sync()
    assert len(await blobs.objects()) == 3
    store.delete(b"a")
    for key in (b"b", b"c", b"d"):
        store.put(key, b"2")
    await told(blobs, b"a", b"b", b"c", b"d")
    assert counts(await blobs.sync(onlyKeys=True)) == {"updated": 2, "missing": 1}
    assert await waiting(blobs) == [b"d"]
    assert set(await blobs.files()) == {b"b", b"c"}


async def test_single_keys_between_them_do_not_set_back_runs_that_end_at_their_limit(blobs: Harness) -> None:
    store = blobs.s3.store
    for number in range(6):
        store.put(b"in/%d" % number, b"1")
    await blobs.configure(max_objects_per_run=2)
    assert counts(await blobs.sync(fullSync=True)) == {"added": 2}
    for step in range(3):
        store.put(b"in/x", b"%d" % step)
        await told(blobs, b"in/x")
        await blobs.sync(onlyKeys=True)
        await blobs.sync(fullSync=True)
    assert len(await blobs.objects()) == 7


async def test_what_a_limited_run_missed_and_a_key_has_brought_back_is_there(blobs: Harness) -> None:
    store = blobs.s3.store
    for key in (b"a", b"b", b"c"):
        store.put(key, b"1")
    await blobs.configure()
    await blobs.sync()
    await blobs.reconfigure(max_objects_per_run=1)
    store.delete(b"a")
    store.put(b"b", b"2")
    store.put(b"c", b"2")
    assert counts(await blobs.sync()) == {"updated": 1}
    store.put(b"a", b"1")
    await told(blobs, b"a")
    assert counts(await blobs.sync(onlyKeys=True)) == {"unchanged": 1}
    assert counts(await blobs.sync()) == {"updated": 1}
    assert set(await blobs.files()) == {b"a", b"b", b"c"}


async def test_what_was_staged_from_another_path_is_not_confirmed(blobs: Harness) -> None:
    store = blobs.s3.store
    store.put(b"a/1", b"1")
    store.put(b"a/2", b"1")
    config = await blobs.configure(b"a/")
    await blobs.sync()
    await blobs.reconfigure(require_confirmation=True)
    store.put(b"a/1", b"2")
    store.put(b"a/3", b"1")
    store.put(b"b/1", b"1")
    await blobs.sync()
    await blobs.reconfigure(range_low=b"b/", range_high=b"b0", rescan=True)
    handle = await blobs.start()
    assert counts(check(await blobs.run(handle))) == {"added": 1, "missing": 2}
    assert counts(await blobs.confirm(handle.job)) == {"added": 1, "missing": 2}
    assert set(await blobs.files()) == {b"b/1"}
    async with blobs.database.read(ALL) as session:
        assert (await session.scalars(select(StagedObject))).all() == []
    assert config.id


async def test_files_of_before_are_missed_where_only_some_of_a_range_was_read(reads: Harness) -> None:
    store = reads.s3.store
    for key in (b"in/a.jsonl", b"in/sub/b.jsonl"):
        store.put(key, b"1\n")
    await reads.update(use_blob_urls=True)
    await reads.sync()
    await reads.configure(b"in/sub/", use_blob_urls=False)
    await reads.sync()
    reads.config = None
    await reads.update(use_blob_urls=False)
    store.delete(b"in/a.jsonl")
    assert counts(await reads.sync()) == {"unchanged": 1, "missing": 1}
    assert set(await reads.data()) == {(b"in/sub/b.jsonl", 0)}


async def test_a_full_listing_leaves_no_keys_that_were_told_of_before_it(blobs: Harness) -> None:
    blobs.s3.store.put(b"a", b"1")
    await blobs.configure()
    await told(blobs, b"a", b"gone", ago=timedelta(hours=1))
    await told(blobs, b"just-now")
    assert counts(await blobs.sync()) == {"added": 1}
    assert await waiting(blobs) == [b"just-now"]


async def test_rows_that_failed_before_a_run_s_limit_stay_dead_letters(reads: Harness) -> None:
    reads.s3.store.put(b"a.jsonl", b"{1\n{2\n{3\n4\n")
    await reads.configure(use_blob_urls=False, max_objects_per_run=2)
    assert counts(await reads.sync()) == {"failed": 2}
    assert counts(await reads.sync()) == {"failed": 1, "added": 1}
    async with reads.database.read(ALL) as session:
        letters = (await session.scalars(select(DeadLetter).order_by(DeadLetter.row))).all()
    assert [(letter.row, letter.status) for letter in letters] == [(row, "QUARANTINED") for row in range(3)]


async def test_a_file_with_more_bad_rows_than_the_limit_does_not_stop_runs_over_single_keys(reads: Harness) -> None:
    reads.s3.store.put(b"a.jsonl", b"{1\n{2\n{3\n4\n")
    reads.s3.store.put(b"b.jsonl", b"5\n")
    await reads.configure(use_blob_urls=False, max_objects_per_run=2)
    await told(reads, b"a.jsonl", b"b.jsonl")
    assert counts(await reads.sync(onlyKeys=True)) == {"failed": 2}
    assert counts(await reads.sync(onlyKeys=True)) == {"failed": 1, "added": 1}
    assert counts(await reads.sync(onlyKeys=True)) == {"added": 1}
    assert await waiting(reads) == []


@pytest.mark.parametrize("commit", range(1, 7))
async def test_a_run_that_is_killed_at_its_limit_has_counted_what_it_did(blobs: Harness, commit: int) -> None:
    for number in range(4):
        blobs.s3.store.put(b"%d" % number, b"1")
    await blobs.configure(max_objects_per_run=2)
    handle = await blobs.start()
    undo = kill_at(blobs.database, commit)
    try:
        result = await blobs.run(handle)
    except Killed:
        undo()
        result = await blobs.run(await blobs.again(handle))
    finally:
        with suppress(AttributeError):
            undo()
    assert counts(check(result)) == {"added": 2}
    assert counts(await blobs.sync()) == {"added": 2}


@pytest.mark.parametrize("commit", range(1, 7))
async def test_a_run_that_waits_for_confirmation_tells_once_what_it_missed(blobs: Harness, commit: int) -> None:
    blobs.s3.store.put(b"a", b"1")
    blobs.s3.store.put(b"b", b"1")
    await blobs.configure()
    await blobs.sync()
    await blobs.reconfigure(require_confirmation=True)
    blobs.s3.store.delete(b"a")
    handle = await blobs.start()
    undo = kill_at(blobs.database, commit)
    try:
        result = await blobs.run(handle)
    except Killed:
        undo()
        result = await blobs.run(await blobs.again(handle))
    finally:
        with suppress(AttributeError):
            undo()
    assert counts(check(result)) == {"unchanged": 1, "missing": 1}
    async with blobs.database.read(ALL) as session:
        told_of = (await session.scalars(select(Outcome).where(Outcome.job_id == handle.job.id))).all()
    assert [(outcome.kind, outcome.path) for outcome in told_of] == [("MISSING", "a")]
