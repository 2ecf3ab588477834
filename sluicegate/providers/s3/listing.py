"""A bucket's keys in byte order, page by page, the next page on its way while one is used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from itertools import islice
from operator import lt

from sluicegate.core.errors import ErrorCode, FatalError
from sluicegate.providers.base import Page
from sluicegate.providers.cursor import make_cursor
from sluicegate.providers.s3.client import S3Client
from sluicegate.providers.s3.pages import ListPage, parse_page

PAGE_KEYS = 1000
MAX_PAGE_BYTES = 16 * 1024 * 1024


class Lister:
    """One listing. `recursive` False leaves out what is below a `/` after the prefix."""

    def __init__(self, client: S3Client, prefix: bytes, *, recursive: bool, after: bytes | None) -> None:
        self._client = client
        self._prefix = prefix
        self._recursive = recursive
        self._after = after  # where to go on: behind this key or common prefix
        self._last_key = after
        self._token: str | None = None

    async def pages(self, limit: int | None) -> AsyncGenerator[Page, None]:
        """The pages, one of them fetched ahead. Raises RunError."""
        remaining = limit
        task = self._fetch_ahead(remaining)
        try:
            while True:
                found = await task
                remaining = None if remaining is None else remaining - len(found.entries)
                more = self._advance(found) and (remaining is None or remaining > 0)
                after = self._after
                if more:
                    task = self._fetch_ahead(remaining)
                if found.entries:
                    yield Page(found.entries, make_cursor(after))
                if not more:
                    return
        finally:
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled():
                task.exception()  # looked at, so that asyncio does not log a page that nobody waits for any more

    def _fetch_ahead(self, remaining: int | None) -> asyncio.Task[ListPage]:
        size = PAGE_KEYS if remaining is None else max(1, min(PAGE_KEYS, remaining))
        return asyncio.create_task(self._fetch(size), name="s3-list-page")

    async def _fetch(self, size: int) -> ListPage:
        if self._token is not None:
            try:
                return await self._get({"continuation-token": self._token}, size)
            except FatalError as error:  # tokens expire; the last key does not
                if error.provider_code != "InvalidArgument" or self._after is None:
                    raise
        return await self._get({} if self._after is None else {"start-after": self._after}, size)

    async def _get(self, place: Mapping[str, str | bytes], size: int) -> ListPage:
        query: dict[str, str | bytes] = {
            "list-type": "2",
            "encoding-type": "url",
            "max-keys": str(size),
            "prefix": self._prefix,
            **place,
        }
        if not self._recursive:
            query["delimiter"] = "/"
        body = await self._client.fetch("GET", query=query, limit=MAX_PAGE_BYTES)
        await self._client.throttle.transferred(len(body))
        return parse_page(body)

    def _advance(self, page: ListPage) -> bool:
        """Moves behind the page; False when it was the last. Raises FatalError for one that cannot come next."""
        keys = [entry[0] for entry in page.entries]
        if keys:
            if not all(map(lt, keys, islice(keys, 1, None))) or (
                self._last_key is not None and keys[0] <= self._last_key
            ):
                raise _unordered()
            if not (keys[0].startswith(self._prefix) and keys[-1].startswith(self._prefix)):
                raise FatalError(
                    "The server lists keys that do not start with the prefix.",
                    code=ErrorCode.PROVIDER_REFUSED,
                    provider_code="FOREIGN_KEY",
                    hint="This is a fault of the S3 server.",
                )
            self._last_key = keys[-1]
        last = max(keys[-1:] + page.prefixes[-1:], default=self._after)
        if not page.truncated:
            self._after = last
            return False
        if last == self._after and (page.token is None or page.token == self._token):
            raise FatalError(
                "The server's listing does not move on.",
                code=ErrorCode.PROVIDER_REFUSED,
                provider_code="ENDLESS_LISTING",
                hint="This is a fault of the S3 server.",
            )
        self._after, self._token = last, page.token
        return True


def _unordered() -> FatalError:
    return FatalError(
        "The server does not list keys in byte order, so what is missing could not be told from what comes later.",
        code=ErrorCode.PROVIDER_REFUSED,
        provider_code="UNORDERED_LISTING",
        hint="Directory buckets (S3 Express) and SeaweedFS list so: a storage for each folder, not recursive, works.",
    )
