"""A Parquet file's rows as JSON lines, a batch at a time. Runs in the process of `parquet_child`, nowhere else.

The sizes that a file states about itself are only hints here: a dictionary or a compressed page may hold a thousand
times what they say. What holds is that process's limit on memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import orjson
import pyarrow.parquet

from sluicegate.core.errors import ErrorCode, SkippableError
from sluicegate.core.text import clean_json, clean_text
from sluicegate.sync.readers.base import MAX_RECORD_BYTES, bad
from sluicegate.sync.readers.csv_dialect import unique_names
from sluicegate.sync.readers.frames import BAD
from sluicegate.sync.readers.parquet_values import Convert, converter

parquet: Any = pyarrow.parquet

MAX_COLUMNS = 16_384
"""Leaves of the schema; the same number as for tables of text."""
MAX_ROWS_A_BYTE = 1_000
FREE_ROWS = 1_000_000
"""More rows than this and MAX_ROWS_A_BYTE together allow are refused: a few bytes can state billions of empty rows."""
WINDOW_BYTES = 16 << 20
"""A row group up to this length is fetched with one request."""
_BATCH_ROWS = 2_048
_BATCH_BYTES = 4 << 20
_BATCH_VALUES = 200_000
_TEXT_BYTES = 8
_SMALLER = 64
_BUFFERS_BYTES = 48 << 20
_MAGIC = b"PAR1"
_ENCRYPTED = b"PARE"


class RemoteFile(Protocol):
    """The file as pyarrow asks for it, and what it need not know."""

    size: int

    def read_at(self, start: int, length: int) -> bytes:
        """These bytes, less where the file ends."""
        ...

    def fetch(self, start: int, end: int) -> None:
        """Holds these bytes from now on, in place of those before."""
        ...


class _Group(NamedTuple):
    rows: int
    start: int
    end: int
    bytes: int


class _Table(NamedTuple):
    file: Any
    names: list[str]
    converters: list[Convert]
    row_bytes: int
    leaves: int


def lines_of(remote: RemoteFile, first: int) -> Iterator[bytes]:
    """The rows from number `first` on: JSON, or BAD and a message.

    Raises SkippableError, MemoryError and what pyarrow raises.
    """
    table = _open(remote)
    metadata = table.file.metadata
    if not 0 <= metadata.num_rows <= FREE_ROWS + MAX_ROWS_A_BYTE * remote.size:
        raise bad(f"{remote.size:,} bytes that state {metadata.num_rows:,} rows are not read.", ErrorCode.LIMIT)
    position = 0
    for number in range(metadata.num_row_groups):
        group = _group(metadata.row_group(number))
        if position + group.rows > first:
            yield from _group_lines(remote, table, number, group, max(0, first - position))
        position += group.rows
    if position != metadata.num_rows:
        raise bad(f"The file states {metadata.num_rows:,} rows, its row groups {position:,}.")


def _open(remote: RemoteFile) -> _Table:
    start, end = remote.read_at(0, 4), remote.read_at(max(0, remote.size - 4), 4)
    if not remote.size:
        raise bad("The file is empty.")
    if end == _ENCRYPTED:
        raise bad("The file is encrypted.")
    if start != _MAGIC or remote.size < 12:
        raise bad("Not Parquet.")
    if end != _MAGIC:
        raise bad("The file is cut short: its end is not that of a Parquet file.")
    metadata = parquet.read_metadata(remote)
    if metadata.num_columns > MAX_COLUMNS:
        raise bad(f"The file has {metadata.num_columns:,} columns, more than {MAX_COLUMNS:,}.", ErrorCode.LIMIT)
    file = parquet.ParquetFile(
        remote,
        metadata=metadata,
        read_dictionary=_dictionaries(metadata),
        buffer_size=min(1 << 20, max(64 << 10, _BUFFERS_BYTES // max(1, metadata.num_columns))),
        pre_buffer=False,
        # The nanoseconds of the old INT96 end in the year 2262; nobody who writes them has more than microseconds.
        coerce_int96_timestamp_unit="us",
    )
    schema = file.schema_arrow
    names = unique_names([clean_text(name, "name of a column") for name in schema.names])
    leaves = [metadata.schema.column(index) for index in range(metadata.num_columns)]
    row_bytes = sum(max(8, leaf.length) for leaf in leaves)
    return _Table(file, names, [_converter(field) for field in schema], row_bytes, len(leaves))


def _converter(field: Any) -> Convert:
    try:
        return converter(field.type)
    except ValueError as error:
        raise bad(f"The column {field.name[:100]!r} can't be read: {error}.") from None


def _dictionaries(metadata: Any) -> list[str]:
    """The columns of text or bytes whose dictionaries are kept, so that what repeats is held once.

    Not those that take about as many bytes as their text would: it hardly repeats, and keeping it so costs more.
    """
    if not metadata.num_row_groups:
        return []
    group = metadata.row_group(0)
    names: list[str] = []
    for index in range(metadata.num_columns):
        leaf, chunk = metadata.schema.column(index), group.column(index)
        repeats = chunk.total_uncompressed_size < _TEXT_BYTES * chunk.num_values
        if leaf.physical_type == "BYTE_ARRAY" and chunk.has_dictionary_page and repeats:
            names.append(leaf.path)
    return names


def _group(group: Any) -> _Group:
    starts: list[int] = []
    ends: list[int] = []
    for index in range(group.num_columns):
        chunk = group.column(index)
        start = chunk.dictionary_page_offset if chunk.has_dictionary_page else None
        starts.append(min(start or chunk.data_page_offset, chunk.data_page_offset))
        ends.append(starts[-1] + chunk.total_compressed_size)
    if group.num_rows < 0:
        raise bad("A row group states fewer than no rows.")
    return _Group(group.num_rows, min(starts, default=0), max(ends, default=0), group.total_byte_size)


def _group_lines(remote: RemoteFile, table: _Table, number: int, group: _Group, skipped: int) -> Iterator[bytes]:
    if 0 <= group.start < group.end <= min(remote.size, group.start + WINDOW_BYTES):
        remote.fetch(group.start, group.end)
    width = max(1, table.row_bytes, group.bytes // max(1, group.rows))
    size = max(1, min(_BATCH_ROWS, _BATCH_BYTES // width, _BATCH_VALUES // max(1, table.leaves)))
    while True:
        try:
            for line in _batches(table, number, group.rows, size, skipped):
                yield line
                skipped += 1
        except MemoryError:
            if size == 1:
                raise
        else:
            return
        # Long values that repeat: fewer rows may do. Those that were given are not given again.
        size = max(1, size // _SMALLER)


def _batches(table: _Table, number: int, rows: int, size: int, skipped: int) -> Iterator[bytes]:
    done = 0
    for batch in table.file.iter_batches(size, row_groups=[number], use_threads=False):
        if done + batch.num_rows > skipped:
            yield from _batch_lines(table, batch.slice(max(0, skipped - done)))
        done += batch.num_rows
    if done != rows:
        raise bad(f"A row group states {rows:,} rows and has {done:,}.")


def _batch_lines(table: _Table, batch: Any) -> Iterator[bytes]:
    columns: list[list[Any]] = []
    for name, convert, column in zip(table.names, table.converters, batch.columns, strict=True):
        try:
            columns.append(convert(column))
        except ValueError as error:  # UnicodeDecodeError is one
            if batch.num_rows > 1:
                for index in range(batch.num_rows):
                    yield from _batch_lines(table, batch.slice(index, 1))
                return
            reason = "its text is not UTF-8" if isinstance(error, UnicodeDecodeError) else error
            yield _fault(f"The column {name[:100]!r} can't be read: {reason}.")
            return
    rows = zip(*columns, strict=True) if columns else [()] * batch.num_rows
    for row in rows:
        yield _line(dict(zip(table.names, row, strict=True)))


def _line(record: dict[str, Any]) -> bytes:
    line = orjson.dumps(record)  # writes NaN and the infinities as null
    if len(line) > MAX_RECORD_BYTES:
        return _fault(f"The row is longer than {MAX_RECORD_BYTES >> 20} MiB.")
    if b"\\u0000" in line:
        try:
            clean_json({name: None if isinstance(value, float) else value for name, value in record.items()})
        except SkippableError as error:
            return _fault(error.message)
    return line


def _fault(message: str) -> bytes:
    return BAD + message.replace("\n", " ").encode("utf-8", "replace")
