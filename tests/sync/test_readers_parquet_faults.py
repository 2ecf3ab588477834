"""Parquet files that are broken or hostile: one failure each, in bounded memory, and the process never outlives it."""

import asyncio
import io
import os
import random
import signal
import struct
import sys
from contextlib import aclosing

import psutil
import pyarrow as pa
import pytest

from sluicegate.core.errors import SkippableError
from sluicegate.sync.readers import parquet_rows
from sluicegate.sync.readers.parquet_process import ParquetReader
from sluicegate.sync.readers.random_access import InMemory
from tests.support.s3_responder import Drop, Reply, Request, Stall
from tests.support.sync_harness import Harness, counts
from tests.sync.parquet_files import parquet, read, reader, rows

GOOD = parquet(rows(0, 20), row_group_size=6)


def expanding() -> bytes:
    """One row of two million equal texts of a thousand letters: a few kilobytes that hold 2 GB."""
    words = pa.DictionaryArray.from_arrays(pa.array([0] * 2_000_000, pa.int32()), pa.array(["x" * 1_000]))
    return parquet({"list": pa.ListArray.from_arrays(pa.array([0, 2_000_000], pa.int32()), words)})


def nested(levels: int) -> pa.Array:
    """A list in a list, and so on."""
    array = pa.array([1])
    for _ in range(levels):
        array = pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), array)
    return array


def records(levels: int) -> pa.Array:
    """A record in a record, and so on."""
    array = pa.array([1])
    for _ in range(levels):
        array = pa.StructArray.from_arrays([array], names=["a"])
    return array


def children() -> list[psutil.Process]:
    """The readers of this process."""
    return [each for each in psutil.Process().children() if "parquet_child" in " ".join(each.cmdline())]


HOSTILE = {
    "empty": (b"", "The file is empty."),
    "four bytes": (b"PAR1", "Not Parquet."),
    "text": (b"id,name\n" * 9, "Not Parquet."),
    "cut": (GOOD[:-20], "The file is cut short: its end is not that of a Parquet file."),
    "encrypted": (GOOD[:-4] + b"PARE", "The file is encrypted."),
    "footer of 2 GB": (GOOD[:-8] + struct.pack("<I", 2**31 - 1) + b"PAR1", "Not readable as Parquet: "),
    "footer of nothing": (GOOD[:-8] + struct.pack("<I", 0) + b"PAR1", "Not readable as Parquet: "),
    "footer of noise": (b"PAR1" + b"\x19" * 999 + struct.pack("<I", 999) + b"PAR1", "Not readable as Parquet: "),
    "deep": (parquet({"a": nested(90)}), "Not readable as Parquet: Parquet schema too deeply nested"),
    "deeper than a record": (parquet({"a": records(70)}), "The column 'a' can't be read: it is nested deeper than 64"),
    "wide": (
        parquet({f"c{number}": [1] for number in range(16_385)}),
        "The file has 16,385 columns, more than 16,384.",
    ),
    "expanding": (expanding(), "Reading it takes "),
}


async def test_a_hostile_file_is_one_failure(reads: Harness) -> None:
    """With their neighbours read, the failures explained, and no more work for them while they stay as they are."""
    for name, (body, _) in HOSTILE.items():
        reads.s3.store.put(name.encode() + b".parquet", body)
    reads.s3.store.put(b"a.parquet", GOOD)
    reads.s3.store.put(b"z.parquet", GOOD)
    sync = await reads.sync()
    assert counts(sync) == {"added": 40, "failed": len(HOSTILE)}
    assert not children()
    assert counts(await reads.sync()) == {"unchanged": 40 + len(HOSTILE)}


@pytest.mark.parametrize("name", HOSTILE)
async def test_what_is_wrong_is_said(name: str) -> None:
    body, message = HOSTILE[name]
    async with reader() as reading:
        found, fault = await read(reading, body)
        assert not found
        assert fault is not None
        assert fault.message.startswith(message)
        assert fault.provider_code is None


async def test_any_spoiled_bytes_end_in_rows_or_a_fault() -> None:
    chance = random.Random(7)
    async with reader() as reading:
        for _ in range(200):
            at, put = chance.randrange(len(GOOD)), chance.randbytes(chance.randint(1, 6))
            found, fault = await read(reading, GOOD[:at] + put + GOOD[at + len(put) :])
            assert fault is not None or len(found) == 20


def test_more_rows_than_bytes_can_mean_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class File(io.BytesIO):
        size = len(GOOD)

        def read_at(self, start: int, length: int) -> bytes:
            return GOOD[start : start + length]

        def fetch(self, start: int, end: int) -> None: ...

    monkeypatch.setattr(parquet_rows, "MAX_ROWS_A_BYTE", 0)
    monkeypatch.setattr(parquet_rows, "FREE_ROWS", 20)
    assert len(list(parquet_rows.lines_of(File(GOOD), 0))) == 20
    monkeypatch.setattr(parquet_rows, "FREE_ROWS", 19)
    with pytest.raises(SkippableError, match="that state 20 rows are not read"):
        list(parquet_rows.lines_of(File(GOOD), 0))


async def test_a_cancel_ends_the_process_at_once(reads: Harness) -> None:
    """While the source keeps it waiting; what was read before stays."""
    body = parquet(rows(0, 60_000), row_group_size=30_000)
    reads.s3.store.put(b"a.parquet", body)
    original, stalled = reads.s3.answer, asyncio.Event()

    def answer(request: Request) -> Reply | Drop | Stall:
        if (wanted := request.headers.get("range", "")) and int(wanted[6:].partition("-")[0]) > 2_000_000:
            stalled.set()
            return Stall()
        return original(request)

    reads.s3.answer = answer
    run = asyncio.create_task(reads.run(await reads.start()))
    async with asyncio.timeout(20):
        await stalled.wait()
    assert len(children()) == 1
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert not children()


async def test_closing_in_the_middle_of_rows_ends_the_process() -> None:
    reading = ParquetReader()
    async with aclosing(reading.rows(InMemory(parquet(rows(0, 50_000))))) as lines:
        await anext(lines)
        assert len(children()) == 1
    assert not children()


async def test_a_process_that_is_killed_is_no_fault_of_the_file(
    reads: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file fails in this run, its neighbours do not, and the next run reads it."""
    monkeypatch.setattr("sluicegate.sync.reading.SMALL_FILE_BYTES", 8 << 10)
    for name in (b"a.parquet", b"b.parquet"):
        reads.s3.store.put(name, parquet(rows(0, 900), row_group_size=50))
    original = reads.s3.answer
    asked = 0

    def answer(request: Request) -> Reply | Drop | Stall:
        nonlocal asked
        asked += request.key == b"a.parquet"
        if asked == 6:
            asked += 1
            children()[0].kill()
        return original(request)

    reads.s3.answer = answer
    assert counts(await reads.sync())["failed"] == 1
    assert counts(await reads.sync()).get("failed") is None
    assert len(await reads.data()) == 1_800


async def test_the_process_can_open_nothing_and_knows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICEGATE_SECRET_KEY", "in-the-environment")
    async with reader() as reading:
        await read(reading, GOOD)
        (child,) = children()
        assert [child.rlimit(limit) for limit in (psutil.RLIMIT_NOFILE, psutil.RLIMIT_FSIZE)] == [(0, 0)] * 2
        assert "in-the-environment" not in str(child.environ())


async def test_the_process_ends_with_a_gateway_that_is_killed() -> None:
    # Stopped: as one that decodes for minutes, it does not see its pipe close.
    script = (
        "import asyncio, os, signal\n"
        "from sluicegate.sync.readers import parquet_process as p\n"
        "from tests.sync.parquet_files import parquet, read, reader\n"
        "import pyarrow\n"
        "async def main():\n"
        "    async with reader() as reading:\n"
        "        await read(reading, parquet({'a': pyarrow.array([1])}))\n"
        "        child = reading._large._process or reading._small._process\n"
        "        os.kill(child.pid, signal.SIGSTOP)\n"
        "        print(child.pid, flush=True)\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    gateway = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
    output, _ = await gateway.communicate()
    child = int(output)
    try:
        async with asyncio.timeout(10):
            # Not a child of this process: nothing tells of its end.
            while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    except TimeoutError:
        os.kill(child, signal.SIGKILL)
        raise


async def test_a_file_at_which_nothing_happens_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sluicegate.sync.readers.parquet_process.SILENCE_SECONDS", 0.01)
    async with reader() as reading:
        found, fault = await read(reading, GOOD)
    assert not found
    assert fault is not None
    assert fault.message == "Nothing came of reading it for 0 s."
    assert not children()
