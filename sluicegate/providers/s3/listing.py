"""A bucket's keys in byte order, page by page, the next page on its way while one is used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from itertools import islice
from operator import lt

from sluicegate.core.errors import FatalError
from sluicegate.providers.base import Page
from sluicegate.providers.cursor import make_cursor
from sluicegate.providers.s3.client import S3Client
from sluicegate.providers.s3.fetching import PAGE_KEYS, endless, fetch_page, foreign_key, unordered
from sluicegate.providers.s3.order import Order
from sluicegate.providers.s3.pages import ListPage
from sluicegate.providers.s3.walk import Walk


class Lister:
    """One recursive listing: flat, and from where the server turns out to list by folder, a walk.

    What was handed on when that turns out is either nothing or keys of no folder, of which each later key comes
    after in either order: so the walk goes on behind the last one, and nothing is passed over.
    """

    def __init__(
        self, client: S3Client, prefix: bytes, order: Order, *, after: bytes | None, same: bool = True
    ) -> None:
        """`same`: what came up to `after` was listed with this prefix."""
        self._client = client
        self._prefix = prefix
        self._order = order
        self._after = after  # where to go on: behind this key
        self._handed_on = after
        self._token: str | None = None
        if order.by_folder is None and same and after is not None and b"/" in after[len(prefix) :]:
            order.by_folder = False  # else the listing that came so far would have been a walk, and its cursor say so

    async def pages(self, limit: int | None) -> AsyncGenerator[Page, None]:
        """The pages, one of them fetched ahead. Raises RunError."""
        remaining = limit
        task = self._fetch_ahead(remaining)
        try:
            while not self._order.by_folder:
                found = await task
                if self._order.by_folder or not self._in_order(found):
                    break
                remaining = None if remaining is None else remaining - len(found.entries)
                more = self._advance(found) and (remaining is None or remaining > 0)
                after = self._after
                if more:
                    task = self._fetch_ahead(remaining)
                if found.entries:
                    if self._order.by_folder is None:
                        await self._order.learn(self._client, self._prefix, (entry.key for entry in found.entries))
                        if self._order.by_folder:
                            remaining = None if remaining is None else remaining + len(found.entries)
                            break
                    self._handed_on = after
                    yield Page(found.entries, make_cursor(after))
                if not more:
                    return
        finally:
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled():
                task.exception()  # looked at, so that asyncio does not log a page that nobody waits for any more
        walk = Walk(self._client, self._prefix, recursive=True, after=self._handed_on)
        async with aclosing(walk.pages(remaining)) as pages:
            async for page in pages:
                yield page

    def _fetch_ahead(self, remaining: int | None) -> asyncio.Task[ListPage]:
        size = PAGE_KEYS if remaining is None else max(1, min(PAGE_KEYS, remaining))
        return asyncio.create_task(self._fetch(size), name="s3-list-page")

    async def _fetch(self, size: int) -> ListPage:
        if self._token is not None:
            try:
                return await fetch_page(self._client, self._prefix, size, {"continuation-token": self._token})
            except FatalError as error:  # tokens expire; the last key does not
                if error.provider_code != "InvalidArgument" or self._after is None:
                    raise
        if self._after is None:
            return await fetch_page(self._client, self._prefix, size, {})
        if self._order.by_folder is None:
            await self._order.learn_after(self._client, self._prefix, self._after)
        return await fetch_page(self._client, self._prefix, size, {"start-after": self._after})

    def _in_order(self, page: ListPage) -> bool:
        """Whether the page can come next; False when a walk can do better. Raises FatalError when it cannot."""
        keys = [entry.key for entry in page.entries]
        if all(map(lt, keys, islice(keys, 1, None))) and (not keys or self._after is None or self._after < keys[0]):
            return True
        if self._handed_on is not None and (self._order.by_folder is False or min(keys) <= self._handed_on):
            raise unordered()
        self._order.by_folder = True
        return False

    def _advance(self, page: ListPage) -> bool:
        """Moves behind the page; False when it was the last. Raises FatalError for one that cannot come next."""
        last = self._after
        if page.entries:
            last = page.entries[-1].key
            if not (page.entries[0].key.startswith(self._prefix) and last.startswith(self._prefix)):
                raise foreign_key()
        if page.truncated and last == self._after and (page.token is None or page.token == self._token):
            raise endless()
        self._after, self._token = last, page.token
        return page.truncated
