"""The checkpoint of a listing in byte order: the key that it goes on after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from sluicegate.core.errors import ErrorCode, FatalError

VERSION = 1


def make_cursor(after: bytes | None) -> dict[str, Any]:
    """The checkpoint after a key: percent-encoded, so that any key is JSON. None: before the first."""
    return {"v": VERSION, "after": None if after is None else quote(after, safe="/")}


def read_cursor(cursor: Mapping[str, Any] | None) -> bytes | None:
    """The key to go on after. Raises FatalError for a cursor of another version."""
    if cursor is None:
        return None
    after = cursor.get("after")
    if cursor.get("v") != VERSION or not (after is None or isinstance(after, str)):
        raise FatalError(
            "The checkpoint of this listing is of another version.",
            code=ErrorCode.INVALID,
            provider_code="BAD_CURSOR",
            hint="Start a full sync.",
        )
    return None if after is None else unquote_to_bytes(after)
