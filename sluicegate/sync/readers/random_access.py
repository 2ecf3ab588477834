"""Files that are read out of order: where their bytes come from."""

from __future__ import annotations

from typing import Protocol

from sluicegate.core.errors import RetriableError
from sluicegate.providers.base import Entry, Provider
from sluicegate.sync.readers.base import bad


class RandomAccess(Protocol):
    """A file of `size` bytes."""

    size: int

    async def read(self, start: int, length: int) -> bytes:
        """Just these bytes, which lie within the file. Raises RunError as `Provider.read` does."""
        ...


class InMemory:
    """A small file, held as a whole."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.size = len(body)

    async def read(self, start: int, length: int) -> bytes:
        """Just these bytes."""
        return self._body[start : start + length]


class Ranged:
    """A file of a provider, a request for each range. All of them are of the version that was listed."""

    def __init__(self, provider: Provider, entry: Entry, size: int) -> None:
        self._provider = provider
        self._entry = entry
        self.size = size

    async def read(self, start: int, length: int) -> bytes:
        """Just these bytes. Raises SkippableError when the file changed, RetriableError when the answer is cut."""
        data = await _body(self._provider, self._entry, start, start + length)
        if len(data) != length:
            raise RetriableError(f"{length:,} bytes of the file were asked for, {len(data):,} came.")
        return data


async def _body(provider: Provider, entry: Entry, start: int, end: int) -> bytes:
    data = bytearray()
    async with provider.read(entry.key, start=start, end=end, fingerprint=entry.fingerprint) as content:
        async for chunk in content.chunks():
            data += chunk
            if len(data) > end - start:
                break
    return bytes(data)


async def open_random(provider: Provider, entry: Entry, *, small: int) -> RandomAccess:
    """The file's bytes: up to `small` of them are read at once. Raises RunError as `Provider.read` does."""
    if entry.size is None:
        raise bad("The source does not say how large the file is, and without that it can't be read.")
    if entry.size > small:
        return Ranged(provider, entry, entry.size)
    return InMemory(await _body(provider, entry, 0, entry.size) if entry.size else b"")
