"""The bytes of an object: who may have them, where they are, and links to them."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from models.access_queries import key_by_id
from models.database import ALL
from models.objects import STAGED_MARK, SourceFile, SyncedObject
from models.storages import Storage
from resolvers.content_links import MAX_SECONDS, ContentLink, digest_of, sign, verify
from resolvers.keys import is_usable
from sluicegate.core.errors import ConflictError, ErrorCode, ForbiddenError, NotFoundError, RunError
from sluicegate.core.ids import decode_id, encode_id
from sluicegate.providers import registry
from sluicegate.providers.base import Capability, Content, Provider, ProviderType

if TYPE_CHECKING:
    from resolvers.access import Viewer
    from resolvers.services import Services

Url = str | RunError | None


@dataclass(frozen=True, slots=True)
class Grant:
    """Somebody may read one object's content. `link`: when it was a link that allowed it."""

    namespace_id: int
    object_id: int
    link: ContentLink | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Where an object's bytes are. `fingerprint`: of the file that was synced, None when that is not known.

    `version`: the object's own fingerprint, which links and ETags are made of.
    """

    storage: Storage
    key: bytes
    path: str
    mime_type: str | None
    size: int | None
    fingerprint: str | None
    version: str


def content_url(services: Services, viewer: Viewer, row: SyncedObject, storage: Storage, base_url: str) -> str:
    """A signed link through the gateway that works for the storage's `presign_ttl` minutes, at most 7 days."""
    expires = int(time.time()) + _seconds(storage)
    link = ContentLink(row.namespace_id, viewer.key_id, expires, digest_of(row.fingerprint))
    text = sign(services.secrets, row.id, link)
    return f"{base_url.rstrip('/')}/objects/{encode_id('SyncedObject', row.id)}/content?link={text}"


async def object_url(
    services: Services, viewer: Viewer, row: SyncedObject, storage: Storage, base_url: str
) -> str | None:
    """A link to the object: the provider's own where it has such and the storage says `presign`, else the gateway's.

    None when the storage is archived: nothing can be read of it any more. Raises RunError.
    """
    (found,) = await object_urls(services, viewer, [(row, storage)], base_url)
    if isinstance(found, RunError):
        raise found
    return found


async def object_urls(
    services: Services, viewer: Viewer, rows: Sequence[tuple[SyncedObject, Storage]], base_url: str
) -> list[Url]:
    """`object_url` of many rows, each storage opened once. Where one fails, its error stands in its place."""

    async def link(provider: Provider, row: SyncedObject, storage: Storage) -> str:
        own = await provider.temporary_url(row.source_key, seconds=_seconds(storage))
        return own or content_url(services, viewer, row, storage, base_url)

    presigned = [(row, storage) for row, storage in rows if storage.deleted_at is None and _presigns(storage)]
    found = await _with_providers(services, presigned, link)
    return [
        None
        if storage.deleted_at is not None
        else found[row.id]
        if row.id in found
        else content_url(services, viewer, row, storage, base_url)
        for row, storage in rows
    ]


async def object_uris(services: Services, rows: Sequence[tuple[SyncedObject, Storage]]) -> list[str | RunError]:
    """The stable address of each object in its source, each storage opened once, archived ones too."""

    async def address(provider: Provider, row: SyncedObject, _storage: Storage) -> str:
        return provider.uri(row.source_key)

    found = await _with_providers(services, rows, address)
    return [found[row.id] for row, _ in rows]


async def grant_by_link(services: Services, global_id: str, text: str) -> Grant:
    """What a link allows now. Raises ForbiddenError that does not say why, and NotFoundError for what is no id."""
    number = decode_id(global_id, "SyncedObject")
    link = verify(services.secrets, number, text, now_seconds=time.time())
    if link is not None:
        async with services.database.read(ALL) as session:
            key = await key_by_id(session, link.key_id)
        if key is not None and is_usable(key) and any(space.id == link.namespace_id for space in key.namespaces):
            return Grant(link.namespace_id, number, link)
    raise ForbiddenError("This link does not work (any more).")


def grant_by_key(viewer: Viewer, global_id: str) -> Grant:
    """What a key allows: its namespace's objects. Raises NotFoundError for something that is no object's id."""
    return Grant(viewer.namespace.id, decode_id(global_id, "SyncedObject"))


async def find_source(services: Services, grant: Grant) -> Source:
    """Where the bytes are. Raises NotFoundError (another tenant's too), ConflictError for an older link."""
    async with services.database.read(grant.namespace_id) as session:
        row = await session.get(SyncedObject, grant.object_id)
        storage = await session.get(Storage, row.storage_id) if row is not None else None
        if row is None or storage is None or storage.deleted_at is not None:
            raise NotFoundError("No such object.")
        # In READ mode an object is a record of a file, and its fingerprint is the record's.
        file = await session.get(SourceFile, (row.project_id, storage.id, row.source_key)) if _is_record(row) else None
    if grant.link is not None and grant.link.digest != digest_of(row.fingerprint):
        raise ConflictError("The object has changed since the link was made.")
    seen = file.fingerprint.removeprefix(STAGED_MARK) if file is not None else ""
    fingerprint = (seen or None) if _is_record(row) else row.fingerprint
    return Source(storage, row.source_key, row.path, row.mime_type, row.size_bytes, fingerprint, row.fingerprint)


@asynccontextmanager
async def open_source(
    services: Services, source: Source, *, fingerprint: str | None, start: int = 0, end: int | None = None
) -> AsyncGenerator[Content]:
    """The bytes from `start` up to `end`, of the version with this fingerprint, or of any.

    Raises ConflictError when the source has another by now, NotFoundError when it has none, RunError.
    """
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(services.sync.open_provider(source.storage))
        try:
            opening = provider.read(source.key, start=start, end=end, fingerprint=fingerprint)
            content = await stack.enter_async_context(opening)
        except RunError as error:
            raise _translated(error) from None
        yield content


def _translated(error: RunError) -> Exception:
    if error.code is ErrorCode.PROVIDER_NOT_FOUND:
        return NotFoundError("No such object.")
    if error.code in (ErrorCode.CONFLICT, ErrorCode.INVALID):  # INVALID: it is shorter than what was asked for
        return ConflictError("The object has changed since it was synced.")
    return error


async def _with_providers(
    services: Services,
    rows: Sequence[tuple[SyncedObject, Storage]],
    make: Callable[[Provider, SyncedObject, Storage], Coroutine[Any, Any, str]],
) -> dict[int, str | RunError]:
    groups: defaultdict[int, list[tuple[SyncedObject, Storage]]] = defaultdict(list)
    for row, storage in rows:
        groups[storage.id].append((row, storage))
    found: dict[int, str | RunError] = {}
    for group in groups.values():
        try:
            async with services.sync.open_provider(group[0][1]) as provider:
                for row, storage in group:
                    found[row.id] = await make(provider, row, storage)
        except RunError as error:
            found.update((row.id, error) for row, _ in group if row.id not in found)
    return found


def _presigns(storage: Storage) -> bool:
    return storage.presign and Capability.TEMPORARY_URL in registry.spec(ProviderType(storage.type)).capabilities


def _seconds(storage: Storage) -> int:
    return min(storage.presign_ttl * 60, MAX_SECONDS)


def _is_record(row: SyncedObject) -> bool:
    return row.row > 0 or row.data is not None
