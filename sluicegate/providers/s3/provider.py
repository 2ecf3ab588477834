"""An S3 bucket as a provider."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from sluicegate.core.errors import ErrorCode, FatalError
from sluicegate.core.net import Connector
from sluicegate.providers.base import Check, Content, Described, Entry, EventBatch, Page, ProviderContext
from sluicegate.providers.s3.checks import run_checks
from sluicegate.providers.s3.client import S3Client
from sluicegate.providers.s3.credentials import credential_source
from sluicegate.providers.s3.describing import describe, tags_of
from sluicegate.providers.s3.events import listen, turns_of
from sluicegate.providers.s3.listing import Lister
from sluicegate.providers.s3.order import Order
from sluicegate.providers.s3.pages import content_hash
from sluicegate.providers.s3.place import marked, nothing, place_of
from sluicegate.providers.s3.queue import Queue
from sluicegate.providers.s3.reading import open_object
from sluicegate.providers.s3.settings import Settings
from sluicegate.providers.s3.signing import encode_path
from sluicegate.providers.s3.walk import Walk


class S3Provider:
    """One bucket below its prefix; see `providers.base.Provider` for what the methods promise."""

    def __init__(self, connector: Connector, settings: Settings, client: S3Client, queue: Queue | None) -> None:
        self._connector = connector
        self._settings = settings
        self._client = client
        self._prefix = settings.prefix.encode()
        self._order = Order()
        self._queue = queue

    def list(
        self,
        *,
        recursive: bool = True,
        cursor: Mapping[str, Any] | None = None,
        limit: int | None = None,
        prefix: bytes = b"",
    ) -> AsyncGenerator[Page, None]:
        """Keys below the prefix in byte order, a page being at most 1,000 of them."""
        place = place_of(self._prefix, prefix, cursor, recursive=recursive)
        if place is None:
            return nothing()
        if recursive and place.by_folder:
            self._order.by_folder = True
        if not recursive or self._order.by_folder:
            listing: Walk | Lister = Walk(self._client, place.asked, recursive=recursive, after=place.after)
        else:
            listing = Lister(self._client, place.asked, self._order, after=place.after, same=place.same)
        return marked(listing.pages(limit), self._prefix, place)

    async def stat(self, key: bytes) -> Described | None:
        """A HEAD, and a GET of a byte where its answer does not say what is wrong."""
        return await describe(self._client, key) if key.startswith(self._prefix) else None

    async def tags(self, key: bytes) -> Mapping[str, str]:
        """GetObjectTagging."""
        return await tags_of(self._client, key)

    def content_hash(self, entry: Entry) -> str | None:
        """From the ETag: the MD5, or for multipart uploads that of the parts' MD5s, the same for the same parts."""
        return content_hash(entry)

    def read(
        self, key: bytes, *, start: int = 0, end: int | None = None, fingerprint: str | None = None
    ) -> AbstractAsyncContextManager[Content]:
        """The object's bytes; the key is sent as it is, whatever is in it."""
        return open_object(self._client, key, start=start, end=end, fingerprint=fingerprint)

    def events(self) -> AsyncGenerator[EventBatch, None]:
        """The bucket's notifications from its SQS queue. FatalError where the storage names none."""
        if self._queue is None:
            raise FatalError(
                "This storage has no event queue.", code=ErrorCode.INVALID, hint="Set eventQueueUrl of the storage."
            )
        return listen(self._queue, turns_of(self._connector), self._settings.bucket, self._prefix)

    async def temporary_url(self, key: bytes, *, seconds: int) -> str | None:
        """A presigned GET, for at most 7 days and the credentials' life. A request only to renew a role."""
        return await self._client.presign(key, seconds)

    def uri(self, key: bytes) -> str:
        """s3://bucket/key, percent-encoded."""
        return object_uri({"bucket": self._settings.bucket}, key)

    def validate(self, *, write: bool = False) -> AsyncIterator[Check]:
        """resolve, connect, authenticate, list, read, cors, write, events."""
        return run_checks(self._connector, self._client, self._settings, self._queue, write=write)


def object_uri(settings: Mapping[str, Any], key: bytes) -> str:
    """The stable address of an object, from the stored settings alone: for archived storages too."""
    return f"s3://{settings['bucket']}/{encode_path(key)}"


def has_events(settings: Mapping[str, Any]) -> bool:
    """Whether a storage with these stored settings names a queue."""
    return bool(settings.get("event_queue_url"))


@asynccontextmanager
async def open_provider(settings: Settings, context: ProviderContext) -> AsyncGenerator[S3Provider, None]:
    """The provider over checked settings. Makes no request."""
    credentials = credential_source(settings, context)
    client = S3Client(context.connector, settings, credentials, context.throttle)
    url = settings.event_queue_url
    queue = Queue(context.connector, settings, url, credentials, context.throttle) if url else None
    yield S3Provider(context.connector, settings, client, queue)
