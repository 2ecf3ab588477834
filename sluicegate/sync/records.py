"""READ mode: a file's bytes become records, in constant memory however large the file is.

Which reader a file gets its extension says; `.gz` and `.zst` may stand after those of the text kinds. Each kind has a
module in `sluicegate.sync.readers`. Text is read from the beginning to the end; Parquet is not, and has an interface of
its own (`readers.parquet_process`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from time import monotonic
from typing import Any

from sluicegate.sync.readers.base import PAUSE, PIECE_BYTES, BadRow, RecordReader, bad
from sluicegate.sync.readers.compression import MAX_WINDOW_BYTES, GzipReader, WindowTooLargeError, ZstdReader
from sluicegate.sync.readers.csv_file import CsvReader
from sluicegate.sync.readers.json_file import JsonReader
from sluicegate.sync.readers.json_lines import JsonLinesReader

__all__ = [
    "COMPRESSED", "RECORD_FILES", "BadRow", "RecordReader", "WindowTooLargeError", "has_records", "is_parquet",
    "read_records", "reader_for",
]  # fmt: skip

_BREATH_SECONDS = 0.005
_TEXT_READERS: dict[str, Callable[[], RecordReader]] = {
    ".json": JsonReader,
    ".jsonl": JsonLinesReader,
    ".ndjson": JsonLinesReader,
    ".csv": CsvReader,
    ".tsv": lambda: CsvReader("\t"),
}
COMPRESSED = (".gz", ".zst")
_PARQUET = ".parquet"
RECORD_FILES = (*(kind + packed for packed in ("", *COMPRESSED) for kind in _TEXT_READERS), _PARQUET)
"""The extensions, in any case, of the files that have records."""


def has_records(path: str) -> bool:
    """Whether there is a reader for this kind of file."""
    return path.lower().endswith(RECORD_FILES)


def is_parquet(path: str) -> bool:
    """Whether the file is read by a ParquetReader: out of order, in a process of its own."""
    return path.lower().endswith(_PARQUET)


def reader_for(path: str, *, window: int = MAX_WINDOW_BYTES) -> RecordReader:
    """A reader of text by the file's extension. `window`: bytes that a zstd frame may look back (WindowTooLargeError).

    Raises SkippableError for a kind of file that has no records.
    """
    name = path.lower()
    packed = next((extension for extension in COMPRESSED if name.endswith(extension)), "")
    name = name.removesuffix(packed)
    make = next((make for extension, make in _TEXT_READERS.items() if name.endswith(extension)), None)
    if make is None:
        raise bad(f"This kind of file has no records. These have: {', '.join(RECORD_FILES)}.")
    if packed == ".gz":
        return GzipReader(make())
    return ZstdReader(make(), window=window) if packed else make()


async def read_records(reader: RecordReader, chunks: AsyncIterator[bytes]) -> AsyncGenerator[Any]:
    """Every record (or BadRow) of a file. Lets others run every few milliseconds, however much there is to parse."""
    breathed = monotonic()
    async for chunk in chunks:
        for start in range(0, len(chunk), PIECE_BYTES):
            for record in reader.feed(chunk[start : start + PIECE_BYTES]):
                if record is not PAUSE:
                    yield record
                if monotonic() - breathed > _BREATH_SECONDS:
                    await asyncio.sleep(0)
                    breathed = monotonic()
    for record in reader.finish():
        if record is not PAUSE:
            yield record
        if monotonic() - breathed > _BREATH_SECONDS:
            await asyncio.sleep(0)
            breathed = monotonic()
