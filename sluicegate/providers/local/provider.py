"""A folder as a provider. Files are touched only in its own few threads, so that a hanging disk stops nothing else."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from itertools import islice
from typing import Any, TypeVar
from urllib.parse import quote

from sluicegate.core.errors import ErrorCode, FatalError, InvalidError, RetriableError, SkippableError
from sluicegate.providers.base import Check, CheckStatus, Content, Described, Entry, EventBatch, Page, ProviderContext
from sluicegate.providers.checking import Finding, run_steps
from sluicegate.providers.cursor import make_cursor, read_cursor
from sluicegate.providers.local.files import Folder, file_error, fingerprint_of
from sluicegate.providers.local.settings import Settings, root_of
from sluicegate.providers.local.walk import entry_of, walk
from sluicegate.providers.throttle import Throttle

PAGE_FILES = 1000
CHUNK = 256 * 1024
THREADS = 4

T = TypeVar("T")


class LocalContent:
    """An open file. The descriptor belongs to whoever opened this."""

    def __init__(self, provider: LocalProvider, descriptor: int, key: bytes, start: int, end: int | None) -> None:
        self._provider = provider
        self._descriptor = descriptor
        self._key = key
        state = os.fstat(descriptor)
        self.total_size: int | None = state.st_size
        self._end = state.st_size if end is None else min(end, state.st_size)
        self._start = start
        self.size: int | None = max(0, self._end - start)
        self.mime_type: str | None = None
        self.fingerprint: str | None = fingerprint_of(state)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The bytes. Raises RetriableError when the file changed while it was read."""
        place = self._start
        while place < self._end:
            try:
                chunk = await self._provider.run(os.pread, self._descriptor, min(CHUNK, self._end - place), place)
            except OSError as error:
                raise file_error(error, self._key) from None
            if not chunk:
                break
            place += len(chunk)
            await self._provider.throttle.transferred(len(chunk))
            yield chunk
        if place < self._end or fingerprint_of(os.fstat(self._descriptor)) != self.fingerprint:
            raise RetriableError("The file changed while it was read.", provider_code="CHANGED")


class LocalProvider:
    """See `providers.base.Provider` for what the methods promise. Keys are paths below the storage's folder."""

    def __init__(self, settings: Settings, folder: Folder, throttle: Throttle, pool: ThreadPoolExecutor) -> None:
        self._settings = settings
        self._folder = folder
        self._pool = pool
        self.throttle = throttle

    async def run(self, work: Callable[..., T], *values: Any) -> T:
        """`work` in one of the provider's threads."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *values)

    def list(
        self,
        *,
        recursive: bool = True,
        cursor: Mapping[str, Any] | None = None,
        limit: int | None = None,
        prefix: bytes = b"",
    ) -> AsyncGenerator[Page, None]:
        """Regular files in byte order of their path, a page being at most 1,000 of them."""
        files = walk(self._folder, recursive=recursive, after=read_cursor(cursor), prefix=prefix)
        return self._pages(files, limit)

    async def _pages(self, files: Iterator[Entry], limit: int | None) -> AsyncGenerator[Page, None]:
        remaining = limit
        while remaining is None or remaining > 0:
            size = PAGE_FILES if remaining is None else min(PAGE_FILES, remaining)
            await self.throttle.request()
            entries = await self.run(_take, files, size)
            if entries:
                yield Page(entries, make_cursor(entries[-1].key))
            if len(entries) < size:
                return
            remaining = None if remaining is None else remaining - len(entries)

    @asynccontextmanager
    async def _open(
        self, key: bytes, start: int, end: int | None, fingerprint: str | None
    ) -> AsyncGenerator[LocalContent, None]:
        await self.throttle.request()
        opening = asyncio.ensure_future(self.run(self._folder.open_file, key))
        try:
            descriptor = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_late)
            raise
        try:
            content = LocalContent(self, descriptor, key, start, end)
            if fingerprint is not None and content.fingerprint != fingerprint:
                raise SkippableError(
                    "The file changed since it was listed.", code=ErrorCode.CONFLICT, provider_code="CHANGED"
                )
            if start > 0 and start >= (content.total_size or 0) and end != start:
                raise SkippableError("The file is shorter than the range.", code=ErrorCode.INVALID, provider_code="EOF")
            yield content
        finally:
            os.close(descriptor)

    def read(
        self, key: bytes, *, start: int = 0, end: int | None = None, fingerprint: str | None = None
    ) -> AbstractAsyncContextManager[Content]:
        """The file's bytes."""
        return self._open(key, start, end, fingerprint)

    async def stat(self, key: bytes) -> Described | None:
        """The file's size and times."""
        await self.throttle.request()
        try:
            state = await self.run(self._folder.state_of, key)
        except SkippableError as error:
            if error.code is ErrorCode.PROVIDER_NOT_FOUND:
                return None
            raise
        return Described(entry_of(key, state), {})

    async def tags(self, key: bytes) -> Mapping[str, str]:
        """Files have none."""
        raise NotImplementedError

    def content_hash(self, entry: Entry) -> str | None:
        """None: a folder knows nothing of what is in its files."""
        del entry

    def events(self) -> AsyncGenerator[EventBatch, None]:
        """Folders send none."""
        raise NotImplementedError

    async def temporary_url(self, key: bytes, *, seconds: int) -> str | None:
        """None: files have no links of their own."""
        del key, seconds
        return None

    def uri(self, key: bytes) -> str:
        """local:///folder/file, relative to the namespace's folder: where that is stays the operator's."""
        return object_uri({"path": self._settings.path}, key)

    def validate(self, *, write: bool = False) -> AsyncIterator[Check]:
        """resolve, list, read. Nothing is written to a LOCAL storage."""
        del write
        return run_steps([("resolve", self._resolve), ("list", self._list), ("read", self._read)])

    async def _resolve(self) -> Finding:
        await self.run(_visit, self._folder)
        return Finding("The folder is there.")

    async def _first(self, size: int) -> list[Entry]:
        async with aclosing(self.list(limit=size)) as pages:
            return [entry async for page in pages for entry in page.entries]

    async def _list(self) -> Finding:
        if await self._first(1):
            return Finding("The folder can be listed.")
        return Finding("No file is in the folder.", CheckStatus.WARNING)

    async def _read(self) -> Finding:
        sample = next((entry for entry in await self._first(20) if entry.size), None)
        if sample is None:
            return Finding("There is no file with content to read.", CheckStatus.SKIPPED)
        async with self._open(sample.key, 0, 1, None) as content:
            async for _ in content.chunks():
                break
        return Finding("A file was read.")


def object_uri(settings: Mapping[str, Any], key: bytes) -> str:
    """The stable address of a file, from the stored settings alone: for archived storages too."""
    base = f"{quote(os.fsencode(settings['path']))}/" if settings["path"] else ""
    return f"local:///{base}{quote(key)}"


def has_events(settings: Mapping[str, Any]) -> bool:
    """Never."""
    del settings
    return False


@asynccontextmanager
async def open_provider(settings: Settings, context: ProviderContext) -> AsyncGenerator[LocalProvider, None]:
    """The provider over checked settings. Raises FatalError when the operator took the folder away since."""
    parts = [os.fsencode(part) for part in settings.path.split("/") if part]
    try:
        folder = Folder(root_of(context), parts)
    except InvalidError as error:
        raise FatalError(
            error.message, code=ErrorCode.PROVIDER_REFUSED, provider_code="NO_ROOT", hint=error.hint
        ) from None
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="local-files")
    try:
        yield LocalProvider(settings, folder, context.throttle, pool)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _take(files: Iterator[Entry], size: int) -> list[Entry]:
    return list(islice(files, size))


def _visit(folder: Folder) -> None:
    with folder.open():
        pass


def _close_late(opening: asyncio.Future[int]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        os.close(opening.result())
