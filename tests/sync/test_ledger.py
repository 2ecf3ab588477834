"""What runs tell of single records: outcomes and dead letters of a storage's own syncs."""

import json
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from models import run_records
from models.database import ALL
from models.dead_letters import WHOLE_FILE, DeadLetter, DeadLetterStatus
from models.jobs import Job
from models.objects import Checkpoint
from models.outcome_queries import OutcomeRow, count_outcomes, outcomes_of_jobs
from models.outcomes import Outcome
from models.pagination import PageRequest
from tests.support.s3_responder import Request, error
from tests.support.sync_harness import Handle, Harness, Killed, kill_at

BAD = b'{"a": 1}\nnot json\n{"a": 3}\n'
GOOD = b'{"a": 1}\n{"a": 2}\n{"a": 3}\n'


async def letters(harness: Harness) -> dict[tuple[str, int], DeadLetter]:
    """(path, row) → dead letter."""
    async with harness.database.read(ALL) as session:
        return {(row.path, row.row): row for row in await session.scalars(select(DeadLetter))}


async def statuses(harness: Harness) -> dict[tuple[str, int], str]:
    return {place: row.status for place, row in (await letters(harness)).items()}


async def outcomes(harness: Harness, job_id: int) -> list[OutcomeRow]:
    """All of a job's, page by page."""
    found: list[OutcomeRow] = []
    after: str | None = None
    async with harness.database.read(ALL) as session:
        while True:
            (page,) = await outcomes_of_jobs(session, [job_id], PageRequest(1_000, after), kinds=None)
            found += page.rows
            if not page.has_next:
                return found
            after = page.order.cursor(page.rows[-1])


async def stored(harness: Harness) -> int:
    async with harness.database.read(ALL) as session:
        return len((await session.scalars(select(Outcome.id))).all())


async def run(harness: Harness, **payload: Any) -> tuple[Handle, list[tuple[str, str, int]]]:
    """A whole sync with its outcomes as (kind, path, row); its counters say how many they are."""
    handle = await harness.start(**payload)
    await harness.run(handle)
    found = await outcomes(harness, handle.job.id)
    async with harness.database.read(ALL) as session:
        assert count_outcomes(await session.get_one(Job, handle.job.id), None) == len(found)
    return handle, [(row.kind, row.path, row.row) for row in found]


async def test_outcomes_tell_what_a_run_did_and_first_additions_are_derived(blobs: Harness) -> None:
    store = blobs.s3.store
    for key in (b"a", b"b", b"c"):
        store.put(key, b"x")
    first, found = await run(blobs)
    assert found == [("ADDED", "a", 0), ("ADDED", "b", 0), ("ADDED", "c", 0)]
    assert await stored(blobs) == 0

    store.put(b"b", b"changed")
    store.put(b"d", b"new")
    store.delete(b"a")
    second, found = await run(blobs)
    assert sorted(found) == [("ADDED", "d", 0), ("MISSING", "a", 0), ("UPDATED", "b", 0)]
    assert await run(blobs, fullSync=False) is not None
    # What came later is not the first run's, and a change of what it added takes nothing from it.
    again = await outcomes(blobs, first.job.id)
    assert [(row.kind, row.path) for row in again] == [("ADDED", "a"), ("ADDED", "b"), ("ADDED", "c")]
    assert len(await outcomes(blobs, second.job.id)) == 3


async def test_outcomes_of_a_dry_run_are_none(blobs: Harness) -> None:
    blobs.s3.store.put(b"a", b"x")
    _, found = await run(blobs, dryRun=True)
    assert found == []
    assert await stored(blobs) == 0


async def test_a_bad_row_is_quarantined_once_and_resolved_when_it_is_repaired(reads: Harness) -> None:
    reads.s3.store.put(b"rows.jsonl", BAD)
    handle, found = await run(reads)
    assert found == [("ADDED", "rows.jsonl", 0), ("ADDED", "rows.jsonl", 2), ("FAILED", "rows.jsonl", 1)]
    (letter,) = (await letters(reads)).values()
    assert (letter.row, letter.error_type, letter.attempts, letter.status) == (1, "PARSE", 1, "QUARANTINED")
    assert letter.job_id == handle.job.id
    assert [row.id for row in handle.announced] == [letter.id]

    # The file is as it was: nothing is known anew about the row.
    handle, found = await run(reads)
    assert found == []
    assert (await statuses(reads)) == {("rows.jsonl", 1): "QUARANTINED"}
    assert handle.announced == []

    reads.s3.store.put(b"rows.jsonl", BAD + b'{"a": 4}\n')
    await run(reads)
    (again,) = (await letters(reads)).values()
    assert (again.id, again.attempts, again.first_seen_at) == (letter.id, 2, letter.first_seen_at)
    assert again.last_seen_at > letter.last_seen_at
    assert again.revision > letter.revision

    reads.s3.store.put(b"rows.jsonl", GOOD)
    handle, _ = await run(reads)
    assert (await statuses(reads)) == {("rows.jsonl", 1): "RESOLVED"}
    assert [row.status for row in handle.announced] == ["RESOLVED"]


async def test_letters_of_rows_that_are_gone_are_resolved(reads: Harness) -> None:
    store = reads.s3.store
    store.put(b"shrinks.jsonl", b"{}\n" * 3 + b"bad\n")
    store.put(b"vanishes.jsonl", b"bad\n{}\n")
    store.put(b"z-filtered.jsonl", b"bad\n{}\n")
    await run(reads)
    assert len(await statuses(reads)) == 3
    store.put(b"shrinks.jsonl", b"{}\n")
    store.delete(b"vanishes.jsonl")
    await reads.update(regex_filter="shrinks")
    await run(reads)
    assert set((await statuses(reads)).values()) == {"RESOLVED"}


async def test_a_broken_file_is_one_letter_until_it_is_whole(reads: Harness) -> None:
    store = reads.s3.store
    store.put(b"list.json", b'[{"a": 1}, {"a": 2}, oops]')
    _, found = await run(reads)
    assert ("FAILED", "list.json", 2) in found
    assert await statuses(reads) == {("list.json", WHOLE_FILE): "QUARANTINED"}
    store.put(b"list.json", b'[{"a": 1}, {"a": 2}, {"a": 3}]')
    await run(reads)
    assert await statuses(reads) == {("list.json", WHOLE_FILE): "RESOLVED"}


async def test_what_lies_behind_a_break_stays_as_it_is(reads: Harness) -> None:
    store = reads.s3.store
    store.put(b"list.json", b"[1, null, 3, null]")
    await run(reads)
    assert await statuses(reads) == {("list.json", 1): "QUARANTINED", ("list.json", 3): "QUARANTINED"}
    store.put(b"list.json", b"[1, 2, oops")
    await run(reads)
    assert await statuses(reads) == {
        ("list.json", 1): "RESOLVED", ("list.json", 3): "QUARANTINED", ("list.json", WHOLE_FILE): "QUARANTINED",
    }  # fmt: skip


async def test_a_passing_fault_counts_its_four_attempts(reads: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sluicegate.sync.pace.random.uniform", lambda *_: 0.0)
    reads.s3.store.put(b"rows.jsonl", GOOD)

    served = reads.s3.answer

    def fail(request: Request) -> Any:
        return error(500, "InternalError") if request.key == b"rows.jsonl" else served(request)

    monkeypatch.setattr(reads.s3, "answer", fail)
    _, found = await run(reads)
    assert found == [("FAILED", "rows.jsonl", 0)]
    (letter,) = (await letters(reads)).values()
    assert (letter.row, letter.error_type, letter.attempts) == (WHOLE_FILE, "PROVIDER_UNAVAILABLE", 4)
    # Nothing was ever known of the file but this: it is settled all the same when the file is gone.
    monkeypatch.undo()
    reads.s3.store.delete(b"rows.jsonl")
    await run(reads)
    assert await statuses(reads) == {("rows.jsonl", WHOLE_FILE): "RESOLVED"}


async def test_what_was_discarded_stays_so_and_what_was_requeued_does_not(reads: Harness) -> None:
    reads.s3.store.put(b"rows.jsonl", b"bad\nbad\n{}\n")
    await run(reads)
    async with reads.database.write(ALL) as session:
        for row, status in ((0, DeadLetterStatus.DISCARDED), (1, DeadLetterStatus.REQUEUED)):
            await session.execute(update(DeadLetter).where(DeadLetter.row == row).values(status=status))
    reads.s3.store.put(b"rows.jsonl", b"bad\nbad\n{}\n{}\n")
    await run(reads)
    assert await statuses(reads) == {("rows.jsonl", 0): "DISCARDED", ("rows.jsonl", 1): "QUARANTINED"}
    reads.s3.store.put(b"rows.jsonl", b"{}\n{}\n{}\n")
    await run(reads)
    assert await statuses(reads) == {("rows.jsonl", 0): "DISCARDED", ("rows.jsonl", 1): "RESOLVED"}


async def test_letters_of_another_configuration_are_not_settled_by_a_filter(reads: Harness) -> None:
    reads.s3.store.put(b"a.jsonl", b"bad\n")
    reads.s3.store.put(b"b.jsonl", b"bad\n")
    await run(reads)
    async with reads.database.write(ALL) as session:
        await session.execute(update(DeadLetter).values(sync_config_id=7))
    reads.s3.store.delete(b"b.jsonl")
    await reads.update(regex_filter="nothing")
    await run(reads)
    assert await statuses(reads) == {("a.jsonl", 0): "QUARANTINED", ("b.jsonl", 0): "RESOLVED"}


async def test_a_large_file_keeps_its_letters_over_its_pieces(reads: Harness) -> None:
    lines = [json.dumps({"n": number, "fill": "x" * 200}) for number in range(3_000)]
    lines[10] = lines[2_500] = "bad"
    reads.s3.store.put(b"big.jsonl", "\n".join(lines).encode())
    await run(reads)
    assert set(await statuses(reads)) == {("big.jsonl", 10), ("big.jsonl", 2_500)}
    lines[10] = "{}"
    reads.s3.store.put(b"big.jsonl", "\n".join(lines).encode())
    await run(reads)
    assert await statuses(reads) == {("big.jsonl", 10): "RESOLVED", ("big.jsonl", 2_500): "QUARANTINED"}


async def test_many_letters_are_settled_in_pieces(reads: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_records, "LETTERS", 3)
    monkeypatch.setattr("sluicegate.sync.judging.LETTERS", 3)
    store = reads.s3.store
    store.put(b"a.jsonl", b"bad\n" * 10)
    store.put(b"b.jsonl", b"bad\n" * 10)
    store.put(b"c.jsonl", b"bad\n" * 10)
    await run(reads)
    store.put(b"a.jsonl", b"{}\n")
    store.delete(b"c.jsonl")
    await run(reads)
    found = await statuses(reads)
    assert {path: {found[path, row] for row in range(10)} for path in ("a.jsonl", "b.jsonl", "c.jsonl")} == {
        "a.jsonl": {"RESOLVED"}, "b.jsonl": {"QUARANTINED"}, "c.jsonl": {"RESOLVED"},
    }  # fmt: skip


async def test_a_killed_run_tells_of_each_record_once(reads: Harness) -> None:
    long = json.dumps({"fill": "x" * 200}).encode()
    for number in range(3):
        reads.s3.store.put(b"f%d.jsonl" % number, b"bad\n" + long)
    await reads.sync()
    for number in range(3):
        reads.s3.store.put(b"f%d.jsonl" % number, b"\n".join([long, b"bad", *[long] * 1_500]))
    handle = await reads.start()
    for commit in (3, 3, 4, 3):
        undo = kill_at(reads.database, commit)
        with pytest.raises(Killed):
            await reads.run(handle)
        undo()
        handle = await reads.again(handle)
    result = await reads.run(handle)
    found = await outcomes(reads, handle.job.id)
    places = [(row.path, row.row) for row in found]
    assert len(places) == len(set(places))
    sync = result.columns["sync"]
    assert [row.kind for row in found].count("FAILED") == sync["objectsFailed"] == 3
    assert [row.kind for row in found].count("ADDED") == sync["objectsAdded"]
    assert await statuses(reads) == {
        (f"f{number}.jsonl", row): status
        for number in range(3)
        for row, status in ((0, "RESOLVED"), (1, "QUARANTINED"))
    }


async def test_a_large_file_that_changes_under_a_run_is_told_of_as_it_is_then(reads: Harness) -> None:
    long = json.dumps({"fill": "x" * 200}).encode()
    reads.s3.store.put(b"big.jsonl", b"\n".join([b"bad", *[long] * 2_500]))
    handle = await reads.start()
    undo = kill_at(reads.database, 4)
    with pytest.raises(Killed):
        await reads.run(handle)
    undo()
    assert await statuses(reads) == {("big.jsonl", 0): "QUARANTINED"}
    reads.s3.store.put(b"big.jsonl", b"\n".join([*[long] * 1_500, b"bad"]))
    handle = await reads.again(handle)
    result = await reads.run(handle)
    failed = [row.row for row in await outcomes(reads, handle.job.id) if row.kind == "FAILED"]
    assert failed == [1_500]
    assert result.columns["sync"]["objectsFailed"] == 1
    assert await statuses(reads) == {("big.jsonl", 0): "RESOLVED", ("big.jsonl", 1_500): "QUARANTINED"}


async def test_a_retry_from_the_beginning_forgets_what_the_first_try_told(
    blobs: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_records, "PIECE", 2)
    for number in range(5):
        blobs.s3.store.put(b"k%d" % number, b"x")
    await blobs.sync()
    for number in range(5):
        blobs.s3.store.put(b"k%d" % number, b"changed")
    handle = await blobs.start()
    undo = kill_at(blobs.database, 2)
    with pytest.raises(Killed):
        await blobs.run(handle)
    undo()
    assert await stored(blobs) == 5
    async with blobs.database.write(ALL) as session:
        await session.execute(delete(Checkpoint))
    handle = await blobs.again(handle)
    await blobs.run(handle)
    assert await stored(blobs) == 0
