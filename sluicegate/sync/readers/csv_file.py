"""The reader of `.csv` and `.tsv`: a header, then a record a row, every value the text that stands there.

Quoting is RFC 4180, held to strictly: text after a closing quote is a fault of the row, not silently joined to it. The
text is UTF-8, or UTF-16 or UTF-32 with a byte order mark. Nothing else is guessed: a wrong guess (Windows-1252 for
Latin-2, say) would fill the dataset with wrong letters that nobody notices, and could not be made in the middle of a
file at all. A row that is not UTF-8 fails alone and names its line.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator
from typing import Any

from sluicegate.core.errors import ErrorCode
from sluicegate.sync.readers import base
from sluicegate.sync.readers.base import PAUSE, BadRow, bad
from sluicegate.sync.readers.csv_dialect import SAMPLE_CHARACTERS, Dialect, sniff, unique_names

MAX_COLUMNS = 16_384
"""As many as a spreadsheet has."""
# The default, 128 KiB, is of the whole process. Our own limit on a record is met before this one.
csv.field_size_limit(1 << 30)
_LINE = re.compile(r"[^\r\n]*(?:\r\n?|\n|\Z)")
_CLOSING = {quote: re.compile(f"[^{quote}]*+(?:{quote}{quote}[^{quote}]*+)*+{quote}") for quote in "\"'"}
_SURROGATE = re.compile("[\ud800-\udfff]")
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"),
)  # fmt: skip
_LONGEST_MARK = 4


class _Text:
    """Incremental decoding. What is not valid comes out as lone surrogates, which no valid text has."""

    def __init__(self) -> None:
        self._start: bytes | None = b""
        self._decoder: codecs.IncrementalDecoder | None = None

    def decode(self, chunk: bytes, *, final: bool) -> str:
        """The text so far. Raises SkippableError when it breaks off in the middle of a character of UTF-16 or -32."""
        if self._decoder is None:
            assert self._start is not None
            chunk = self._start = self._start + chunk
            if len(chunk) < _LONGEST_MARK and not final:
                return ""
            mark, encoding = next((each for each in _MARKS if chunk.startswith(each[0])), (b"", "utf-8"))
            errors = "surrogateescape" if encoding == "utf-8" else "surrogatepass"
            self._decoder, self._start = codecs.getincrementaldecoder(encoding)(errors), None
            chunk = chunk[len(mark) :]
        try:
            return self._decoder.decode(chunk, final)
        except UnicodeDecodeError as error:
            raise bad(f"Not {error.encoding.upper()}: {error.reason}.") from None


class CsvReader:
    """`.csv`, and with `delimiter` given, `.tsv`. The delimiter is sniffed otherwise.

    Blank lines are no rows. A row with more or fewer cells than the header is a BadRow that names its line.
    """

    def __init__(self, delimiter: str | None = None) -> None:
        self._text = _Text()
        self._dialect = None if delimiter is None else Dialect(delimiter)
        self._names: list[str] | None = None
        self._pending: list[str] = []  # from the first row that is not complete
        self._size = 0
        self._tried = 0
        self._line = 1  # of the first character that is pending, from 1
        self._fresh = True
        self._exhausted = False
        self._position = 0

    def feed(self, chunk: bytes) -> Iterator[Any]:
        """The records that this piece completes."""
        return self._take(self._text.decode(chunk, final=False), final=False)

    def finish(self) -> Iterator[Any]:
        """The records that the end of the file completes."""
        return self._take(self._text.decode(b"", final=True), final=True)

    def _take(self, text: str, *, final: bool) -> Iterator[Any]:
        self._pending.append(text)
        self._size += len(text)
        if self._dialect is None:
            if self._size < SAMPLE_CHARACTERS and not final:
                return
            whole = "".join(self._pending)
            self._dialect = sniff(whole[:SAMPLE_CHARACTERS], whole=final and self._size <= SAMPLE_CHARACTERS)
            self._pending = [whole[self._dialect.skipped :]]
            self._line += bool(self._dialect.skipped)
        # A row that is not complete is tried again only when twice as much is there: long ones would take forever.
        if not final and self._size < min(2 * self._tried, base.MAX_RECORD_BYTES):
            return
        buffer = "".join(self._pending)
        yield from self._rows(buffer, self._dialect, final=final)
        rest = buffer[self._position :]
        self._pending, self._size = [rest], len(rest)
        self._tried = 0 if self._position else len(rest)
        if len(rest) > base.MAX_RECORD_BYTES:
            raise self._too_long()

    def _rows(self, buffer: str, dialect: Dialect, *, final: bool) -> Iterator[Any]:
        """The complete rows; `_position` is where the first that is not complete begins."""
        suspect = not buffer.isascii() and _SURROGATE.search(buffer) is not None
        lines = self._lines(buffer, dialect.quote, final=final)
        rows = csv.reader(lines, delimiter=dialect.delimiter, quotechar=dialect.quote, strict=True)
        self._position, self._exhausted = 0, False
        begin = 0
        while True:
            self._fresh = True
            first = self._line
            try:
                row = next(rows, None)
            except csv.Error as error:
                if self._exhausted:
                    self._position, self._line = begin, first
                    if final:
                        raise bad(f"The quote that opens in the row of line {first:,} is never closed.") from None
                    return
                row, fault = [], f"Line {first:,}: {error}."
                if self._names is None:
                    raise bad(fault) from None
            else:
                fault = None
            if row is None:
                return
            if self._position - begin > base.MAX_RECORD_BYTES:
                raise self._too_long(first)
            begin = self._position
            yield BadRow(fault) if fault else self._record(row, first, suspect=suspect)

    def _lines(self, buffer: str, quote: str, *, final: bool) -> Iterator[str]:
        """What the parser asks for: a line; and inside quotes, all up to the end of the line where they close.

        That is one step however many lines are quoted. Counts lines, and moves `_position` past what was given.
        """
        end = len(buffer) if final else _end_of_lines(buffer)
        steps, line_of_row = 0, self._line
        while self._position < end:
            start = after = self._position
            if self._fresh:
                self._fresh, steps, line_of_row = False, 0, self._line
            else:
                steps += 1
                if steps > MAX_COLUMNS:
                    raise _too_many_columns(line_of_row)
                closing = _CLOSING[quote].match(buffer, start, end)
                if closing is None:
                    break
                after = closing.end()
            found = _LINE.match(buffer, after, end)
            self._position = end if found is None else found.end()
            line = buffer[start : self._position]
            self._line += 1 if after == start else line.count("\n") + line.count("\r") - line.count("\r\n")
            yield line
        self._exhausted = True

    def _record(self, row: list[str], line: int, *, suspect: bool) -> Any:
        if not row:
            return PAUSE
        invalid = suspect and _SURROGATE.search("".join(row)) is not None
        if self._names is None:
            if invalid:
                raise bad("The header is not UTF-8. Save the file as UTF-8.")
            if len(row) > MAX_COLUMNS:
                raise _too_many_columns(line)
            self._names = unique_names(row)
            return PAUSE
        if invalid:
            return BadRow(f"Line {line:,} is not valid UTF-8 (or UTF-16).")
        if len(row) != len(self._names):
            return BadRow(f"Line {line:,} has {len(row):,} cells, the header {len(self._names):,}.")
        return dict(zip(self._names, row, strict=True))

    def _too_long(self, line: int | None = None) -> Exception:
        return bad(
            f"The row of line {line or self._line:,} is longer than {base.MAX_RECORD_BYTES >> 20} MiB."
            " Is a quote never closed?",
            ErrorCode.LIMIT,
        )


def _too_many_columns(line: int) -> Exception:
    return bad(f"The row of line {line:,} has more than {MAX_COLUMNS:,} cells.", ErrorCode.LIMIT)


def _end_of_lines(buffer: str) -> int:
    """Where the last complete line ends. A carriage return at the very end may be one with a line feed to come."""
    last = len(buffer) - buffer.endswith("\r")
    return max(buffer.rfind("\n", 0, last), buffer.rfind("\r", 0, last)) + 1
