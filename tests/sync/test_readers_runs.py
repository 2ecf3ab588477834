"""Tables through whole syncs: what is appended and repaired is picked up, and nothing else changes."""

import asyncio
import gzip
from collections.abc import AsyncGenerator
from contextlib import aclosing

import psutil
import pytest
from backports import zstd

from sluicegate.sync.records import read_records, reader_for
from tests.support.sync_harness import Harness, counts

TABLE = b"id,name\n" + b"".join(b"%d,name %d\n" % (number, number) for number in range(10))


@pytest.mark.parametrize("name", [b"a.csv", b"a.csv.gz", b"a.csv.zst"])
async def test_appended_and_repaired_rows_are_picked_up(reads: Harness, name: bytes) -> None:
    pack = {b".gz": gzip.compress, b"zst": zstd.compress}.get(name[-3:], bytes)
    reads.s3.store.put(name, pack(TABLE + b"broken\n11,eleven\n"))
    assert counts(await reads.sync()) == {"added": 11, "failed": 1}
    assert (await reads.data())[name, 11] == {"id": "11", "name": "eleven"}
    reads.s3.store.put(name, pack(TABLE + b"10,ten\n11,eleven\n12,twelve\n"))
    assert counts(await reads.sync()) == {"added": 2, "unchanged": 11}
    assert (await reads.data())[name, 10] == {"id": "10", "name": "ten"}
    reads.s3.store.put(name, pack(TABLE.replace(b"name 3", b"third")))
    assert counts(await reads.sync()) == {"updated": 1, "unchanged": 9, "missing": 3}


async def test_a_table_without_rows_counts_as_empty(reads: Harness) -> None:
    reads.s3.store.put(b"a.csv", b"id,name\n")
    reads.s3.store.put(b"b.tsv", b"")
    sync = await reads.sync()
    assert counts(sync) == {"filtered": 2}


@pytest.mark.slow
@pytest.mark.parametrize("packing", ["", ".zst"])
async def test_a_million_rows_take_no_memory(packing: str) -> None:
    packer = zstd.ZstdCompressor() if packing else None

    async def chunks() -> AsyncGenerator[bytes]:
        yield packer.compress(b"id,name\n") if packer else b"id,name\n"
        for start in range(0, 1_000_000, 20_000):
            chunk = b"".join(b'%d,"some\ntext"\n' % number for number in range(start, start + 20_000))
            yield packer.compress(chunk) if packer else chunk
        yield packer.flush() if packer else b""

    process, resident = psutil.Process(), list[int]()
    rows = 0
    async with aclosing(read_records(reader_for("a.csv" + packing), chunks())) as records:
        async for record in records:
            assert record["name"] == "some\ntext"
            rows += 1
            if rows % 50_000 == 0:
                resident.append(process.memory_info().rss)
    assert rows == 1_000_000
    assert max(resident) - resident[0] < 16 << 20


@pytest.mark.parametrize("body", [b"\n" * 1_000_000, b"1,2\n" * 300_000], ids=["blank lines", "ragged rows"])
async def test_much_that_is_no_record_lets_others_run(body: bytes) -> None:
    async def chunks() -> AsyncGenerator[bytes]:
        yield zstd.compress(b"id\n" + body)

    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counter = asyncio.create_task(others())
    async with aclosing(read_records(reader_for("a.csv.zst"), chunks())) as records:
        failures = [record async for record in records]
    counter.cancel()
    assert len(failures) == body.count(b",")
    assert turns > 5
