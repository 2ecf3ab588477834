"""What a sync would find: the first objects and the rule that leaves each out, so that "0 objects" explains itself."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import dataclass, field

from sluicegate.providers.base import Entry, Provider
from sluicegate.sync.filters import Filters, path_of

MAX_LISTED = 10_000
MAX_SECONDS = 10.0
_SLICE_SECONDS = 0.02
"""Rules of a caller can take milliseconds an object: after this long others have their turn, and the time may be up."""


@dataclass(frozen=True, slots=True)
class PreviewItem:
    """One object of the listing. `filtered_by`: the rule that leaves it out, None when it would be imported."""

    entry: Entry
    path: str
    filtered_by: str | None


@dataclass(slots=True)
class Preview:
    """`listed`: objects looked at; `complete`: that is all; `filtered`: by rule."""

    items: list[PreviewItem] = field(default_factory=list[PreviewItem])
    listed: int = 0
    complete: bool = False
    filtered: dict[str, int] = field(default_factory=dict[str, int])


async def preview(
    provider: Provider,
    filters: Filters,
    *,
    recursive: bool,
    first: int,
    limit: int = MAX_LISTED,
    seconds: float = MAX_SECONDS,
    prefix: bytes = b"",
) -> Preview:
    """Lists up to `limit` objects with keys that start with `prefix` for up to `seconds`; shows `first` of them.

    Raises RunError, and TimeoutError when not one object was listed in the time.
    """
    result = Preview()
    turn = time.monotonic() + _SLICE_SECONDS
    try:
        async with (
            asyncio.timeout(seconds),
            aclosing(provider.list(recursive=recursive, limit=limit, prefix=prefix)) as pages,
        ):
            async for page in pages:
                for entry in page.entries:
                    if result.listed >= limit:
                        return result
                    path = path_of(entry)
                    rule = filters.rejects(entry, path)
                    result.listed += 1
                    if rule is not None:
                        result.filtered[rule] = result.filtered.get(rule, 0) + 1
                    if len(result.items) < first:
                        result.items.append(PreviewItem(entry, path, rule))
                    if time.monotonic() > turn:
                        await asyncio.sleep(0)
                        turn = time.monotonic() + _SLICE_SECONDS
            result.complete = result.listed < limit
    except TimeoutError:
        if not result.listed:
            raise
    return result
