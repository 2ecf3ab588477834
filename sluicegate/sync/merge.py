"""The merge join of a listing with the catalogue: both come in byte order of the key, both in bounded pieces."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import TypeVar

from models.catalogue import RANGE_LIMIT
from sluicegate.providers.base import Entry

# A record of the catalogue, its key first.
KnownT = TypeVar("KnownT", bound=tuple[bytes, *tuple[object, ...]])
Fetch = Callable[[bytes, bytes | None], Awaitable[list[KnownT]]]


async def merge(
    entries: Sequence[Entry], after: bytes, upto: bytes | None, fetch: Fetch[KnownT]
) -> AsyncGenerator[tuple[Sequence[Entry], list[KnownT], bytes]]:
    """(entries, what the catalogue knows of the same range, the range's last key), over after < key ≤ upto.

    Usually one piece. Where the catalogue holds more than RANGE_LIMIT keys in the range (much is gone from the source),
    it comes in several.
    """
    start, last = 0, upto or (entries[-1].key if entries else after)
    while True:
        known = await fetch(after, upto)
        if len(known) < RANGE_LIMIT:
            yield entries[start:] if start else entries, known, max(last, known[-1][0] if known else after)
            return
        bound = known[-1][0]
        end = start
        while end < len(entries) and entries[end].key <= bound:
            end += 1
        yield entries[start:end], known, bound
        start, after = end, bound
