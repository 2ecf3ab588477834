"""How much of a source a run with filters has to list: only the keys under the start that all paths must have."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sluicegate.sync.file_filters import FileFilters
from sluicegate.sync.globs import literal_start

MAX_PREFIX_BYTES = 1_024
"""The longest prefix that S3 takes."""

# What a regex matches before its first character that means more than itself; a backslash makes a sign itself.
_START = re.compile(r"(?:\^|\\A)?(?P<text>(?:[^\W_]|[_/ \-]|\\[!-/:-@\[-`{-~])*)(?P<next>.?)", re.DOTALL | re.ASCII)
_SIGN = re.compile(r"\\.|.", re.DOTALL)


def literal_prefix(filters: FileFilters, base: str) -> str:
    """The longest literal text, `base` included, that every path which passes starts with, as far as is plain to see.

    As UTF-8 it is also what the keys of those paths start with: it ends before a percent sign below the base, which may
    stand for a byte of a key that is no text. `filters`: valid ones; `base`: as for `compile_filters`.
    """
    found = base
    starts = [_globs_start(filters.include_patterns, base), _regex_start(filters.regex or "", base)]
    for start in starts:
        if start.startswith(found):
            found = start
    while len(found.encode()) > MAX_PREFIX_BYTES:
        found = found[:-1]
    return found


def _globs_start(globs: Iterable[str], base: str) -> str:
    starts = [literal_start(glob) for glob in globs]
    if not starts:
        return base
    # What the least and the greatest have in common, all have.
    low, high = min(starts), max(starts)
    same = next((at for at, (one, other) in enumerate(zip(low, high, strict=False)) if one != other), len(low))
    return base + _before_percent(low[:same])


def _regex_start(pattern: str, base: str) -> str:
    # One branch of several may start otherwise; and a base with a percent sign is written in two ways.
    if "|" in pattern or "%" in base:
        return base
    found = _START.match(pattern)
    assert found is not None
    signs = _SIGN.findall(found["text"])
    if found["next"] in ("*", "+", "?", "{"):
        signs = signs[:-1]
    return _before_percent("".join(sign[-1] for sign in signs))


def _before_percent(text: str) -> str:
    return text.partition("%")[0]
