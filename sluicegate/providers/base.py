"""What a provider is: a small required interface, declared capabilities, one conformance suite for all of them.

A provider reads one storage. It knows nothing of rows, jobs or GraphQL; it raises the run errors of `core.errors`, so
that the engine knows what to do next without knowing the provider.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from sluicegate.core.errors import ErrorCode
from sluicegate.core.net import Connector
from sluicegate.providers.throttle import Throttle


class ProviderType(StrEnum):
    """The storages of the seed, and LOCAL."""

    S3 = "S3"
    TIGRIS = "TIGRIS"
    GOOGLE_DRIVE = "GOOGLE_DRIVE"
    SHAREPOINT = "SHAREPOINT"
    SNOWFLAKE = "SNOWFLAKE"
    LOCAL = "LOCAL"


class Capability(StrEnum):
    """What a provider can do beyond listing and reading."""

    TAGS = "TAGS"
    METADATA = "METADATA"
    PROPERTIES = "PROPERTIES"
    COLUMNS = "COLUMNS"
    CHANGE_FEED = "CHANGE_FEED"
    EVENTS = "EVENTS"
    TEMPORARY_URL = "TEMPORARY_URL"
    CONTENT_HASH = "CONTENT_HASH"
    WRITE = "WRITE"
    ASSUME_ROLE = "ASSUME_ROLE"


class MappingSource(StrEnum):
    """Where a mapping can take a value from."""

    FILE = "FILE"
    TAG = "TAG"
    METADATA = "METADATA"
    COLUMN = "COLUMN"
    DRIVE_PROPERTY = "DRIVE_PROPERTY"
    FILENAME_REGEX = "FILENAME_REGEX"
    FOLDER_PATH = "FOLDER_PATH"
    CONSTANT = "CONSTANT"


class Entry(NamedTuple):
    """One object of a listing.

    `key`: its identity in the source, as bytes (S3: the key; LOCAL: the path below the storage's folder).
    `size`: bytes. `modified`: microseconds since the epoch. `fingerprint`: changes when the content changes, compared
    as it is. `path` and `mime_type`: where they are not those of the key.
    """

    key: bytes
    size: int | None
    modified: int | None
    fingerprint: str
    path: str | None = None
    mime_type: str | None = None


class Described(NamedTuple):
    """One object as `stat` finds it.

    `entry`: as a listing gives it, but that `modified` may lack its fraction of a second. `metadata`: what the owner
    wrote to it, names in lower case, and `content-type` where the source has one and the owner none of that name.
    """

    entry: Entry
    metadata: Mapping[str, str]


class Page(NamedTuple):
    """Part of a listing. `cursor`: JSON from which `list` goes on after this page, in this or another process."""

    entries: list[Entry]
    cursor: dict[str, Any]


class ObjectEvent(NamedTuple):
    """That an object was written, or removed. A hint: events come late, twice and in any order, so `stat` says more."""

    key: bytes
    removed: bool


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Events that came together; none where the messages held none of this storage.

    `ack`: says that they need not come again; without it they do. Raises RunError. `malformed`: messages that were not
    understood, which `ack` removes too.
    """

    events: list[ObjectEvent]
    ack: Callable[[], Awaitable[None]]
    malformed: int = 0


class Content(Protocol):
    """An open object. `size`: bytes of this response (None when unknown); `total_size`: of the whole object."""

    size: int | None
    total_size: int | None
    mime_type: str | None
    fingerprint: str | None

    def chunks(self) -> AsyncGenerator[bytes]:
        """The bytes, in pieces of at most 1 MiB. Raises RetriableError when the body is cut."""
        ...


class CheckStatus(StrEnum):
    """How one step of a validation ended."""

    PASSED = "PASSED"
    WARNING = "WARNING"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"


@dataclass(frozen=True, slots=True)
class Check:
    """One step of `validate`: resolve, connect, authenticate, list, read, cors, write, events.

    `code`: of a failed one.
    """

    name: str
    status: CheckStatus
    detail: str
    milliseconds: float
    provider_code: str | None = None
    hint: str | None = None
    code: ErrorCode | None = None


class Provider(Protocol):
    """One open storage."""

    def list(
        self,
        *,
        recursive: bool = True,
        cursor: Mapping[str, Any] | None = None,
        limit: int | None = None,
        prefix: bytes = b"",
    ) -> AsyncGenerator[Page]:
        """Everything under the storage's path, in ascending byte order of the key, from `cursor` on, in pages.

        `limit`: stop asking the source after about so many entries. Not recursive: only the top level. `prefix`: of
        all this only the keys that start with it, whether it names a folder, half a name or nothing; the source is not
        asked for others. A cursor holds for another prefix too. No page is empty; an empty source has none.
        Use with `contextlib.aclosing`: a page may be on its way.
        Raises RunError: ThrottledError and RetriableError may be tried again from the last page's cursor.
        """
        ...

    async def stat(self, key: bytes) -> Described | None:
        """One object, without its bytes; None when it is gone, and for a key outside the storage's path.

        Gone is what the source says of the object itself; never a refusal, or the whole bucket or folder missing.
        Raises RunError as `read` does.
        """
        ...

    async def tags(self, key: bytes) -> Mapping[str, str]:
        """The object's tags. Raises RunError as `read` does, NotImplementedError without TAGS."""
        ...

    def content_hash(self, entry: Entry) -> str | None:
        """What objects of the same content share, as far as the listing tells; None where the bytes must be hashed.

        `md5:<hex>:<size>`, comparable with a hash made of the bytes; or `<other kind>:<value>:<size>`. No request.
        """
        ...

    def read(
        self, key: bytes, *, start: int = 0, end: int | None = None, fingerprint: str | None = None
    ) -> AbstractAsyncContextManager[Content]:
        """The object's bytes from `start` up to `end` (exclusive).

        With `fingerprint`: SkippableError when it changed since.
        Raises SkippableError when the object is gone or refused, FatalError, RetriableError, ThrottledError.
        """
        ...

    def events(self) -> AsyncGenerator[EventBatch]:
        """What happens in the storage from now on, without end; waits where nothing does.

        Ends within a second when it is cancelled. Use with `contextlib.aclosing`. Raises RunError: call it again after
        ThrottledError and RetriableError; FatalError where the storage has no events. NotImplementedError without
        EVENTS.
        """
        ...

    async def temporary_url(self, key: bytes, *, seconds: int) -> str | None:
        """A link that works without credentials for at most `seconds`, or None: then its bytes go through the gateway.

        None without TEMPORARY_URL, and for a key that no browser asks for as it is. Makes no request where it can.
        """
        ...

    def uri(self, key: bytes) -> str:
        """The object's stable address, e.g. s3://bucket/key: never a credential in it."""
        ...

    def validate(self, *, write: bool = False) -> AsyncIterator[Check]:
        """Tests the connection step by step; a step after a failed one is SKIPPED. Never raises a RunError."""
        ...


@dataclass(frozen=True, slots=True)
class ProviderContext:
    """What the process gives to every provider that it opens. `throttle`: the storage's, without one no ceilings."""

    connector: Connector
    namespace: str
    namespace_id: int
    local_roots: Mapping[str, str]
    data_dir: str
    ambient_aws: bool = False
    throttle: Throttle = field(default_factory=Throttle)
