"""Whether a server lists in byte order, as S3 does, or folder by folder (`b/c` before `b-c`), as SeaweedFS does.

It has to be known before the first key in a folder is handed on: a server that lists `b/c` first has `b-c` still to
come, which the reader of a listing in byte order would by then have taken for missing. One request tells: after
`b.` and the highest character come the keys in `b/` in byte order, whereas by folder `b` is through.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sluicegate.core.errors import ErrorCode, FatalError
from sluicegate.providers.s3.client import S3Client
from sluicegate.providers.s3.fetching import fetch_page

_BEFORE_SLASH = ".\U0010ffff".encode()  # nothing but a key with these very characters sorts between it and a slash


@dataclass(slots=True)
class Order:
    """What an open provider knows of its server. `by_folder`: None until there was a key to tell by."""

    by_folder: bool | None = None

    async def learn(self, client: S3Client, prefix: bytes, keys: Iterable[bytes]) -> None:
        """Finds it out by the first of `keys` that is in a folder below `prefix`. Raises RunError."""
        start = len(prefix)
        key = next((key for key in keys if key.find(b"/", start) >= 0), None)
        if key is None:
            return
        folder = key[: key.index(b"/", start)]
        try:
            page = await fetch_page(client, prefix, 1, {"start-after": folder + _BEFORE_SLASH})
        except FatalError as error:
            if error.code is not ErrorCode.PROVIDER_REFUSED:
                raise
            self.by_folder = True  # one that knows no start-after: the walk needs none
            return
        self.by_folder = not page.entries or not page.entries[0].key.startswith(folder + b"/")

    async def learn_after(self, client: S3Client, prefix: bytes, after: bytes) -> None:
        """The same before a start behind `after`: by folder, `after/…` would be passed over."""
        if after.find(b"/", len(prefix)) >= 0:
            await self.learn(client, prefix, [after])
        elif not after.endswith(b"/"):
            inside = await fetch_page(client, after + b"/", 1, {})
            await self.learn(client, prefix, [entry.key for entry in inside.entries])
