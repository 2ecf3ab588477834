"""Which objects of a listing a sync takes. Each rule has a name, and what it leaves out is counted under it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import re2

from sluicegate.core.errors import InvalidError
from sluicegate.core.text import text_of_key
from sluicegate.providers.base import Entry
from sluicegate.sync.records import has_records

FOLDER_MARKER = "folder_marker"
REGEX = "regex"
UNSUPPORTED = "unsupported"
"""READ mode: a kind of file that has no records."""

MAX_PATTERN_LENGTH = 4_096
_MEMORY_BYTES = 8 << 20
# What Python's and Perl's engines have and RE2 gives up for linear time (RE2's published syntax page).
_BEYOND_RE2 = (
    (re.compile(r"\(\?<?[=!]"), "look-ahead and look-behind"),
    (re.compile(r"\\[1-9]|\(\?P="), "back-references"),
    (re.compile(r"\(\?>|[*+?}]\+"), "atomic groups and possessive quantifiers"),
    (re.compile(r"\(\?\("), "conditional groups"),
    (re.compile(r"\\Z"), r"\Z (write \z or $)"),
)


# google-re2 ships no types.
_re2: Any = re2
_RE2_ERROR: type[Exception] = _re2.error


@dataclass(frozen=True, slots=True)
class Filters:
    """The compiled rules of a plan. No regex takes every object; `records_only` leaves out files that can't be read."""

    regex: Any | None = None
    records_only: bool = False

    def rejects(self, entry: Entry, path: str) -> str | None:
        """The name of the first rule that leaves the object out, or None."""
        if entry.size == 0 and entry.key.endswith(b"/"):
            return FOLDER_MARKER
        if self.regex is not None and self.regex.match(path) is None:
            return REGEX
        if self.records_only and not has_records(path):
            return UNSUPPORTED
        return None


def compile_regex(pattern: str, *, path: Sequence[str] = ("regexFilter",)) -> Any:
    """A RE2 pattern, matched from the start of the key in time linear in its length.

    Raises InvalidError that names what RE2 lacks (https://github.com/google/re2/wiki/Syntax) or what is malformed.
    """
    if len(pattern) > MAX_PATTERN_LENGTH:
        raise InvalidError(f"The regex is longer than {MAX_PATTERN_LENGTH} characters.", path=path)
    options: Any = _re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY_BYTES
    try:
        return _re2.compile(pattern, options)
    except _RE2_ERROR as error:
        detail = error.args[0]
        reason = detail.decode("utf-8", "replace") if isinstance(detail, bytes) else str(detail)
        for syntax, name in _BEYOND_RE2:
            if syntax.search(pattern):
                raise InvalidError(
                    f"The regex uses {name}, which RE2 does not have: {reason}.",
                    path=path,
                    hint="Match what you want, and leave the rest out with an exclude pattern of a sync configuration.",
                ) from None
        raise InvalidError(f"The regex is not valid: {reason}.", path=path) from None
    except UnicodeEncodeError:
        raise InvalidError("The regex contains a lone surrogate.", path=path) from None


def path_of(entry: Entry) -> str:
    """The path an object is shown and filtered by."""
    if entry.path is not None:
        return entry.path
    return text_of_key(entry.key)
