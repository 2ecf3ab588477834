"""RE2: patterns of a caller that match in time linear in the text, at the price of what only backtracking can do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import re2

# google-re2 ships no types. Its Python layer maps every group's place to characters and makes a match object: four
# fifths of the time of a match. Whether there is a match needs none of it, so the engine beneath is asked directly.
_re2: Any = re2
_engine: Any = _re2._re2  # noqa: SLF001 - the extension module that the package is a layer over
# Looked up once: an attribute of an extension's class costs a tenth of a match.
_START: Any = _engine.RE2.Anchor.ANCHOR_START
_BOTH: Any = _engine.RE2.Anchor.ANCHOR_BOTH
_ANYWHERE: Any = _engine.RE2.Anchor.UNANCHORED

MAX_MEMORY_BYTES = 8 << 20


class LinearError(ValueError):
    """RE2 does not take a pattern; the message is its own."""


class Linear:
    """A compiled pattern. Text is matched as UTF-8; text with a lone surrogate raises UnicodeEncodeError."""

    __slots__ = ("_match", "groups")

    def __init__(self, compiled: Any) -> None:
        self._match: Callable[[Any, bytes, int, int], list[tuple[int, int]]] = compiled.Match
        self.groups: int = compiled.NumberOfCapturingGroups()

    def match(self, text: str) -> bool:
        """Whether it matches from the start of `text`."""
        data = text.encode()
        return self._match(_START, data, 0, len(data))[0][0] >= 0

    def fullmatch(self, text: str) -> bool:
        """Whether it matches all of `text`."""
        data = text.encode()
        return self._match(_BOTH, data, 0, len(data))[0][0] >= 0

    def first_group(self, text: str) -> str | None:
        """What the first group holds where the pattern first matches; None: no match, or the group has no part in it.

        A group that ends within a character (RE2's backslash-C) has U+FFFD in its place.
        """
        data = text.encode()
        spans = self._match(_ANYWHERE, data, 0, len(data))
        start, end = spans[1]
        if start < 0:
            return None
        # Where all is ASCII, a place in the bytes is one in the text.
        return text[start:end] if len(data) == len(text) else data[start:end].decode("utf-8", "replace")


def linear(pattern: str, *, memory: int = MAX_MEMORY_BYTES, groups: bool = False) -> Linear:
    """A compiled pattern that takes at most `memory` bytes. Without `groups`, parentheses only group.

    Raises LinearError, and UnicodeEncodeError.
    """
    options: Any = _re2.Options()
    options.log_errors = False
    options.max_mem = memory
    options.never_capture = not groups
    compiled = _engine.RE2(pattern.encode(), options)
    if not compiled.ok():
        detail: bytes | str = compiled.error()
        raise LinearError(detail.decode("utf-8", "replace") if isinstance(detail, bytes) else detail)
    return Linear(compiled)
