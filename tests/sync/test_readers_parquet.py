"""Parquet: values, row numbers, whole syncs, going on in the middle."""

import asyncio
import json
from contextlib import aclosing

import pyarrow as pa
import pytest

from sluicegate.sync.readers import parquet_process
from sluicegate.sync.readers.random_access import InMemory
from tests.support.s3_responder import Drop, Reply, Request, Stall
from tests.support.sync_harness import Harness, Killed, check, counts, kill_at
from tests.sync.parquet_files import every_type, parquet, read, reader, rows


@pytest.mark.parametrize(
    "options", [{}, {"use_dictionary": False, "compression": "zstd"}, {"data_page_version": "2.0"}]
)
async def test_every_type_becomes_json(options: dict[str, object]) -> None:
    columns = every_type()
    async with reader() as reading:
        lines, fault = await read(reading, parquet({name: array for name, (array, _) in columns.items()}, **options))
    assert fault is None
    found = [json.loads(line) for line in lines]
    assert {name: [record[name] for record in found] for name in columns} == {
        name: expected for name, (_, expected) in columns.items()
    }


async def test_what_has_no_json_form_fails_its_row_alone() -> None:
    not_utf8 = pa.Array.from_buffers(pa.string(), 3, pa.array([b"a", b"\xff", b"c"], pa.binary()).buffers())
    late = pa.array([0, 1, 253_402_300_800], pa.timestamp("s"))
    async with reader() as reading:
        lines, fault = await read(reading, parquet({"text": not_utf8, "nul": ["", "", ""], "more": [1, 2, 3]}))
        times, _ = await read(reading, parquet({"at": late}))
        nul, _ = await read(reading, parquet({"a": ["\0", "\\u0000", "c"]}))
    assert fault is None
    assert lines[0::2] == ['{"text":"a","nul":"","more":1}', '{"text":"c","nul":"","more":3}']
    assert lines[1].message == "The column 'text' can't be read: its text is not UTF-8."
    assert times[1] == '{"at":"1970-01-01T00:00:01.000"}'
    assert times[2].message == "The column 'at' can't be read: a time is outside of the years 0000 to 9999."
    assert nul[0].message == "The record contains a NUL character, which cannot be stored."
    assert nul[1:] == ['{"a":"\\\\u0000"}', '{"a":"c"}']


async def test_columns_of_the_same_name_are_told_apart() -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2]), pa.array([3])], names=["a", "a", ""])
    async with reader() as reading:
        assert await read(reading, parquet(table)) == (['{"a":1,"a_2":2,"column_3":3}'], None)


@pytest.mark.parametrize("size", [1, 7, 30, 100])
async def test_any_row_can_be_the_first(size: int) -> None:
    body = parquet(rows(0, 30), row_group_size=size)
    async with reader() as reading:
        everything, _ = await read(reading, body)
        assert [json.loads(line)["id"] for line in everything] == list(range(30))
        for first in (0, 1, 6, 7, 8, 29, 30, 31):
            assert await read(reading, body, first) == (everything[first:], None)


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few kilobytes are a large file already, and written a hundred rows at a time."""
    monkeypatch.setattr("sluicegate.sync.reading.SMALL_FILE_BYTES", 8 << 10)
    monkeypatch.setattr("sluicegate.sync.large_file.PIECE_ROWS", 100)


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize(("count", "size"), [(60, 25), (1_200, 500)], ids=["small", "large"])
async def test_appended_and_changed_rows_are_picked_up(reads: Harness, count: int, size: int) -> None:
    store = reads.s3.store
    stored = store.put(b"a.parquet", parquet(rows(0, count), row_group_size=size))
    assert (len(stored.body) > 8 << 10) == (count > 60)
    assert counts(await reads.sync()) == {"added": count}
    record = (await reads.data())[b"a.parquet", count - 1]
    assert record["id"] == count - 1
    changed = pa.concat_tables([rows(0, 5), rows(1_000_005, 1_000_006), rows(6, count), rows(count, count + 7)])
    store.put(b"a.parquet", parquet(changed, row_group_size=size + 7))
    assert counts(await reads.sync()) == {"added": 7, "updated": 1, "unchanged": count - 1}
    store.put(b"a.parquet", parquet(rows(0, count - 40)))
    assert counts(await reads.sync()) == {"updated": 1, "unchanged": count - 41, "missing": 47}


@pytest.mark.usefixtures("large")
async def test_a_run_goes_on_in_the_middle_and_reads_nothing_before(reads: Harness) -> None:
    """Of the file of 20 row groups, only its end and what comes after the row that it stopped at is asked for again."""
    body = parquet(rows(0, 2_000), row_group_size=100, compression="none")
    reads.s3.store.put(b"a.parquet", body)
    handle = await reads.start()
    undo = kill_at(reads.database, 15)
    with pytest.raises(Killed):
        await reads.run(handle)
    undo()
    done = len(await reads.data())
    assert 1_000 < done < 2_000
    reads.s3.requests.clear()
    assert counts(check(await reads.run(await reads.again(handle)))) == {"added": 2_000}
    starts = [_start(request) for request in reads.s3.requests if request.key]
    # The first four bytes, the footer, and then nothing before the row group it was in.
    assert sorted(starts)[1] > len(body) * (done - 100) // 2_000 * 8 // 10
    assert [each["id"] for _, each in sorted((await reads.data()).items())] == list(range(2_000))


def _start(request: Request) -> int:
    return int(request.headers["range"].removeprefix("bytes=").partition("-")[0])


@pytest.mark.usefixtures("large")
async def test_a_file_that_changes_while_it_is_read_is_read_again(reads: Harness) -> None:
    store = reads.s3.store
    store.put(b"a.parquet", parquet(rows(0, 900), row_group_size=50))
    original = reads.s3.answer
    asked = 0

    def answer(request: Request) -> Reply | Drop | Stall:
        nonlocal asked
        asked += request.key is not None
        if asked == 5:
            store.put(b"a.parquet", parquet(rows(0, 800), row_group_size=50))
        return original(request)

    reads.s3.answer = answer
    sync = await reads.sync()
    assert sync["objectsFailed"] == 1
    assert counts(await reads.sync(allowMassMissing=True)).get("failed") is None
    assert len(await reads.data()) == 800


async def test_small_files_do_not_wait_for_a_large_one() -> None:
    """The large one's rows may be waited for as long as writing them takes, and that may wait for the small ones."""
    body = parquet(rows(0, 10_000))
    async with reader() as reading, aclosing(reading.rows(InMemory(body))) as large:
        await anext(large)
        async with asyncio.timeout(20), aclosing(reading.rows(InMemory(body), 9_990, small=True)) as small:
            assert len([row async for row in small]) == 10
        assert len([row async for row in large]) == 9_999


async def test_many_small_files_share_one_process(reads: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    start = parquet_process._start

    async def counted() -> object:
        process = await start()
        started.append(process.pid)
        return process

    monkeypatch.setattr(parquet_process, "_start", counted)
    for number in range(40):
        reads.s3.store.put(b"%02d.parquet" % number, parquet(rows(number, number + 2)) if number % 9 else b"PAR1")
    assert counts(await reads.sync()) == {"added": 70, "failed": 5}
    assert len(started) == 1
