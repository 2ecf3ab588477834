"""One object's bytes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import aiohttp

from sluicegate.core.errors import ErrorCode, FatalError, RetriableError, SkippableError
from sluicegate.core.net import transport_error
from sluicegate.providers.s3.client import S3Client
from sluicegate.providers.s3.pages import NO_ETAG

CHUNK = 1024 * 1024


class S3Content:
    """An open GET."""

    def __init__(self, client: S3Client, response: aiohttp.ClientResponse | None, fingerprint: str | None) -> None:
        self._client = client
        self._response = response
        if response is None:
            self.size: int | None = 0
            self.total_size: int | None = None
            self.mime_type: str | None = None
            self.fingerprint = fingerprint
            return
        self.size = _number(response.headers.get("Content-Length"))
        self.total_size = _total(response) if response.status == 206 else self.size
        self.mime_type = response.headers.get("Content-Type")
        tag = response.headers.get("ETag", "").strip('"')
        self.fingerprint = f"{tag}-{self.total_size}" if tag and self.total_size is not None else None

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The bytes, at most 1 MiB at a time. Raises RetriableError when fewer come than were announced."""
        if self._response is None:
            return
        seen = 0
        try:
            async for chunk in self._response.content.iter_any():
                seen += len(chunk)
                await self._client.throttle.transferred(len(chunk))
                if len(chunk) <= CHUNK:
                    yield chunk
                else:
                    for start in range(0, len(chunk), CHUNK):
                        yield chunk[start : start + CHUNK]
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise transport_error(error, self._client.host) from None
        if self.size is not None and seen != self.size:
            raise RetriableError(
                f"{self._client.host} sent {seen:,} of {self.size:,} bytes.", provider_code="CONNECTION_RESET"
            )


@asynccontextmanager
async def open_object(
    client: S3Client, key: bytes, *, start: int, end: int | None, fingerprint: str | None
) -> AsyncGenerator[S3Content, None]:
    """The object from `start` to `end`, pinned to a fingerprint where one is given. Raises RunError."""
    if end is not None and end <= start:
        yield S3Content(client, None, fingerprint)
        return
    headers: dict[str, str] = {}
    ranged = start > 0 or end is not None
    if ranged:
        headers["range"] = f"bytes={start}-{'' if end is None else end - 1}"
    if fingerprint is not None and fingerprint.startswith(NO_ETAG):
        fingerprint = None  # nothing that the server could be asked to compare
    if fingerprint is not None:
        headers["if-match"] = f'"{fingerprint.rpartition("-")[0]}"'
    async with client.request("GET", key, headers=headers) as response:
        if ranged and response.status != 206:
            raise FatalError(
                "The server ignored the range that was asked for.",
                code=ErrorCode.PROVIDER_REFUSED,
                provider_code="RANGE_IGNORED",
                hint="This is a fault of the S3 server, or of a proxy before it.",
            )
        content = S3Content(client, response, fingerprint)
        if fingerprint is not None and content.fingerprint not in (None, fingerprint):
            raise SkippableError(
                "The object changed since it was listed.", code=ErrorCode.CONFLICT, provider_code="PreconditionFailed"
            )
        yield content


def _number(value: str | None) -> int | None:
    return int(value) if value is not None and value.isascii() and value.isdigit() else None


def _total(response: aiohttp.ClientResponse) -> int | None:
    return _number(response.headers.get("Content-Range", "").rpartition("/")[2])
