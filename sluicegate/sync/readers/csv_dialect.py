"""How a CSV file separates and quotes, found in its first 64 Ki characters, and what its columns are called."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

SAMPLE_CHARACTERS = 64 << 10
_DELIMITERS = ",;\t|"
_LINES = re.compile(r"[^\r\n]*(?:\r\n?|\n|\Z)")
_EXCEL_HINT = re.compile(r"sep=([^\r\n])\r?\n", re.IGNORECASE)
_MAX_LOOKED_AT = 1_000


class Dialect(NamedTuple):
    """`skipped`: characters before the header: the line `sep=;` with which Excel is told the delimiter."""

    delimiter: str = ","
    quote: str = '"'
    skipped: int = 0


def sniff(sample: str, *, whole: bool) -> Dialect:
    """The dialect that makes the rows of the sample equally long. `whole`: the sample is all of the file.

    Of `,` `;` tab and `|` the one that leaves most rows as long as the header; then the one with most columns. A file
    of a single column has commas. The quote is `'` only where no `"` is and either only so the rows come out as long as
    the header or every name in it stands in `'`.
    """
    hint = _EXCEL_HINT.match(sample)
    if hint is not None and not hint[1].isalnum() and hint[1] not in "\"'":
        return Dialect(hint[1], '"', hint.end())
    lines = [found for found in islice(_LINES.findall(sample), _MAX_LOOKED_AT) if found.strip("\r\n")]
    if not whole and len(lines) > 1:
        lines.pop()
    scored = [
        (*_fit(lines, delimiter, quote), -_DELIMITERS.index(delimiter), quote == '"', delimiter, quote)
        for delimiter in _DELIMITERS
        for quote in ('"' if '"' in sample else "\"'")
        if lines and delimiter in "".join(lines[:1])
    ]
    if not scored:
        return Dialect()
    best = max(scored)
    delimiter, quote = best[-2], best[-1]
    if quote == '"' and '"' not in sample and _all_in_single(lines[0], delimiter):
        quote = "'"
    return Dialect(delimiter, quote)


def _fit(lines: Sequence[str], delimiter: str, quote: str) -> tuple[float, int]:
    """The share of the rows that are as long as the header, and how long that is; nothing for a single column."""
    lengths: list[int] = []
    rows = csv.reader(iter(lines), delimiter=delimiter, quotechar=quote)
    lengths = [len(row) for row in rows if row]
    if not lengths or lengths[0] < 2:
        return 0.0, 0
    return lengths.count(lengths[0]) / len(lengths), lengths[0]


def _all_in_single(header: str, delimiter: str) -> bool:
    cells = header.rstrip("\r\n").split(delimiter)
    return all(len(cell) >= 2 and cell[0] == cell[-1] == "'" for cell in cells)


def unique_names(header: Sequence[str]) -> list[str]:
    """The header's names, each once: a missing one is `column_N` (from 1), one that is taken gets `_2` or on.

    The first of the same names keeps it, and a name that stands in the header is never given to another column.
    """
    names: list[str] = []
    taken = set(header)
    used: set[str] = set()
    counts: dict[str, int] = {}
    for number, given in enumerate(header, 1):
        base = given if given.strip() else f"column_{number}"
        name = base
        while name in used or (name != given and name in taken):
            counts[base] = counts.get(base, 1) + 1
            name = f"{base}_{counts[base]}"
        used.add(name)
        names.append(name)
    return names
