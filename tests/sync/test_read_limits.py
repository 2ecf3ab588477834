"""READ mode: small files that hold much, files cut off in the middle, and passing faults that add up."""

import gzip
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from sluicegate.core.errors import RetriableError, SkippableError
from sluicegate.providers.base import Entry
from sluicegate.sync import reading
from sluicegate.sync.reading import Failure, Row, stream_rows
from sluicegate.sync.reads import MAX_FAILURES_IN_A_ROW
from sluicegate.sync.run import Run
from tests.support.s3_responder import Drop, Reply, Request, Stall, error
from tests.support.sync_harness import Harness, Killed, check, counts, kill_at


async def test_millions_of_rows_in_a_few_bytes_are_read_piece_by_piece(
    reads: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []
    kept = reading.FileResult.add

    def add(result: reading.FileResult, row: Row | Failure) -> bool:
        held.append(len(result.rows))
        return kept(result, row)

    monkeypatch.setattr(reading.FileResult, "add", add)
    store = reads.s3.store
    store.put(b"a.json", b"1")
    store.put(b"bomb.jsonl.gz", gzip.compress(b"1\n" * 20_000))
    store.put(b"wide.json.gz", gzip.compress(json.dumps(["x" * 1_000_000] * 8).encode()))
    assert counts(await reads.sync()) == {"added": 20_009}
    assert max(held) <= reading.SMALL_ROWS
    assert counts(await reads.sync()) == {"unchanged": 20_009}


@pytest.mark.parametrize("commit", [4, 8, 12])
async def test_killed_in_the_middle_of_a_small_file_that_holds_much(reads: Harness, commit: int) -> None:
    reads.s3.store.put(b"a.json", b"1")
    reads.s3.store.put(b"bomb.jsonl.gz", gzip.compress(b"1\n" * 20_000))
    handle = await reads.start()
    undo = kill_at(reads.database, commit)
    with pytest.raises(Killed):
        await reads.run(handle)
    undo()
    assert counts(check(await reads.run(await reads.again(handle)))) == {"added": 20_001}


async def test_a_large_file_that_shrinks_to_a_small_one(reads: Harness) -> None:
    store = reads.s3.store
    store.put(b"a.json", json.dumps([f"{number:0100}" for number in range(4_000)]).encode())
    store.put(b"b.json", b"[1, 2, 3]")
    await reads.sync()
    store.put(b"a.json", json.dumps([f"{number:0100}" for number in range(2)]).encode())
    store.put(b"b.json", b"[1, 2, 4, 5]")
    sync = await reads.sync(allowMassMissing=True)
    assert counts(sync) == {"added": 1, "updated": 1, "unchanged": 4, "missing": 3_998}
    assert len(await reads.data()) == 6


async def test_throttling_uses_up_no_retry(reads: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sluicegate.sync.pace.MAX_WAIT_SECONDS", 0.01)
    reads.s3.store.put(b"a.json", b"1")
    reads.s3.store.put(b"b.json", json.dumps(["x" * 100] * 4_000).encode())
    original = reads.s3.answer
    faults: dict[str | None, list[Reply | Drop]] = {
        place: [*(error(503, "SlowDown") for _ in range(6)), Drop(), Drop()] for place in ("list", "a.json", "b.json")
    }

    def answer(request: Request) -> Reply | Drop | Stall:
        left = faults[request.key.decode() if request.key else "list"]
        return left.pop(0) if left else original(request)

    reads.s3.answer = answer
    sync = await reads.sync()
    assert counts(sync) == {"added": 4_001}
    assert sync["rateLimitHits"] == 18


async def test_while_file_after_file_fails_nothing_is_given_up(reads: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the waits were: a source that is down fails no file."""
    monkeypatch.setattr("sluicegate.sync.pace.MAX_WAIT_SECONDS", 0.01)
    monkeypatch.setattr("sluicegate.sync.reads.COMMIT_SECONDS", 0.0)
    for number in range(MAX_FAILURES_IN_A_ROW + 1):
        reads.s3.store.put(b"%02d.json" % number, b"1")
    original = reads.s3.answer
    reads.s3.answer = lambda request: Drop() if request.key else original(request)
    handle = await reads.start()
    with pytest.raises(RetriableError, match="files in a row"):
        await reads.run(handle)
    reads.s3.answer = original
    sync = check(await reads.run(await reads.again(handle)))
    assert counts(sync) == {"added": MAX_FAILURES_IN_A_ROW + 1}


async def test_rows_of_a_version_that_was_cut_off_are_not_taken_for_the_one_before(
    reads: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is A, then B and refused in the middle of reading it, then A again: its rows are A's."""
    store = reads.s3.store
    first = b'{"v": "A1"}\n{"v": "A2"}\n'
    store.put(b"a.jsonl", first)
    await reads.sync()
    store.put(b"a.jsonl", b'{"v": "B1"}\n{"v": "B2"}\n{"v": "B3"}\n')

    async def refused(run: Run, entry: Entry, path: str, *, window: int) -> AsyncGenerator[Row | Failure]:
        async with aclosing(stream_rows(run, entry, path, window=window)) as rows:
            async for row in rows:
                if row.number == 1:
                    raise SkippableError("The file is gone.", provider_code="ENOENT")
                yield row

    with monkeypatch.context() as patched:
        patched.setattr(reading, "stream_rows", refused)
        assert counts(await reads.sync()) == {"updated": 1, "failed": 1}
    store.put(b"a.jsonl", first)
    await reads.sync()
    assert await reads.data() == {(b"a.jsonl", 0): {"v": "A1"}, (b"a.jsonl", 1): {"v": "A2"}}
