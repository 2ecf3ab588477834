"""READ mode: after each run the catalogue holds the bucket's records."""

import asyncio
import gzip
import json
import random
from typing import Any

import pytest

from sluicegate.core.errors import FatalError, RetriableError
from tests.support.s3_responder import Drop, Reply, Request, Stall, error
from tests.support.sync_harness import Harness, Killed, check, counts, kill_at


def lines(*records: Any) -> bytes:
    """The records as JSONL."""
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


async def test_objects_arrays_and_lines_become_records(reads: Harness) -> None:
    store = reads.s3.store
    store.put(b"array.json", b'[{"a": 1}, "text", 3, [null]]')
    store.put(b"lines.jsonl", b'\xef\xbb\xbf{"a": 1}\r\n\r\n{"a": 2}')
    store.put(b"more.ndjson.gz", gzip.compress(lines({"z": 1})) + gzip.compress(lines({"z": 2})))
    store.put(b"one.json", '{"name": "Zoë 😀", "n": 123456789012345678901234567890}'.encode())
    store.put(b"packed.JSON.GZ", gzip.compress(b"[1, 123456789012345678901234567890]"))
    sync = await reads.sync()
    assert counts(sync) == {"added": 11}
    assert await reads.data() == {
        (b"array.json", 0): {"a": 1}, (b"array.json", 1): "text", (b"array.json", 2): 3, (b"array.json", 3): [None],
        (b"lines.jsonl", 0): {"a": 1}, (b"lines.jsonl", 1): {"a": 2},
        (b"more.ndjson.gz", 0): {"z": 1}, (b"more.ndjson.gz", 1): {"z": 2},
        (b"one.json", 0): {"name": "Zoë 😀", "n": 123456789012345678901234567890},
        (b"packed.JSON.GZ", 0): 1, (b"packed.JSON.GZ", 1): 123456789012345678901234567890,
    }  # fmt: skip
    requests = len(reads.s3.requests)
    assert counts(await reads.sync()) == {"unchanged": 11}
    assert len(reads.s3.requests) == requests + 1, "an unchanged file is not read again"


async def test_appended_repaired_and_shortened_files(reads: Harness) -> None:
    store = reads.s3.store
    store.put(b"grows.jsonl", lines(1, 2, 3))
    store.put(b"shrinks.jsonl", lines("a", "b", "c"))
    store.put(b"edited.jsonl", lines(*range(10)))
    await reads.sync()
    store.put(b"grows.jsonl", lines(1, 2, 3, 4))
    store.put(b"shrinks.jsonl", lines("a"))
    store.put(b"edited.jsonl", lines(*range(5), "new", *range(6, 10)))
    assert counts(await reads.sync()) == {"added": 1, "updated": 1, "unchanged": 13, "missing": 2}
    data = await reads.data()
    assert data[b"grows.jsonl", 3] == 4
    assert data[b"edited.jsonl", 5] == "new"
    assert (b"shrinks.jsonl", 1) not in data
    store.delete(b"grows.jsonl")
    assert counts(await reads.sync()) == {"unchanged": 11, "missing": 4}
    store.put(b"grows.jsonl", lines(1, 2, 3, 4))
    assert counts(await reads.sync()) == {"updated": 4, "unchanged": 11}


BROKEN = {
    b"a-empty.json": (b"", "The file is empty."),
    b"b-cut.json": (b'[{"a": 1}, {"a"', "The file ends in the middle of a record."),
    b"c-broken.json": (b'[{"a": 1}, oops, {"a": 2}]', "Not JSON at character 12: Expecting value."),
    b"d-trailing.json": (b'{"a": 1} {"a": 2}', "The JSON ends before character 10, but not the file."),
    b"e-latin1.json": ('{"a": "é"}'.encode("latin-1"), "Not UTF-8"),
    b"f-deep.json": (b"[" * 100_000 + b"]" * 100_000, "The JSON is nested too deeply."),
    b"g-cut.json.gz": (gzip.compress(b"[1, 2, 3]")[:-4], "The gzip stream is cut short."),
    b"h-not.jsonl.gz": (b"plain", "Not gzip"),
}


async def test_a_bad_file_fails_alone_and_is_not_read_again(reads: Harness) -> None:
    store = reads.s3.store
    for key, (body, _) in BROKEN.items():
        store.put(key, body)
    store.put(b"z-good.json", b'{"fine": true}')
    failures: dict[str, str] = {}
    original = reads.s3.answer
    handle = await reads.start()
    result = await reads.run(handle)
    sync = check(result)
    assert result.status == "COMPLETED_WITH_ERRORS"
    failures |= {item["path"]: item["message"] for state in [*handle.states, sync] for item in state["lastErrors"]}
    for key, (_, message) in list(BROKEN.items())[-4:]:
        assert failures[key.decode()].startswith(message), key
    assert counts(sync) == {"added": 7, "failed": len(BROKEN)}
    data = await reads.data()
    assert data[b"b-cut.json", 0] == {"a": 1}, "records before the fault are kept"
    assert data[b"z-good.json", 0] == {"fine": True}
    reads.s3.requests.clear()
    reads.s3.answer = original
    again = await reads.sync()
    assert "failed" not in counts(again)
    assert [request.key for request in reads.s3.requests] == [None], "what is broken stays so until it changes"

    store.put(b"c-broken.json", b'[{"a": 1}, "mended", {"a": 2}]')
    assert counts(await reads.sync())["added"] == 2


async def test_a_bad_line_fails_alone(reads: Harness) -> None:
    reads.s3.store.put(b"rows.jsonl", b'{"a": 1}\n{oops\n\xff\nnull\n{"a": 2}\n')
    sync = await reads.sync()
    assert counts(sync) == {"added": 2, "failed": 3}
    assert [(item["row"], item["message"][:8]) for item in sync["lastErrors"]] == [
        (1, "Not JSON"), (2, "Not UTF-"), (3, "null is "),
    ]  # fmt: skip
    assert await reads.data() == {(b"rows.jsonl", 0): {"a": 1}, (b"rows.jsonl", 4): {"a": 2}}


async def test_what_one_database_would_refuse_both_refuse(reads: Harness) -> None:
    refused = [r'{"a": "\u0000"}', r'{"\u0000": 1}', r'{"a": "\ud800"}', '{"a": 1e999}', r'[["\udfff"]]']
    kept = [r'{"a": "\\u0000"}', r'{"a": "\ud83d\ude00"}', '{"a": -0.0}', '{"a": 1e-400}']
    reads.s3.store.put(b"rows.jsonl", "\n".join(refused + kept).encode())
    sync = await reads.sync()
    assert counts(sync) == {"added": len(kept), "failed": len(refused)}
    data = await reads.data()
    assert data[b"rows.jsonl", 5] == {"a": "\\u0000"}
    assert data[b"rows.jsonl", 6] == {"a": "😀"}


async def test_a_kind_of_file_without_records_is_left_out_and_counted(reads: Harness) -> None:
    reads.s3.store.put(b"image.png", b"x")
    reads.s3.store.put(b"record.json", b"1")
    sync = await reads.sync()
    assert sync["filteredBy"] == {"unsupported": 1}
    assert counts(sync) == {"added": 1, "filtered": 1}
    assert not any(request.key == b"image.png" for request in reads.s3.requests), "it is not even fetched"


async def test_an_empty_list_is_no_record_and_no_failure(reads: Harness) -> None:
    reads.s3.store.put(b"empty.json", b"[]")
    reads.s3.store.put(b"empty.jsonl", b"\n\n")
    sync = await reads.sync()
    assert sync["filteredBy"] == {"empty": 2}
    assert counts(sync) == {"filtered": 2}


def large(count: int, *, version: str = "v1") -> bytes:
    """An array file beyond what is read whole."""
    return json.dumps([{"id": number, "text": "x" * 100, "version": version} for number in range(count)]).encode()


@pytest.mark.parametrize("seed", range(4))
async def test_killed_in_the_middle_of_large_and_small_files(reads: Harness, seed: int) -> None:
    chance = random.Random(seed)
    store = reads.s3.store
    for version in ("v1", "v2"):
        before = await reads.data()
        expected: dict[tuple[bytes, int], Any] = {}
        for number in range(30):
            if version == "v2" and chance.random() < 0.4:
                store.delete(b"%02d.json" % number)
                continue
            body = large(chance.randrange(3_000, 6_000), version=version) if number == 15 else lines(version, number)
            name = b"%02d.json" % number if number == 15 else b"%02d.jsonl" % number
            store.put(name, body)
            records = json.loads(body) if number == 15 else [version, number]
            expected |= {(name, row): record for row, record in enumerate(records)}
        for key in list(store.keys):
            if not any(place[0] == key for place in expected):
                store.delete(key)
        handle = await reads.start(allowMassMissing=True)
        sync = None
        for _ in range(chance.randrange(1, 4)):
            undo = kill_at(reads.database, chance.randrange(1, 9))
            try:
                sync = check(await reads.run(handle))
                break
            except Killed:
                handle = await reads.again(handle)
            finally:
                undo()
        sync = sync or check(await reads.run(handle))
        assert await reads.data() == expected
        assert sync["objectsAdded"] == len(expected.keys() - before.keys())
        assert sync["objectsMissing"] == len(before.keys() - expected.keys())
        assert sync["objectsUpdated"] == sum(before[at] != expected[at] for at in before.keys() & expected.keys())


async def test_a_large_file_is_cut_and_read_on(reads: Harness) -> None:
    body = large(5_000)
    reads.s3.store.put(b"large.json", body)
    original = reads.s3.answer
    cuts = iter([len(body) // 3, len(body) // 2, 0])

    def cut(request: Request) -> Reply | Drop | Stall:
        reply = original(request)
        if request.key is not None and isinstance(reply, Reply) and (length := next(cuts, None)) is not None:
            reply.cut = length
        return reply

    reads.s3.answer = cut
    assert counts(await reads.sync()) == {"added": 5_000}


async def test_a_large_file_that_changes_in_the_middle_of_a_broken_run_is_counted_anew(reads: Harness) -> None:
    reads.s3.store.put(b"large.json", large(5_000))
    handle = await reads.start()
    undo = kill_at(reads.database, 4)
    with pytest.raises(Killed):
        await reads.run(handle)
    undo()
    assert 0 < len(await reads.data()) < 5_000
    reads.s3.store.put(b"large.json", large(4_000, version="v2"))
    sync = check(await reads.run(await reads.again(handle)))
    assert sync["objectsFound"] == 4_000
    assert {record["version"] for record in (await reads.data()).values()} == {"v2"}


async def test_a_large_broken_file_keeps_what_came_before(reads: Harness) -> None:
    reads.s3.store.put(b"large.json", large(5_000)[:-100] + b"!")
    sync = await reads.sync()
    assert sync["objectsFailed"] == 1
    assert sync["objectsAdded"] >= 4_998
    assert counts(await reads.sync()) == {"unchanged": sync["objectsFound"]}


async def test_a_record_larger_than_the_limit_is_refused(reads: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sluicegate.sync.readers.base.MAX_RECORD_BYTES", 1 << 20)
    reads.s3.store.put(b"object.json", b'{"a": "' + b"x" * (3 << 20) + b'"}')
    reads.s3.store.put(b"row.jsonl", b'{"ok": 1}\n"' + b"x" * (3 << 20) + b'"\n')
    sync = await reads.sync()
    assert counts(sync) == {"added": 1, "failed": 2}
    assert all("longer than 1 MiB" in item["message"] for item in sync["lastErrors"])


async def test_a_forbidden_file_is_tried_again_by_the_next_run(reads: Harness) -> None:
    reads.s3.store.put(b"a.json", b"1")
    original = reads.s3.answer

    def forbid(request: Request) -> Reply | Drop | Stall:
        return error(403, "AccessDenied") if request.key else original(request)

    reads.s3.answer = forbid
    assert counts(await reads.sync()) == {"failed": 1}
    reads.s3.answer = original
    assert counts(await reads.sync()) == {"added": 1}


async def test_one_file_that_fails_for_a_while_and_a_source_that_is_down(
    reads: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sluicegate.sync.reading.OBJECT_ATTEMPTS", 2)
    store = reads.s3.store
    for number in range(20):
        store.put(b"%02d.json" % number, b"%d" % number)
    original = reads.s3.answer

    def break_one(request: Request) -> Reply | Drop | Stall:
        return Drop() if request.key == b"07.json" else original(request)

    reads.s3.answer = break_one
    assert counts(await reads.sync()) == {"added": 19, "failed": 1}

    def break_all(request: Request) -> Reply | Drop | Stall:
        return Drop() if request.key else original(request)

    for number in range(20):
        store.put(b"%02d.json" % number, b"[%d]" % (number + 100))
    reads.s3.answer = break_all
    handle = await reads.start()
    with pytest.raises(RetriableError, match="files in a row"):
        await reads.run(handle)
    reads.s3.answer = original
    sync = check(await reads.run(await reads.again(handle)))
    assert counts(sync) == {"added": 1, "updated": 19}


async def test_a_silent_file_does_not_hold_back_what_was_read_before_it(reads: Harness) -> None:
    for number in range(4):
        reads.s3.store.put(b"%d.json" % number, b"%d" % number)
    original = reads.s3.answer

    def silent(request: Request) -> Reply | Drop | Stall:
        return Stall() if request.key == b"2.json" else original(request)

    reads.s3.answer = silent
    handle = await reads.start()
    running = asyncio.create_task(reads.run(handle))
    async with asyncio.timeout(20):
        while not any(state["objectsSynced"] for state in handle.states):
            await handle.shown()
    handle.stop.set()
    result = await running
    assert result.status is None
    assert set(await reads.data()) == {(b"0.json", 0), (b"1.json", 0)}
    reads.s3.answer = original
    assert counts(check(await reads.run(await reads.again(handle)))) == {"added": 4}


async def test_throttled_reads_wait_and_go_on(reads: Harness) -> None:
    reads.s3.store.put(b"a.json", b"1")
    original = reads.s3.answer
    refusals = iter([1, 2])

    def slow_down(request: Request) -> Reply | Drop | Stall:
        return error(503, "SlowDown") if request.key and next(refusals, None) else original(request)

    reads.s3.answer = slow_down
    sync = await reads.sync()
    assert counts(sync) == {"added": 1}
    assert sync["rateLimitHits"] == 2


async def test_between_the_modes_records_and_files_replace_each_other(reads: Harness) -> None:
    store = reads.s3.store
    store.put(b"rows.jsonl", lines(1, 2, 3))
    store.put(b"image.png", b"x")
    await reads.sync()
    await reads.update(use_blob_urls=True)
    await reads.sync()
    assert await reads.files() == reads.bucket()
    await reads.update(use_blob_urls=False)
    await reads.sync()
    data = await reads.data()
    assert {place: data[place] for place in data if place[0] == b"rows.jsonl"} == {
        (b"rows.jsonl", row): row + 1 for row in range(3)
    }


async def test_the_guard_counts_records_not_files(reads: Harness) -> None:
    reads.s3.store.put(b"a.jsonl", lines(*range(200)))
    reads.s3.store.put(b"b.jsonl", lines(1))
    await reads.sync()
    reads.s3.store.delete(b"a.jsonl")
    handle = await reads.start()
    with pytest.raises(FatalError, match="200 of 201 records"):
        await reads.run(handle)
