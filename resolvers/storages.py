"""Storages: made, changed, archived. Each change is committed, then announced to those who watch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models import (
    config_transitions,
    job_queries,
    project_queries,
    removal,
    storage_queries,
    sync_config_queries,
)
from models.config_transitions import ConfigEvent
from models.database import AsyncSession, after_commit
from models.job_state import JobSignal
from models.pagination import Page, PageRequest, SortKey
from models.storages import Storage
from resolvers import checks, warnings
from resolvers.access import Viewer
from resolvers.connections import Connection, connection, refuse_failed, run_checks, sample, seal, stored_secrets
from resolvers.live import STORAGE
from resolvers.services import Services
from resolvers.storage_places import guard_place
from sluicegate.core.actors import Actor
from sluicegate.core.clock import now
from sluicegate.core.errors import ConflictError, InvalidError, NotFoundError
from sluicegate.core.ids import decode_id
from sluicegate.providers.base import ProviderType
from sluicegate.providers.parsing import camel
from sluicegate.sync.filters import compile_regex
from sluicegate.sync.plan import filters_of

DEFAULTS: Mapping[str, Any] = {
    "title": "", "description": "", "regex_filter": None, "recursive_scan": True, "use_blob_urls": False,
    "presign": True, "presign_ttl": 1, "synchronizable": True, "max_requests_per_second": None,
    "max_bytes_per_second": None,
}  # fmt: skip
"""What a storage is created with, and what null in an update goes back to."""

MAX_PRESIGN_TTL = 32_767
_LEAVES_OUT = ("regex_filter", "use_blob_urls", "recursive_scan")


@dataclass(frozen=True, slots=True)
class StorageChanges:
    """What an update changes. `options`: by column. `settings`: of the connection, None for what is to be removed."""

    options: dict[str, Any]
    project_id: str | None = None
    kind: ProviderType | None = None
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    confirm_rescan: bool = False
    validate: bool = True


@dataclass(frozen=True, slots=True)
class SavedStorage:
    """A storage as it is now, and what will surprise."""

    storage: Storage
    warnings: list[warnings.Notice]


async def list_storages(
    services: Services,
    viewer: Viewer,
    request: PageRequest,
    *,
    criteria: storage_queries.StorageCriteria,
    keys: tuple[SortKey, ...] = (),
    project_id: int | None = None,
) -> Page[Storage]:
    """A page of the namespace's storages, or of one project's."""
    async with services.database.read(viewer.namespace.id) as session:
        return await storage_queries.list_storages(
            session, request, criteria=criteria, keys=keys, project_id=project_id
        )


async def count_storages(
    services: Services, viewer: Viewer, criteria: storage_queries.StorageCriteria, project_id: int | None = None
) -> int:
    """How many storages the namespace or one project has."""
    async with services.database.read(viewer.namespace.id) as session:
        return await storage_queries.count_storages(session, criteria, project_id)


async def find_storage(services: Services, viewer: Viewer, global_id: str) -> Storage:
    """A storage that is not archived. Raises NotFoundError."""
    number = decode_id(global_id, "Storage")
    async with services.database.read(viewer.namespace.id) as session:
        (storage,) = await storage_queries.storages_by_id(session, [number])
    return present(storage, global_id)


async def create_storage(
    services: Services,
    viewer: Viewer,
    *,
    project_id: str,
    kind: ProviderType,
    settings: Mapping[str, Any],
    options: Mapping[str, Any],
    validate: bool,
) -> SavedStorage:
    """A new storage of a project; with `validate` only if the connection works.

    Raises InvalidError, NotFoundError for the project, and the provider's RunError.
    """
    columns = checked_options({**DEFAULTS, **options})
    project = decode_id(project_id, "Project", path=("projectId",))
    async with services.database.read(viewer.namespace.id) as session:
        (found_project,) = await project_queries.projects_by_id(session, [project])
        project_queries.present(found_project, project_id, path=("projectId",))
    opened = await connection(services, viewer, kind, settings)
    found: list[warnings.Notice] = []
    if validate:
        with services.places.take(viewer.namespace.id):
            found = await _tried(opened, columns)
    async with services.database.write(viewer.namespace.id) as session:
        await _require_project(session, project, project_id)
        storage = Storage(
            namespace_id=viewer.namespace.id, project_id=project, type=kind.value, settings=opened.plain, **columns
        )
        session.add(storage)
        await session.flush()
        seal(services, storage, opened.secrets, opened.secret_names)
        found += await _overlaps(session, storage)
    return SavedStorage(storage, found)


async def update_storage(services: Services, viewer: Viewer, global_id: str, given: StorageChanges) -> SavedStorage:
    """Changes what is given. A changed connection is tried first, unless told not to.

    Raises InvalidError, NotFoundError, the provider's RunError, ConflictError where objects would go missing.
    """
    columns = checked_options(given.options)
    before = await find_storage(services, viewer, global_id)
    if given.project_id is not None:
        columns["project_id"] = decode_id(given.project_id, "Project", path=("projectId",))
    opened = await _patched(services, viewer, before, given)
    found: list[warnings.Notice] = []
    if opened is not None and given.validate:
        with services.places.take(viewer.namespace.id):
            found = await _tried(opened, {name: columns.get(name, getattr(before, name)) for name in _LEAVES_OUT})
    async with services.database.write(viewer.namespace.id) as session:
        storage = present(await storage_queries.lock_storage(session, before.id), global_id)
        if opened is not None and (storage.settings, storage.sealed_secrets) != (
            before.settings,
            before.sealed_secrets,
        ):
            raise ConflictError("Another request changed the connection at the same time: look at it and try again.")
        if given.project_id is not None:
            await _require_project(session, columns["project_id"], given.project_id)
        await guard_place(session, storage, opened, columns, confirmed=given.confirm_rescan)
        if columns.get("project_id", storage.project_id) != storage.project_id:
            # What was read of its files went into the other project.
            await removal.forget_files(session, [storage.id])
        for name, value in columns.items():
            setattr(storage, name, value)
        if opened is not None:
            storage.settings = opened.plain
            seal(services, storage, opened.secrets, opened.secret_names)
            found += await _overlaps(session, storage)
        await _touch(services, session, storage)
        services.jobs.announce(session)
    return SavedStorage(storage, found)


async def archive(services: Services, session: AsyncSession, storage: Storage, actor: Actor) -> None:
    """Archives a storage's row in the caller's transaction, and the configurations that read it."""
    for config in await sync_config_queries.configs_of_storage(session, storage.id):
        await config_transitions.apply(session, config, ConfigEvent.ARCHIVE)
    for job in await job_queries.unfinished_jobs_of_storage(session, storage.id):
        await services.jobs.signal(session, job, JobSignal.CANCEL, reason="The storage was deleted.", actor=actor)
    storage.deleted_at = now()
    seal(services, storage, {}, [])
    await _touch(services, session, storage)
    services.jobs.announce(session)


def checked_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a storage's own options; None is the default. Raises InvalidError."""
    columns = {name: DEFAULTS[name] if value is None else value for name, value in given.items()}
    for name, longest in (("title", checks.MAX_TITLE), ("description", checks.MAX_DESCRIPTION)):
        if name in columns:
            checks.check_text(columns[name], (name,), longest=longest)
    if columns.get("regex_filter") is not None:
        checks.check_text(columns["regex_filter"], ("regexFilter",))
        compile_regex(columns["regex_filter"])
    if "presign_ttl" in columns:
        checks.check_between(columns["presign_ttl"], 1, MAX_PRESIGN_TTL, ("presignTtl",))
    for name in ("max_requests_per_second", "max_bytes_per_second"):
        checks.check_ceiling(columns.get(name), (camel(name),))
    return columns


async def _patched(services: Services, viewer: Viewer, storage: Storage, given: StorageChanges) -> Connection | None:
    """The connection with what is given of it changed; None when nothing of it is given."""
    if given.kind is None:
        return None
    if given.kind != storage.type:
        path = ("provider", given.kind.value.lower())
        raise InvalidError(f"This storage is of the type {storage.type}, which cannot be changed.", path=path)
    values = {**storage.settings, **stored_secrets(services, storage), **given.settings}
    return await connection(services, viewer, given.kind, values)


async def _tried(opened: Connection, options: Mapping[str, Any]) -> list[warnings.Notice]:
    """What a connection that works will surprise with. Raises the provider's error when it does not work."""
    found = await run_checks(opened)
    refuse_failed(opened.kind, found)
    notices = warnings.of_checks(found, ("provider", opened.kind.value.lower()))
    if options["regex_filter"] is not None or not options["use_blob_urls"]:
        rules = filters_of(options["regex_filter"], use_blob_urls=options["use_blob_urls"])
        seen = await sample(opened, rules, recursive=options["recursive_scan"])
        notices += warnings.of_nothing_imported(seen) if seen is not None else []
    return notices


async def _overlaps(session: AsyncSession, storage: Storage) -> list[warnings.Notice]:
    """Which other sources of the project read the same objects: storages, and configurations over other storages."""
    others = await storage_queries.other_sources(
        session, project_id=storage.project_id, type_=storage.type, besides=storage.id
    )
    configs = await sync_config_queries.other_configs(session, project_id=storage.project_id, besides=None)
    read = await storage_queries.storages_by_id(session, sorted({each.storage_id for each in configs} - {storage.id}))
    live = {each.id: each for each in read if each is not None and each.deleted_at is None}
    pairs = [(each, live[each.storage_id]) for each in configs if each.storage_id in live]
    return warnings.of_overlap(storage, others, pairs)


async def _require_project(session: AsyncSession, number: int, global_id: str) -> None:
    # Locked, so that a project that is being deleted gets no new storage.
    project_queries.present(await project_queries.lock_project(session, number), global_id, path=("projectId",))


def present(storage: Storage | None, global_id: str) -> Storage:
    """The storage. Raises NotFoundError when there is none or it is archived."""
    if storage is None or storage.deleted_at is not None:
        raise NotFoundError(f"No storage has the id {global_id!r}.", path=("id",))
    return storage


async def _touch(services: Services, session: AsyncSession, storage: Storage) -> None:
    """Counts the change and announces it after the commit."""
    storage.updated_at = now()
    storage.row_rev = storage.row_rev + 1
    await session.flush()
    after_commit(session, lambda: services.hub.publish(STORAGE, storage))
