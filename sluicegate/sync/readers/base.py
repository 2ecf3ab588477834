"""What every reader of records is made of: its interface, its limits, and how it tells of faults."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from sluicegate.core.errors import ErrorCode, SkippableError

MAX_RECORD_BYTES = 16 << 20
"""A record longer than this (in text: so many characters) is refused, so that one cannot fill the memory."""
PIECE_BYTES = 128 << 10
"""What is parsed at a time: a chunk may be 1 MiB, and 1 MiB of gzip a whole GiB."""


class BadRow(NamedTuple):
    """A row that is not a record; the file goes on after it."""

    message: str


class Pause:
    """No record: a sign of life from a reader that has work to do and nothing to give yet."""


PAUSE = Pause()


class RecordReader(Protocol):
    """Takes a file piece by piece and gives its records. Raises SkippableError where the file can't be read on."""

    def feed(self, chunk: bytes) -> Iterator[Any]:
        """The records (or BadRow, or Pause) that this piece completes."""
        ...

    def finish(self) -> Iterator[Any]:
        """Those that the end of the file completes."""
        ...


def bad(message: str, code: ErrorCode = ErrorCode.INVALID) -> SkippableError:
    """The fault of a file."""
    return SkippableError(message, code=code)
