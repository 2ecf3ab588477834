"""The reader of `.jsonl` and `.ndjson`."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Any

from sluicegate.core.errors import ErrorCode, SkippableError
from sluicegate.sync.readers import base
from sluicegate.sync.readers.base import BadRow, bad
from sluicegate.sync.readers.json_text import DECODER, reason


class JsonLinesReader:
    """`.jsonl`, `.ndjson`: a record a line, blank lines none. A line that is no JSON fails alone."""

    def __init__(self) -> None:
        self._pending: list[bytes] = []
        self._pending_size = 0
        self._first = True

    def feed(self, chunk: bytes) -> Iterator[Any]:
        """The records that this piece completes."""
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            yield from self._line(line)
        if rest:
            self._pending.append(rest)
            self._pending_size += len(rest)
            if self._pending_size > base.MAX_RECORD_BYTES:
                raise _line_too_long()

    def finish(self) -> Iterator[Any]:
        """The records that the end of the file completes."""
        yield from self._line(b"")

    def _line(self, tail: bytes) -> Iterator[Any]:
        line = b"".join([*self._pending, tail]) if self._pending else tail
        self._pending, self._pending_size = [], 0
        if self._first:
            line = line.removeprefix(codecs.BOM_UTF8)
            self._first = False
        if len(line) > base.MAX_RECORD_BYTES:
            raise _line_too_long()
        if not line.strip():
            return
        try:
            yield DECODER.decode(line.decode())
        except UnicodeDecodeError as error:
            yield BadRow(f"Not UTF-8: {error.reason}.")
        except RecursionError:
            yield BadRow("The JSON is nested too deeply.")
        except ValueError as error:
            yield BadRow(reason(error))


def _line_too_long() -> SkippableError:
    return bad(f"A line is longer than {base.MAX_RECORD_BYTES >> 20} MiB.", ErrorCode.LIMIT)
