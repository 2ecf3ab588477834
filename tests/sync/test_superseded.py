"""What a run that did not end leaves behind, and what the runs after it make of it."""

import json
from typing import Any

import pytest

from models import job_state, removal
from models.database import ALL
from models.job_state import FencedError, JobSignal
from models.projects import Project
from models.storages import Storage
from sluicegate.core.actors import Actor, ActorKind
from sluicegate.core.errors import FatalError
from tests.support.sync_harness import Handle, Harness, Killed, check, counts, harness, kill_at

ACTOR = Actor(kind=ActorKind.SYSTEM, id=None, name="test")


def lines(*records: Any) -> bytes:
    """The records as JSONL."""
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def large(count: int, version: str = "v1") -> bytes:
    """An array beyond what is read whole."""
    return json.dumps([{"id": number, "text": "x" * 100, "version": version} for number in range(count)]).encode()


async def killed(ready: Harness, commit: int, **payload: Any) -> Handle:
    """A run that dies at its `commit`th write."""
    handle = await ready.start(**payload)
    undo = kill_at(ready.database, commit)
    with pytest.raises(Killed):
        await ready.run(handle)
    undo()
    return handle


async def retried(ready: Harness, handle: Handle) -> Handle:
    """A failed job, tried again as a person asks."""
    async with ready.database.write(ALL) as session:
        await job_state.signal(session, handle.job.id, JobSignal.RETRY, reason="", actor=ACTOR)
    return await ready.again(handle)


async def test_a_refused_loss_of_rows_can_be_allowed(reads: Harness) -> None:
    reads.s3.store.put(b"a.jsonl", lines(*range(200)))
    await reads.sync()
    reads.s3.store.put(b"a.jsonl", lines(0))
    handle = await reads.start()
    with pytest.raises(FatalError, match="199 of 200"):
        await reads.run(handle)
    await reads.fail(handle)
    assert len(await reads.data()) == 200
    assert counts(await reads.sync(allowMassMissing=True)) == {"unchanged": 1, "missing": 199}
    assert await reads.data() == {(b"a.jsonl", 0): 0}
    assert counts(await reads.sync()) == {"unchanged": 1}


async def test_rows_lost_in_a_run_that_failed_are_found_by_the_next_job(reads: Harness) -> None:
    store = reads.s3.store
    store.put(b"a.jsonl", lines(1, 2, 3))
    store.put(b"b.jsonl", lines(1))
    await reads.sync()
    store.put(b"a.jsonl", lines(1))
    handle = await killed(reads, 2)
    assert await reads.candidates() == 2
    await reads.fail(handle)
    assert counts(await reads.sync()) == {"unchanged": 2, "missing": 2}


@pytest.mark.parametrize("use_blob_urls", [True, False])
async def test_an_old_job_that_is_retried_does_not_mark_what_a_later_one_found(
    database_url: str, use_blob_urls: bool
) -> None:
    async with harness(database_url, use_blob_urls=use_blob_urls) as ready:
        store = ready.s3.store
        for key in (b"a.json", b"b.json", b"c.json"):
            store.put(key, b"1")
        await ready.sync()
        store.delete(b"a.json")
        handle = await killed(ready, 2)
        assert await ready.candidates() == 1
        await ready.fail(handle)
        store.put(b"a.json", b"1")
        assert counts(await ready.sync()) == {"unchanged": 3}
        assert counts(check(await ready.run(await retried(ready, handle)))) == {"unchanged": 3}
        assert len(await ready.objects()) == 3


async def test_a_run_that_lost_its_lease_before_it_began_drops_nothing_of_the_next(blobs: Harness) -> None:
    store = blobs.s3.store
    for key in (b"a", b"b"):
        store.put(key, b"1")
    await blobs.sync()
    store.delete(b"a")
    zombie = await blobs.start()
    successor = await blobs.again(zombie)
    undo = kill_at(blobs.database, 2)
    with pytest.raises(Killed):
        await blobs.run(successor)
    undo()
    assert await blobs.candidates() == 1
    # A zombie that looked for a checkpoint before there was one, or whose plan differs.
    await blobs.update(regex_filter=".*")
    with pytest.raises(FencedError):
        await blobs.run(zombie)
    assert await blobs.candidates() == 1


async def test_a_file_whose_first_row_is_bad_goes_missing_and_comes_back(reads: Harness) -> None:
    body = b"{oops\n" + lines(1, 2)
    reads.s3.store.put(b"a.jsonl", body)
    assert counts(await reads.sync()) == {"added": 2, "failed": 1}
    reads.s3.store.delete(b"a.jsonl")
    assert counts(await reads.sync()) == {"missing": 2}
    reads.s3.store.put(b"a.jsonl", body)
    assert counts(await reads.sync()) == {"updated": 2, "failed": 1}
    assert len(await reads.data()) == 2


async def test_a_file_without_records_that_is_gone_is_forgotten(reads: Harness) -> None:
    for key, body in {b"a.json": b"[]", b"b.json": b"oops", b"c.json": b"1"}.items():
        reads.s3.store.put(key, body)
    await reads.sync()
    for key in (b"a.json", b"b.json", b"c.json"):
        reads.s3.store.delete(key)
    assert counts(await reads.sync()) == {"missing": 1}
    assert counts(await reads.sync(dryRun=True)) == {}


@pytest.mark.parametrize("commit", range(2, 8))
async def test_killed_around_a_large_file_counts_what_lies_before_it_once(reads: Harness, commit: int) -> None:
    store = reads.s3.store
    for number in range(5):
        store.put(b"a%d.json" % number, b"1")
    store.put(b"b-gone.json", b"1")
    store.put(b"image.png", b"x")
    await reads.sync()
    store.delete(b"b-gone.json")
    store.put(b"c-large.json", large(3_000))
    store.put(b"d-large.json", large(3_000))
    total = sum(len(stored.body) for key in store.keys if (stored := store.get(key)))
    handle = await killed(reads, commit)
    sync = check(await reads.run(await reads.again(handle)))
    assert counts(sync) == {"added": 6_000, "unchanged": 5, "filtered": 1, "missing": 1}
    assert sync["bytesFound"] == total


async def test_a_file_that_came_before_a_large_one_in_the_middle(reads: Harness) -> None:
    reads.s3.store.put(b"a.json", b"1")
    reads.s3.store.put(b"large.json", large(5_000))
    handle = await killed(reads, 5)
    reads.s3.store.put(b"b.json", b"1")
    sync = check(await reads.run(await reads.again(handle)))
    assert sync["objectsFound"] == 5_002
    assert len(await reads.data()) == 5_002


@pytest.mark.parametrize("replaced", [b"[1, 2]", b"", None])
async def test_a_large_file_that_became_small_or_went_in_the_middle_is_not_counted_twice(
    reads: Harness, replaced: bytes | None
) -> None:
    reads.s3.store.put(b"a.json", b"1")
    reads.s3.store.put(b"large.json", large(5_000))
    handle = await killed(reads, 5, allowMassMissing=True)
    if replaced is None:
        reads.s3.store.delete(b"large.json")
    else:
        reads.s3.store.put(b"large.json", replaced)
    sync = check(await reads.run(await reads.again(handle)))
    assert sync["objectsFound"] == {b"[1, 2]": 3, b"": 2, None: 1}[replaced]


async def test_a_storage_in_another_project_is_read_anew(reads: Harness) -> None:
    reads.s3.store.put(b"a.json", b"1")
    await reads.sync()
    failed = await killed(reads, 1)
    await reads.fail(failed)
    async with reads.database.write(ALL) as session:
        project = Project(name="other", namespace_id=reads.storage.namespace_id)
        session.add(project)
        await session.flush()
        storage = await session.get_one(Storage, reads.storage.id)
        storage.project_id = project.id
        await removal.forget_files(session, [storage.id])
    assert counts(await reads.sync()) == {"added": 1}
