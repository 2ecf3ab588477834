"""The reader of `.json`: records out of one JSON text, in constant memory however long it is."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any

from sluicegate.core.errors import ErrorCode, SkippableError
from sluicegate.sync.readers import base
from sluicegate.sync.readers.base import bad
from sluicegate.sync.readers.json_text import DECODER, reason

_SPACE = re.compile(r"[ \t\n\r]*")
_AFTER_VALUE = frozenset(" \t\n\r,]")
_LONGEST_TOKEN_TAIL = 16


class _Text:
    """Incremental UTF-8, a byte order mark dropped (RFC 8259 section 8.1 lets a parser do so)."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("strict")

    def decode(self, chunk: bytes, *, final: bool = False) -> tuple[str, SkippableError | None]:
        """The text, and the fault that ends it."""
        try:
            return self._decoder.decode(chunk, final), None
        except UnicodeDecodeError as error:
            return error.object[: error.start].decode(), bad(f"Not UTF-8: {error.reason}.")


class JsonReader:
    """`.json` (RFC 8259): one object, or an array, each element a record."""

    def __init__(self) -> None:
        self._text = _Text()
        self._buffer = ""
        self._passed = 0  # characters of the file before the buffer
        self._tried = 0
        self._state = "start"

    def feed(self, chunk: bytes) -> Iterator[Any]:
        """The records that this piece completes."""
        yield from self._take(chunk, final=False)

    def finish(self) -> Iterator[Any]:
        """The records that the end of the file completes."""
        yield from self._take(b"", final=True)
        if self._state == "start":
            raise bad("The file is empty.")
        if self._state != "end":
            raise bad("The file ends in the middle of the JSON.")

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
                    raise bad(f"Not JSON at character {self._place(position)}: Expecting ',' or ']'.")
                self._state, position = "value", position + 1
            elif state == "end":
                raise bad(
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
            return reason(error)
        if error.pos >= len(buffer.rstrip()) or error.msg.startswith("Unterminated string"):
            return "The file ends in the middle of a record."
        return f"Not JSON at character {self._place(error.pos)}: {error.msg}."

    def _value(self, buffer: str, position: int, *, final: bool) -> tuple[Any, int] | None:
        """One value and where it ends; None when more text is needed. Tried again only once the text has doubled."""
        pending = len(buffer) - position
        if not final and pending < min(self._tried * 2, base.MAX_RECORD_BYTES):
            return None
        try:
            record, end = DECODER.raw_decode(buffer, position)
        except RecursionError:
            raise bad("The JSON is nested too deeply.") from None
        except ValueError as error:
            # Wrong in the middle and cut at the end look alike until the text goes on past the fault.
            cut = not isinstance(error, json.JSONDecodeError) or _may_be_cut(error, buffer)
            if cut and pending > base.MAX_RECORD_BYTES:
                raise _too_long() from None
            if cut and not final:
                self._tried = pending
                return None
            raise bad(self._fault(error, buffer)) from None
        if end - position > base.MAX_RECORD_BYTES:
            raise _too_long()
        if buffer[end - 1] not in '"]}' and buffer[end : end + 1] not in _AFTER_VALUE:
            # A number may go on in the next piece: "3" and ".5" are one.
            if not final and end > len(buffer) - _LONGEST_TOKEN_TAIL:
                return None
            if end < len(buffer):
                raise bad(f"Not JSON at character {self._place(end)}: Expecting ',' or ']'.")
        return record, end


def _too_long() -> SkippableError:
    return bad(f"A record is longer than {base.MAX_RECORD_BYTES >> 20} MiB.", ErrorCode.LIMIT)


def _may_be_cut(error: json.JSONDecodeError, buffer: str) -> bool:
    return error.pos >= len(buffer) - _LONGEST_TOKEN_TAIL or error.msg.startswith("Unterminated string")


def _skip_space(buffer: str, position: int) -> int:
    found = _SPACE.match(buffer, position)
    return found.end() if found is not None else position
