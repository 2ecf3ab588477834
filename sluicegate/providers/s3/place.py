"""Where a listing begins and goes on: the storage's prefix, the caller's within it, and the cursor."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, NamedTuple
from urllib.parse import quote

from sluicegate.providers.base import Page
from sluicegate.providers.cursor import read_cursor
from sluicegate.providers.s3.settings import MAX_KEY_BYTES


class Place(NamedTuple):
    """`prefix`: of the keys to list. `after`: list on behind this key, which starts with it.

    `asked`: as much of the prefix as is whole characters, which servers that take text can be asked for.
    `by_folder`: the listing that came so far was a walk. `same`: it had this prefix too.
    """

    prefix: bytes
    asked: bytes
    after: bytes | None
    by_folder: bool
    same: bool


def place_of(own: bytes, wanted: bytes, cursor: Mapping[str, Any] | None, *, recursive: bool) -> Place | None:
    """The place; None where no key can be. Raises FatalError for a cursor of another version."""
    after = read_cursor(cursor)
    prefix = own if own.startswith(wanted) else wanted
    if not prefix.startswith(own) or len(prefix) > MAX_KEY_BYTES:
        return None
    if not recursive and b"/" in prefix[len(own) :]:
        return None
    if after is not None and not after.startswith(prefix):
        if after > prefix:
            return None
        after = None
    asked = _whole(prefix)
    if cursor is None:
        return Place(prefix, asked, None, by_folder=False, same=True)
    return Place(prefix, asked, after, cursor.get("walk") is True, cursor.get("prefix") == _mark(own, asked))


async def marked(pages: AsyncGenerator[Page, None], own: bytes, place: Place) -> AsyncGenerator[Page, None]:
    """The pages of the prefix, and with it in their cursors where it is not the storage's own."""
    mark = _mark(own, place.asked)
    async with aclosing(pages):
        async for entries, cursor in pages:
            if place.asked != place.prefix:
                entries = [entry for entry in entries if entry.key.startswith(place.prefix)]  # noqa: PLW2901
            if entries:
                yield Page(entries, cursor if mark is None else {**cursor, "prefix": mark})


async def nothing() -> AsyncGenerator[Page, None]:
    """No page."""
    for page in ():
        yield page


def _whole(prefix: bytes) -> bytes:
    try:
        prefix.decode()
    except UnicodeDecodeError as error:
        return prefix[: error.start]
    return prefix


def _mark(own: bytes, prefix: bytes) -> str | None:
    return None if prefix == own else quote(prefix, safe="/")
