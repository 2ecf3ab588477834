"""One folder's files and folders in byte order, from servers that list a folder by name or by key.

Sorted by name a folder `b` comes before the file `b-c`, sorted as the key `b/` after it. So a folder is held back
until no file can come before it any more: whatever follows the name `x` has a key beyond `x` in both orders.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from itertools import islice
from operator import lt

from sluicegate.core.errors import FatalError
from sluicegate.providers.base import Entry
from sluicegate.providers.s3.client import S3Client
from sluicegate.providers.s3.fetching import PAGE_KEYS, endless, fetch_page, foreign_key, unordered
from sluicegate.providers.s3.pages import ListPage

_SLASH = 0x2F


class Level:
    """What is directly below `folder`, which is a folder's key or the storage's prefix.

    `bound`: go on behind this key of a file or folder; with `again` that folder itself is to come again.
    """

    def __init__(
        self, client: S3Client, folder: bytes, *, folders: bool, bound: bytes | None = None, again: bool = False
    ) -> None:
        self._client = client
        self._folder = folder
        self._folders = folders
        self._bound = bound
        self._again = again
        self._ready: deque[tuple[bytes, Entry | None]] = deque()
        self._held: dict[bytes, Entry | None] = {}
        self._floor: bytes | None = None  # every later key is beyond this one
        self._token: str | None = None
        self._through = False
        self._restarted = False

    @property
    def buffered(self) -> int:
        """How many names it keeps."""
        return len(self._ready) + len(self._held)

    @property
    def exhausted(self) -> bool:
        """Whether the server has to be asked before the next name is known."""
        return not self._ready and not self._through

    def forget(self) -> None:
        """Gives the names back; they are listed again when they are needed."""
        self._ready.clear()
        self._held.clear()
        self._floor = self._token = None
        self._through = self._restarted = False

    def take(self, count: int, into: list[Entry]) -> bytes | None:
        """Moves up to `count` files that are next into a list; returns the folder before which it stopped."""
        ready = self._ready
        while ready and count > 0:
            key, entry = ready.popleft()
            self._bound, self._again = key, False
            if entry is None:
                return key
            into.append(entry)
            count -= 1
        return None

    async def fetch(self) -> None:
        """Asks for the next page. Raises RunError."""
        page = await self._page()
        self._check(page)
        names = [key[:-1] for key in page.prefixes]
        floor = max((*(entry.key for entry in page.entries), *names), default=self._floor)
        if page.truncated and floor == self._floor and (page.token is None or page.token == self._token):
            raise endless()
        self._floor, self._token, self._through = floor, page.token, not page.truncated
        self._sort_in(page)

    def _check(self, page: ListPage) -> None:
        """Raises FatalError for names that cannot be here, or cannot come now."""
        folder = self._folder
        files = [entry.key for entry in page.entries]
        names = [key[:-1] for key in page.prefixes]
        size = len(folder)
        here = all(key.startswith(folder) and key.find(b"/", size) < 0 for key in files)
        if not here or not all(
            key.startswith(folder) and key.find(b"/", size) == len(key) - 1 for key in page.prefixes
        ):
            raise foreign_key()
        if not (_ascending(files) and (_ascending(names) or _ascending(page.prefixes))):
            raise unordered()
        if self._floor is not None and min((*files, *page.prefixes), default=self._floor + b"/") <= self._floor:
            raise unordered()

    async def _page(self) -> ListPage:
        if self._token is not None:
            try:
                return await self._get({"continuation-token": self._token})
            except FatalError as error:  # tokens expire; the last name does not
                if error.provider_code != "InvalidArgument":
                    raise
        start = self._start_behind(self._bound if self._floor is None else self._floor)
        if start is None and self._floor is not None:
            if self._restarted:
                raise endless()
            self._restarted, self._floor = True, None  # once more from the start, without what was taken
        return await self._get({} if start is None else {"start-after": start})

    async def _get(self, place: Mapping[str, str | bytes]) -> ListPage:
        return await fetch_page(self._client, self._folder, PAGE_KEYS, {"delimiter": "/", **place})

    def _sort_in(self, page: ListPage) -> None:
        for entry in page.entries:
            if self._wanted(entry.key):
                self._held[entry.key] = entry
        if self._folders:
            for key in page.prefixes:
                if self._wanted(key):
                    self._held[key] = None
        floor = self._floor
        for key in sorted(self._held):
            if self._through or (floor is not None and key <= floor):
                self._ready.append((key, self._held.pop(key)))

    def _wanted(self, key: bytes) -> bool:
        return self._bound is None or key > self._bound or (self._again and key == self._bound)

    def _start_behind(self, bound: bytes | None) -> bytes | None:
        """What to start after so that everything behind `bound` comes, whichever the order; None: from the start.

        By name, the start passes over the folder of that name, and over those whose names it begins with: of `b-c`
        both `b-c/` and `b/`, which are behind it. So these are taken to be there; one that is not lists as empty.
        """
        if bound is None:
            return None
        size = len(self._folder)
        whole = self._folder.endswith(b"/") or not self._folder  # names begin here, and not in the middle of one
        name = bound[:-1] if bound.endswith(b"/") and len(bound) > size else bound
        if whole and (len(name) <= size or name[size] < _SLASH):
            return None  # the folder without a name, `//`, may be behind it: some servers list another one for it
        if self._folders:
            for end in range(size, len(name) + 1):
                key = name[:end] + b"/"
                if (end == len(name) or name[end] < _SLASH) and self._wanted(key):
                    self._held[key] = None
        return name


def _ascending(keys: Sequence[bytes]) -> bool:
    return all(map(lt, keys, islice(keys, 1, None)))
