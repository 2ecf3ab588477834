"""Parquet files that tests make, and what reads them in tests."""

import hashlib
import io
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sluicegate.core.errors import SkippableError
from sluicegate.sync.readers.parquet_process import ParquetReader
from sluicegate.sync.readers.random_access import InMemory

ID = uuid.UUID("93f2149b-5872-4bd2-92a1-0c5a1f6a8f2e")
MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


def parquet(table: Any, **options: Any) -> bytes:
    """The table as a file."""
    out = io.BytesIO()
    pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), out, **options)
    return out.getvalue()


def rows(start: int, end: int, **other: Any) -> Any:
    """A table of these ids, each with a text of 64 characters that no compression makes much shorter."""
    ids = range(start, end)
    texts = [hashlib.blake2b(b"%d" % number, digest_size=32).hexdigest() for number in ids]
    return pa.table({"id": pa.array(ids), "text": pa.array(texts), **other})


@asynccontextmanager
async def reader() -> AsyncGenerator[ParquetReader]:
    """A reader whose process ends with the test."""
    reading = ParquetReader()
    try:
        yield reading
    finally:
        await reading.close()


async def read(reading: ParquetReader, body: bytes, first: int = 0) -> tuple[list[Any], SkippableError | None]:
    """The rows and the fault that ends them."""
    found: list[Any] = []
    try:
        async with aclosing(reading.rows(InMemory(body), first)) as lines:
            async for line in lines:
                found.append(line)  # noqa: PERF401 - what came before a fault is wanted
    except SkippableError as error:
        return found, error
    return found, None


def every_type() -> dict[str, tuple[Any, list[Any]]]:
    """Column → three Arrow values, the last null, and the JSON that they become."""
    duration = pa.array([timedelta(seconds=1.5), timedelta(milliseconds=-1), None], pa.duration("ms"))
    return {
        "int": (pa.array([2**63 - 1, -(2**63), None]), [2**63 - 1, -(2**63), None]),
        "uint": (pa.array([2**64 - 1, 0, None], pa.uint64()), [2**64 - 1, 0, None]),
        "float": (pa.array([0.1, float("nan"), None]), [0.1, None, None]),
        "infinite": (pa.array([float("inf"), float("-inf"), None], pa.float32()), [None, None, None]),
        "half": (pa.array([1.5, 2, None], pa.float32()).cast(pa.float16()), [1.5, 2.0, None]),
        "bool": (pa.array([True, False, None]), [True, False, None]),
        "text": (pa.array(["é\n", "", None]), ["é\n", "", None]),
        "repeated": (pa.array(["x" * 90, "x" * 90, None]).dictionary_encode(), ["x" * 90, "x" * 90, None]),
        "bytes": (pa.array([b"\xff\x00", b"", None]), ["/wA=", "", None]),
        "fixed": (pa.array([b"abcd", b"efgh", None], pa.binary(4)), ["YWJjZA==", "ZWZnaA==", None]),
        "decimal": (pa.array([Decimal("1.10"), Decimal(-2), None], pa.decimal128(30, 2)), ["1.10", "-2.00", None]),
        "utc": (
            pa.array([MOMENT, MOMENT, None], pa.timestamp("us", tz="Europe/Berlin")),
            ["2026-01-02T03:04:05.000678Z", "2026-01-02T03:04:05.000678Z", None],
        ),
        "naive": (
            pa.array([1, 10**9, None], pa.timestamp("ns")),
            ["1970-01-01T00:00:00.000000001", "1970-01-01T00:00:01.000000000", None],
        ),
        "date": (pa.array([0, 20_000, None], pa.date32()), ["1970-01-01", "2024-10-04", None]),
        "time": (pa.array([1, 86_399_999, None], pa.time32("ms")), ["00:00:00.001", "23:59:59.999", None]),
        "duration": (duration, ["PT1.500S", "-PT0.001S", None]),
        "list": (pa.array([[1, None], [], None]), [[1, None], [], None]),
        "words": (pa.array([["x" * 90, "x" * 90], ["y"], None]), [["x" * 90, "x" * 90], ["y"], None]),
        "struct": (
            pa.array([{"a": 1, "b": {"c": [1.5]}}, {"a": None, "b": None}, None]),
            [{"a": 1, "b": {"c": [1.5]}}, {"a": None, "b": None}, None],
        ),
        "map": (pa.array([[("k", 1)], [], None], pa.map_(pa.string(), pa.int32())), [{"k": 1}, {}, None]),
        "pairs": (
            pa.array([[(7, "x")], [], None], pa.map_(pa.int32(), pa.string())),
            [[{"key": 7, "value": "x"}], [], None],
        ),
        "uuid": (pa.array([ID.bytes, ID.bytes, None], pa.uuid()), [str(ID), str(ID), None]),
        "null": (pa.nulls(3), [None, None, None]),
    }
