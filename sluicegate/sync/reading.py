"""READ mode, one file: fetched, parsed and made into rows; passing faults are retried here."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sluicegate.core.errors import RetriableError, SkippableError, ThrottledError
from sluicegate.core.text import json_text
from sluicegate.providers.base import Entry
from sluicegate.sync.ledger import OBJECT_ATTEMPTS, PARSE, error_type_of
from sluicegate.sync.readers.compression import MAX_WINDOW_BYTES, SMALL_WINDOW_BYTES
from sluicegate.sync.readers.parquet_process import JsonText
from sluicegate.sync.readers.random_access import open_random
from sluicegate.sync.records import COMPRESSED, BadRow, WindowTooLargeError, is_parquet, read_records, reader_for
from sluicegate.sync.run import Run

SMALL_FILE_BYTES = 256 << 10
SMALL_COMPRESSED_BYTES = 16 << 10
"""Files up to these sizes are read whole, several at a time; larger ones one by one, a piece at a time."""
SMALL_ROWS = 5_000
SMALL_TEXT = 2 << 20
"""What a small file may hold: 16 KiB of gzip can be millions of rows."""
_PACKED = tuple(extension.encode() for extension in COMPRESSED)


class Row(NamedTuple):
    """A record ready for the catalogue: its number in the file, its JSON text, the hash that tells a change."""

    number: int
    text: str
    digest: str


class Failure(NamedTuple):
    """A row that is no record."""

    number: int
    message: str


@dataclass(slots=True)
class FileResult:
    """What came of a small file. `error`: why it was not read to its end; `final`: reading it again would not help."""

    entry: Entry
    path: str
    rows: list[Row] = field(default_factory=list[Row])
    failures: list[Failure] = field(default_factory=list[Failure])
    size: int = 0
    error: str | None = None
    error_type: str = PARSE
    attempts: int = 1
    final: bool = True
    passing: RetriableError | None = None

    def add(self, row: Row | Failure) -> bool:
        """Takes a row; False when the file turns out to be no small one."""
        if isinstance(row, Row):
            self.rows.append(row)
            self.size += len(row.text)
        else:
            self.failures.append(row)
        return self.size <= SMALL_TEXT and len(self.rows) + len(self.failures) <= SMALL_ROWS

    def clear(self) -> None:
        """Forgets the rows."""
        self.rows.clear()
        self.failures.clear()
        self.size = 0


def is_small(entry: Entry) -> bool:
    """Whether the file may be held in memory as a whole."""
    limit = SMALL_COMPRESSED_BYTES if entry.key.lower().endswith(_PACKED) else SMALL_FILE_BYTES
    return entry.size is not None and entry.size <= limit


async def stream_rows(
    run: Run, entry: Entry, path: str, *, window: int = MAX_WINDOW_BYTES, first: int = 0
) -> AsyncGenerator[Row | Failure]:
    """The file's rows as they come, from number `first` on; text is read from its beginning all the same.

    Raises SkippableError where they end early, RetriableError where they may go on.
    """
    number = first if is_parquet(path) else 0
    async with _open_records(run, entry, path, window, first) as records:
        async for record in records:
            if number >= first:
                yield _row(number, record)
            number += 1


@asynccontextmanager
async def _open_records(
    run: Run, entry: Entry, path: str, window: int, first: int
) -> AsyncGenerator[AsyncGenerator[Any]]:
    if is_parquet(path):
        source = await open_random(run.provider, entry, small=SMALL_FILE_BYTES)
        async with aclosing(run.parquet.rows(source, first, small=window < MAX_WINDOW_BYTES)) as records:
            yield records
        return
    reader = reader_for(path, window=window)
    async with (
        run.provider.read(entry.key, fingerprint=entry.fingerprint) as content,
        aclosing(content.chunks()) as chunks,
        aclosing(read_records(reader, chunks)) as records,
    ):
        yield records


def _row(number: int, record: object) -> Row | Failure:
    if isinstance(record, BadRow):
        return Failure(number, record.message)
    if record is None:
        return Failure(number, "null is no record.")
    try:
        text = record if isinstance(record, JsonText) else json_text(record)
    except SkippableError as error:
        return Failure(number, error.message)
    return Row(number, text, hashlib.blake2b(text.encode(), digest_size=16).hexdigest())


async def read_small(run: Run, entry: Entry, path: str) -> FileResult | None:
    """Reads a small file whole, retrying what may pass; None: it holds too much. Of RunErrors only FatalError."""
    result = FileResult(entry, path)
    attempt = throttled = 0
    while True:
        result.clear()
        try:
            async with (
                run.pace.slot(),
                aclosing(stream_rows(run, entry, path, window=SMALL_WINDOW_BYTES)) as rows,
            ):
                async for row in rows:
                    if not result.add(row):
                        return None
        except ThrottledError as error:
            await run.back_off(min(throttled, 7), error)
            throttled += 1
        except RetriableError as error:
            attempt += 1
            if attempt >= OBJECT_ATTEMPTS:
                result.clear()
                result.error, result.final, result.passing = error.message, False, error
                result.error_type, result.attempts = error_type_of(error)
                return result
            await run.back_off(attempt - 1, error)
        except WindowTooLargeError:
            return None
        except SkippableError as error:
            result.error = error.message
            result.error_type, result.attempts = error_type_of(error)
            # A file that is broken stays so until it changes; one that is forbidden or gone may not.
            result.final = error.provider_code is None
            return result
        else:
            return result
