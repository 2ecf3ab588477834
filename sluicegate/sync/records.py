"""READ mode: a file's bytes become records, in constant memory however large the file is.

`.json` (RFC 8259): one object, or an array, each element a record. `.jsonl`/`.ndjson`: a record a line, blank
lines none. Both also gzipped (RFC 1952, several members too). The standard library's decoder does the work, so that
integers keep all their digits and the same text is refused whatever way it came.
"""

from __future__ import annotations

import asyncio
import codecs
import json
import re
import zlib
from collections.abc import AsyncIterator, Iterator
from time import monotonic
from typing import Any, NamedTuple, NoReturn, Protocol

from sluicegate.core.errors import ErrorCode, SkippableError

MAX_RECORD_BYTES = 16 << 20
"""A record longer than this is refused, so that one cannot fill the memory."""
_PIECE_BYTES = 128 << 10
"""What is parsed at a time: a chunk may be 1 MiB, and 1 MiB of gzip a whole GiB."""
_BREATH_SECONDS = 0.005
_SPACE = re.compile(r"[ \t\n\r]*")
_AFTER_VALUE = frozenset(" \t\n\r,]")
_LONGEST_TOKEN_TAIL = 16


class BadRow(NamedTuple):
    """A row that is not a record; the file goes on after it."""

    message: str


class Pause:
    """No record: a sign of life from a reader that has work to do and nothing to give yet."""


_PAUSE = Pause()


class RecordReader(Protocol):
    """Takes a file piece by piece and gives its records. Raises SkippableError where the file can't be read on."""

    def feed(self, chunk: bytes) -> Iterator[Any]:
        """The records (or BadRow, or Pause) that this piece completes."""
        ...

    def finish(self) -> Iterator[Any]:
        """Those that the end of the file completes."""
        ...


_EXTENSIONS = (".json", ".jsonl", ".ndjson")
RECORD_FILES = _EXTENSIONS + tuple(extension + ".gz" for extension in _EXTENSIONS)
"""The extensions, in any case, of the files that have records."""


def has_records(path: str) -> bool:
    """Whether there is a reader for this kind of file."""
    return path.lower().endswith(RECORD_FILES)


def reader_for(path: str) -> RecordReader:
    """A reader by the file's extension. Raises SkippableError for a kind of file that has no records."""
    name = path.lower()
    inner = name.removesuffix(".gz")
    if not has_records(path):
        raise _bad(f"This kind of file has no records. These have: {', '.join(RECORD_FILES)}.")
    reader: RecordReader = _JsonReader() if inner.endswith(".json") else _JsonLinesReader()
    return _GzipReader(reader) if inner != name else reader


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _bad(message: str, code: ErrorCode = ErrorCode.INVALID) -> SkippableError:
    return SkippableError(message, code=code)


class _Text:
    """Incremental UTF-8, a byte order mark dropped (RFC 8259 section 8.1 lets a parser do so)."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("strict")

    def decode(self, chunk: bytes, *, final: bool = False) -> tuple[str, SkippableError | None]:
        """The text, and the fault that ends it."""
        try:
            return self._decoder.decode(chunk, final), None
        except UnicodeDecodeError as error:
            return error.object[: error.start].decode(), _bad(f"Not UTF-8: {error.reason}.")


class _JsonReader:
    def __init__(self) -> None:
        self._text = _Text()
        self._buffer = ""
        self._passed = 0  # characters of the file before the buffer
        self._tried = 0
        self._state = "start"

    def feed(self, chunk: bytes) -> Iterator[Any]:
        yield from self._take(chunk, final=False)

    def finish(self) -> Iterator[Any]:
        yield from self._take(b"", final=True)
        if self._state == "start":
            raise _bad("The file is empty.")
        if self._state != "end":
            raise _bad("The file ends in the middle of the JSON.")

    def _take(self, chunk: bytes, *, final: bool) -> Iterator[Any]:
        text, fault = self._text.decode(chunk, final=final)
        self._buffer += text
        # What ends in a fault may end in the middle of a record: that is no fault of its own. No more text will come.
        if fault is not None:
            self._tried = 0
        yield from self._advance(final=final and fault is None)
        if fault is not None:
            raise fault

    def _advance(self, *, final: bool) -> Iterator[Any]:
        """Consumes what it can of the buffer; the position moves only past whole tokens."""
        buffer, position = self._buffer, 0
        while True:
            position = _skip_space(buffer, position)
            if position == len(buffer):
                break
            state, character = self._state, buffer[position]
            if state == "start" and character == "[":
                self._state, position = "first", position + 1
            elif (state == "first" and character == "]") or (state == "after" and character == "]"):
                self._state, position = "end", position + 1
            elif state == "after":
                if character != ",":
                    raise _bad(f"Not JSON at character {self._place(position)}: Expecting ',' or ']'.")
                self._state, position = "value", position + 1
            elif state == "end":
                raise _bad(
                    f"The JSON ends before character {self._place(position)}, but not the file."
                    " A file with a record on each line is named .jsonl."
                )
            else:
                found = self._value(buffer, position, final=final)
                if found is None:
                    break
                record, position = found
                self._state = "end" if state == "start" else "after"
                self._tried = 0
                yield record
        self._buffer = buffer[position:]
        self._passed += position

    def _place(self, position: int) -> str:
        """Where in the file a place of the buffer is, from 1, for people."""
        return f"{self._passed + position + 1:,}"

    def _fault(self, error: ValueError, buffer: str) -> str:
        """What is wrong with a value, and where."""
        if not isinstance(error, json.JSONDecodeError):
            return _reason(error)
        if error.pos >= len(buffer.rstrip()) or error.msg.startswith("Unterminated string"):
            return "The file ends in the middle of a record."
        return f"Not JSON at character {self._place(error.pos)}: {error.msg}."

    def _value(self, buffer: str, position: int, *, final: bool) -> tuple[Any, int] | None:
        """One value and where it ends; None when more text is needed. Tried again only once the text has doubled."""
        pending = len(buffer) - position
        if not final and pending < min(self._tried * 2, MAX_RECORD_BYTES):
            return None
        try:
            record, end = _DECODER.raw_decode(buffer, position)
        except RecursionError:
            raise _bad("The JSON is nested too deeply.") from None
        except ValueError as error:
            # Wrong in the middle and cut at the end look alike until the text goes on past the fault.
            cut = not isinstance(error, json.JSONDecodeError) or _may_be_cut(error, buffer)
            if cut and pending > MAX_RECORD_BYTES:
                raise _too_long() from None
            if cut and not final:
                self._tried = pending
                return None
            raise _bad(self._fault(error, buffer)) from None
        if end - position > MAX_RECORD_BYTES:
            raise _too_long()
        if buffer[end - 1] not in '"]}' and buffer[end : end + 1] not in _AFTER_VALUE:
            # A number may go on in the next piece: "3" and ".5" are one.
            if not final and end > len(buffer) - _LONGEST_TOKEN_TAIL:
                return None
            if end < len(buffer):
                raise _bad(f"Not JSON at character {self._place(end)}: Expecting ',' or ']'.")
        return record, end


def _too_long() -> SkippableError:
    return _bad(f"A record is longer than {MAX_RECORD_BYTES >> 20} MiB.", ErrorCode.LIMIT)


def _may_be_cut(error: json.JSONDecodeError, buffer: str) -> bool:
    return error.pos >= len(buffer) - _LONGEST_TOKEN_TAIL or error.msg.startswith("Unterminated string")


def _skip_space(buffer: str, position: int) -> int:
    found = _SPACE.match(buffer, position)
    return found.end() if found is not None else position


def _reason(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"Not JSON at character {error.pos + 1:,} of the line: {error.msg}."
    return f"Not JSON: {error}."


class _JsonLinesReader:
    def __init__(self) -> None:
        self._pending: list[bytes] = []
        self._pending_size = 0
        self._first = True

    def feed(self, chunk: bytes) -> Iterator[Any]:
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            yield from self._line(line)
        if rest:
            self._pending.append(rest)
            self._pending_size += len(rest)
            if self._pending_size > MAX_RECORD_BYTES:
                raise _line_too_long()

    def finish(self) -> Iterator[Any]:
        yield from self._line(b"")

    def _line(self, tail: bytes) -> Iterator[Any]:
        line = b"".join([*self._pending, tail]) if self._pending else tail
        self._pending, self._pending_size = [], 0
        if self._first:
            line = line.removeprefix(codecs.BOM_UTF8)
            self._first = False
        if len(line) > MAX_RECORD_BYTES:
            raise _line_too_long()
        if not line.strip():
            return
        try:
            yield _DECODER.decode(line.decode())
        except UnicodeDecodeError as error:
            yield BadRow(f"Not UTF-8: {error.reason}.")
        except RecursionError:
            yield BadRow("The JSON is nested too deeply.")
        except ValueError as error:
            yield BadRow(_reason(error))


def _line_too_long() -> SkippableError:
    return _bad(f"A line is longer than {MAX_RECORD_BYTES >> 20} MiB.", ErrorCode.LIMIT)


class _GzipReader:
    def __init__(self, inner: RecordReader) -> None:
        self._inner = inner
        self._inflater = zlib.decompressobj(wbits=31)
        self._begun = False
        self._text_came = False

    def feed(self, chunk: bytes) -> Iterator[Any]:
        data = chunk
        while data:
            if self._inflater.eof:
                self._inflater = zlib.decompressobj(wbits=31)
            self._begun = True
            try:
                piece = self._inflater.decompress(data, _PIECE_BYTES)
            except zlib.error as error:
                raise _bad(f"The gzip stream is broken: {error}." if self._text_came else "Not gzip.") from None
            if piece:
                self._text_came = True
                yield from self._inner.feed(piece)
                yield _PAUSE
            data = self._inflater.unused_data if self._inflater.eof else self._inflater.unconsumed_tail

    def finish(self) -> Iterator[Any]:
        if not self._begun or not self._inflater.eof:
            raise _bad("The gzip stream is cut short." if self._begun else "The file is empty.")
        yield from self._inner.finish()


async def read_records(reader: RecordReader, chunks: AsyncIterator[bytes]) -> AsyncIterator[Any]:
    """Every record (or BadRow) of a file. Lets others run every few milliseconds, however much there is to parse."""
    breathed = monotonic()
    async for chunk in chunks:
        for start in range(0, len(chunk), _PIECE_BYTES):
            for record in reader.feed(chunk[start : start + _PIECE_BYTES]):
                if record is not _PAUSE:
                    yield record
                if monotonic() - breathed > _BREATH_SECONDS:
                    await asyncio.sleep(0)
                    breathed = monotonic()
    for record in reader.finish():
        yield record
