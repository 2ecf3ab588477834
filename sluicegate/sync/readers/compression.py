"""Compressed files: what they inflate to goes to the reader of what is inside, a bounded piece at a time.

gzip is RFC 1952, zstd RFC 8878; both may have several members (frames) one after the other.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sluicegate.core.errors import ErrorCode, SkippableError
from sluicegate.sync.readers.base import PAUSE, PIECE_BYTES, RecordReader, bad

if TYPE_CHECKING or sys.version_info < (3, 14):
    from backports import zstd
else:
    from compression import zstd

MAX_WINDOW_BYTES = 128 << 20
"""A zstd frame that needs more memory than this is refused. `zstd --long` makes just this much, without it 8 MiB."""
SMALL_WINDOW_BYTES = 8 << 20
"""What each of the files that are read at the same time may have; it is what RFC 8878 asks of every decoder."""


class WindowTooLargeError(SkippableError):
    """A zstd frame needs more memory than the reader was given."""


class GzipReader:
    """`.gz`: what is inside goes to the inner reader."""

    def __init__(self, inner: RecordReader) -> None:
        self._inner = inner
        self._inflater = zlib.decompressobj(wbits=31)
        self._begun = False
        self._text_came = False

    def feed(self, chunk: bytes) -> Iterator[Any]:
        """The records that this piece completes."""
        data = chunk
        while data:
            if self._inflater.eof:
                self._inflater = zlib.decompressobj(wbits=31)
            self._begun = True
            try:
                piece = self._inflater.decompress(data, PIECE_BYTES)
            except zlib.error as error:
                raise bad(f"The gzip stream is broken: {error}." if self._text_came else "Not gzip.") from None
            if piece:
                self._text_came = True
                yield from self._inner.feed(piece)
            yield PAUSE
            data = self._inflater.unused_data if self._inflater.eof else self._inflater.unconsumed_tail

    def finish(self) -> Iterator[Any]:
        """The records that the end of the file completes."""
        if not self._begun or not self._inflater.eof:
            raise bad("The gzip stream is cut short." if self._begun else "The file is empty.")
        yield from self._inner.finish()


class ZstdReader:
    """`.zst`: what is inside goes to the inner reader. `window`: bytes that a frame may look back."""

    def __init__(self, inner: RecordReader, *, window: int = MAX_WINDOW_BYTES) -> None:
        self._inner = inner
        self._window = window
        self._frame: zstd.ZstdDecompressor | None = None
        self._begun = False
        self._text_came = False

    def feed(self, chunk: bytes) -> Iterator[Any]:
        """The records that this piece completes."""
        data = chunk
        while data or (self._frame is not None and not self._frame.needs_input):
            if self._frame is None:
                options = {int(zstd.DecompressionParameter.window_log_max): self._window.bit_length() - 1}
                self._frame = zstd.ZstdDecompressor(options=options)
            self._begun = True
            try:
                piece = self._frame.decompress(data, PIECE_BYTES)
            except zstd.ZstdError as error:
                raise self._fault(error) from None
            data = b""
            if self._frame.eof:
                data = self._frame.unused_data
                self._frame = None
            if piece:
                self._text_came = True
                yield from self._inner.feed(piece)
            yield PAUSE

    def finish(self) -> Iterator[Any]:
        """The records that the end of the file completes."""
        if not self._begun or self._frame is not None:
            raise bad("The zstd stream is cut short." if self._begun else "The file is empty.")
        yield from self._inner.finish()

    def _fault(self, error: zstd.ZstdError) -> SkippableError:
        if "too much memory" in str(error):
            message = f"A zstd frame needs a window of more than {self._window >> 20} MiB."
            return WindowTooLargeError(message, code=ErrorCode.LIMIT)
        return bad(f"The zstd stream is broken: {str(error).rstrip('.')}." if self._text_came else "Not zstd.")
