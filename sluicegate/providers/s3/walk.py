"""A bucket in byte order from a server that lists folder by folder: each folder is listed by itself.

Costs a request a folder and 1,000 names. Memory: a page of names for each of the innermost folders, next to none for
those around them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from time import monotonic

from sluicegate.core.errors import RunError
from sluicegate.providers.base import Entry, Page
from sluicegate.providers.cursor import make_cursor
from sluicegate.providers.s3.client import S3Client
from sluicegate.providers.s3.fetching import PAGE_KEYS, endless
from sluicegate.providers.s3.level import Level
from sluicegate.providers.s3.settings import MAX_KEY_BYTES

KEPT_LEVELS = 16
FEW_NAMES = 64
PAGE_SECONDS = 1.0


class Walk:
    """One listing. `recursive` False: what is directly below the prefix, up to the next slash."""

    def __init__(self, client: S3Client, prefix: bytes, *, recursive: bool, after: bytes | None) -> None:
        self._client = client
        self._recursive = recursive
        self._after = after
        self._error: RunError | None = None
        self._levels = [self._level(prefix)]

    async def pages(self, limit: int | None) -> AsyncGenerator[Page, None]:
        """The pages, one of them gathered ahead. Raises RunError."""
        remaining = limit
        task = self._gather_ahead(remaining)
        try:
            while entries := await task:
                remaining = None if remaining is None else remaining - len(entries)
                more = remaining is None or remaining > 0
                if more:
                    task = self._gather_ahead(remaining)
                cursor = make_cursor(entries[-1].key)
                yield Page(entries, {**cursor, "walk": True} if self._recursive else cursor)
                if not more:
                    return
        finally:
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled():
                task.exception()  # looked at, so that asyncio does not log a page that nobody waits for any more

    def _gather_ahead(self, remaining: int | None) -> asyncio.Task[list[Entry]]:
        size = PAGE_KEYS if remaining is None else max(1, min(PAGE_KEYS, remaining))
        return asyncio.create_task(self._gather(size), name="s3-list-page")

    async def _gather(self, size: int) -> list[Entry]:
        """The next entries: `size` of them, or those of a second where folders hold little; none at the end.

        An error with entries before it is kept for the next call, so that a page of many requests gets somewhere.
        """
        if self._error is not None:
            raise self._error
        entries: list[Entry] = []
        until = monotonic() + PAGE_SECONDS
        try:
            while self._levels and len(entries) < size and not (entries and monotonic() > until):
                level = self._levels[-1]
                folder = level.take(size - len(entries), entries)
                if folder is not None:
                    self._descend(folder)
                elif level.exhausted:
                    await level.fetch()
                elif not level.buffered:
                    self._levels.pop()
        except RunError as error:
            if not entries:
                raise
            self._error = error
        return entries

    def _descend(self, folder: bytes) -> None:
        if len(folder) > MAX_KEY_BYTES:
            raise endless()
        self._levels.append(self._level(folder))
        if len(self._levels) > KEPT_LEVELS and (outer := self._levels[-1 - KEPT_LEVELS]).buffered > FEW_NAMES:
            outer.forget()

    def _level(self, folder: bytes) -> Level:
        """The folder, behind `after` where that is in it."""
        after = self._after
        if after is None or not after.startswith(folder):
            return Level(self._client, folder, folders=self._recursive)
        slash = after.find(b"/", len(folder)) if self._recursive else -1
        bound = after if slash < 0 else after[: slash + 1]
        return Level(self._client, folder, folders=self._recursive, bound=bound, again=slash >= 0)
