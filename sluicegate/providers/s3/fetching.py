"""One request of a listing, flat or of one folder, and what all listings refuse."""

from __future__ import annotations

from collections.abc import Mapping

from sluicegate.core.errors import ErrorCode, FatalError
from sluicegate.providers.s3.client import S3Client
from sluicegate.providers.s3.pages import ListPage, parse_page

PAGE_KEYS = 1000
MAX_PAGE_BYTES = 16 * 1024 * 1024
_FAULT = "This is a fault of the S3 server."


async def fetch_page(client: S3Client, prefix: bytes, size: int, place: Mapping[str, str | bytes]) -> ListPage:
    """The page at `place` (a token, a start, a delimiter), of at most `size` keys. Raises RunError."""
    query: dict[str, str | bytes] = {
        "list-type": "2",
        "encoding-type": "url",
        "max-keys": str(size),
        "prefix": prefix,
        **place,
    }
    body = await client.fetch("GET", query=query, limit=MAX_PAGE_BYTES)
    await client.throttle.transferred(len(body))
    return parse_page(body)


def unordered() -> FatalError:
    """For an order that cannot be turned into byte order."""
    return FatalError(
        "The server does not list keys in byte order, so what is missing could not be told from what comes later.",
        code=ErrorCode.PROVIDER_REFUSED,
        provider_code="UNORDERED_LISTING",
        hint="Directory buckets (S3 Express) list so: a storage for each folder, not recursive, can work.",
    )


def foreign_key() -> FatalError:
    """For keys that were not asked for."""
    return FatalError(
        "The server lists keys that do not start with the prefix.",
        code=ErrorCode.PROVIDER_REFUSED,
        provider_code="FOREIGN_KEY",
        hint=_FAULT,
    )


def endless() -> FatalError:
    """For a page after which there is to be more, but no way to it."""
    return FatalError(
        "The server's listing does not move on.",
        code=ErrorCode.PROVIDER_REFUSED,
        provider_code="ENDLESS_LISTING",
        hint=_FAULT,
    )
