"""Sync configurations: listed, made and changed. Each change is committed, then announced to those who watch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models import config_transitions, project_queries, storage_queries, sync_config_queries
from models.config_transitions import ConfigEvent
from models.database import AsyncSession
from models.jobs import Job, JobStatus
from models.pagination import Page, PageRequest, SortKey
from models.storages import Storage
from models.sync_configs import SyncConfig, SyncConfigStatus, SyncMode
from resolvers import sync_config_source, warnings
from resolvers.access import Viewer
from resolvers.services import Services
from resolvers.sync_config_input import (
    DEFAULTS,
    CheckedWebhook,
    GivenWebhook,
    check_schedule,
    checked_options,
    checked_webhook,
)
from resolvers.sync_config_source import Source
from sluicegate.core.clock import now
from sluicegate.core.errors import ConflictError, LimitError, NotFoundError
from sluicegate.core.ids import decode_id
from sluicegate.providers.parsing import camel
from sluicegate.webhooks.secrets import seal_secret

_OF_SOURCE = ("file_filters", "schema_mapping", "use_blob_urls")
"""What decides which objects a run takes and what it makes of them, besides the path."""


@dataclass(frozen=True, slots=True)
class SavedConfig:
    """A configuration as it is now, and what will surprise. `secret`: of its webhook, when the gateway made one."""

    config: SyncConfig
    warnings: list[warnings.Notice] = field(default_factory=list[warnings.Notice])
    secret: str | None = field(default=None, repr=False)


async def list_sync_configs(
    services: Services,
    viewer: Viewer,
    request: PageRequest,
    *,
    criteria: sync_config_queries.SyncConfigCriteria,
    keys: tuple[SortKey, ...] = (),
    project_id: int | None = None,
) -> Page[SyncConfig]:
    """A page of the namespace's configurations, or of one project's."""
    async with services.database.read(viewer.namespace.id) as session:
        return await sync_config_queries.list_sync_configs(
            session, request, criteria=criteria, keys=keys, project_id=project_id
        )


async def count_sync_configs(
    services: Services, viewer: Viewer, criteria: sync_config_queries.SyncConfigCriteria, project_id: int | None = None
) -> int:
    """How many configurations the namespace or one project has."""
    async with services.database.read(viewer.namespace.id) as session:
        return await sync_config_queries.count_sync_configs(session, criteria, project_id)


def present(config: SyncConfig | None, global_id: str, *, path: tuple[str, ...] = ("id",)) -> SyncConfig:
    """The configuration. Raises NotFoundError when there is none."""
    if config is None:
        raise NotFoundError(f"No sync config has the id {global_id!r}.", path=path)
    return config


async def find_sync_config(
    services: Services, viewer: Viewer, global_id: str, *, path: tuple[str, ...] = ("id",)
) -> SyncConfig:
    """A configuration, an archived one too. Raises NotFoundError."""
    number = decode_id(global_id, "SyncConfig", path=path)
    async with services.database.read(viewer.namespace.id) as session:
        (config,) = await sync_config_queries.sync_configs_by_id(session, [number])
    return present(config, global_id, path=path)


async def create_sync_config(
    services: Services,
    viewer: Viewer,
    *,
    project_id: str,
    storage_id: str,
    source_path: str,
    options: Mapping[str, Any],
    draft: bool,
) -> SavedConfig:
    """A new configuration over a source that was looked at; it starts by itself unless it is a `draft`.

    Raises InvalidError, NotFoundError for the project and the storage, NotSynchronizableError, LimitError, and the
    provider's RunError.
    """
    columns = checked_options({**DEFAULTS, **options})
    webhook = columns.pop("webhook")
    check_schedule(columns["mode"], columns["cron"])
    project, storage = await sync_config_source.read_parents(services, viewer, project_id, storage_id)
    source = await sync_config_source.check_source(storage, project, source_path, columns)
    hook = await _check_webhook(services, viewer, webhook)
    found = await sync_config_source.look_at(services, viewer, source, source_path)
    async with services.database.write(viewer.namespace.id) as session:
        await _guard_count(services, session, viewer)
        storage = await sync_config_source.lock_parents(session, project, storage, project_id, storage_id)
        _same_place(storage, source)
        actor = viewer.actor
        config = SyncConfig(
            namespace_id=viewer.namespace.id, project_id=project.id, storage_id=storage.id, source_path=source_path,
            range_low=source.range.low, range_high=source.range.high, status=SyncConfigStatus.DRAFT,
            created_by_kind=actor.kind, created_by_id=actor.id, created_by_name=actor.name, row_rev=0, run_number=0,
            consecutive_failures=0, **columns, **hook.columns,
        )  # fmt: skip
        if not draft:
            config.status = SyncConfigStatus.PENDING
        config_transitions.start(config, now())
        session.add(config)
        await session.flush()
        _seal(services, config, hook)
        found += await _overlaps(session, source, config)
        await config_transitions.touch(session, config, now())
        services.jobs.announce(session)
    return SavedConfig(config, found, hook.secret if hook.made else None)


async def update_sync_config(
    services: Services,
    viewer: Viewer,
    global_id: str,
    *,
    source_path: str | None,
    options: Mapping[str, Any],
    confirm_rescan: bool,
) -> SavedConfig:
    """Changes what is given. A changed source is looked at first.

    Raises InvalidError, NotFoundError, the provider's RunError, and ConflictError: for an archived configuration, for
    a source that changes under a run, and where objects would go missing.
    """
    columns = checked_options(options)
    before = await find_sync_config(services, viewer, global_id)
    _not_archived(before)
    merged = {name: columns.get(name, getattr(before, name)) for name in _OF_SOURCE}
    moves = source_path is not None and source_path != before.source_path
    source: Source | None = None
    found: list[warnings.Notice] = []
    if moves or any(merged[name] != getattr(before, name) for name in _OF_SOURCE):
        path = before.source_path if source_path is None else source_path
        source = await _changed_source(services, viewer, before, path, merged)
        found = await sync_config_source.look_at(services, viewer, source, path, required=moves)
    hook = await _changed_webhook(services, viewer, before, columns)
    async with services.database.write(viewer.namespace.id) as session:
        config = present(await config_transitions.lock(session, before.id), global_id)
        _not_archived(config)
        _check_schedule_of(config, columns)
        if hook is not None and hook.made and config.sealed_webhook_secret is not None:
            raise ConflictError("Another request gave it a webhook at the same time: look at it and try again.")
        if source is not None:
            if any(getattr(config, name) != getattr(before, name) for name in ("source_path", *_OF_SOURCE)):
                raise ConflictError("Another request changed the source at the same time: look at it and try again.")
            await _guard_run(session, config, columns, moves=moves)
            columns |= await _moved(session, config, source, source_path, confirmed=confirm_rescan)
        config = await _write(services, session, config, columns, hook)
        if source is not None:
            found += await _overlaps(session, source, config)
        services.jobs.announce(session)
    return SavedConfig(config, found, hook.secret if hook is not None and hook.made else None)


async def _write(
    services: Services,
    session: AsyncSession,
    config: SyncConfig,
    columns: Mapping[str, Any],
    hook: CheckedWebhook | None,
) -> SyncConfig:
    """Sets the columns; a ONE_TIME configuration that has ended goes on when it gets another mode."""
    reopened = config.status in config_transitions.ENDED and columns.get("mode", SyncMode.ONE_TIME) != SyncMode.ONE_TIME
    changed = {**columns, **(hook.columns if hook is not None else {})}
    config = await config_transitions.edit(session, config.id, **changed)
    if hook is not None:
        _seal(services, config, hook)
    if reopened:
        config = await config_transitions.move(session, config, ConfigEvent.REOPEN)
    return config


async def _changed_source(
    services: Services, viewer: Viewer, config: SyncConfig, path: str, merged: Mapping[str, Any]
) -> Source:
    async with services.database.read(viewer.namespace.id) as session:
        (project,) = await project_queries.projects_by_id(session, [config.project_id])
        (storage,) = await storage_queries.storages_by_id(session, [config.storage_id])
    assert project is not None
    if storage is None or storage.deleted_at is not None:
        raise ConflictError("The configuration's storage is deleted.", path=("id",))
    return await sync_config_source.check_source(storage, project, path, merged)


async def _changed_webhook(
    services: Services, viewer: Viewer, before: SyncConfig, columns: dict[str, Any]
) -> CheckedWebhook | None:
    """What of the webhook changes; None when it was not given. The secret stays unless another is given."""
    if "webhook" not in columns:
        return None
    given: GivenWebhook | None = columns.pop("webhook")
    return await _check_webhook(services, viewer, given, has_secret=before.sealed_webhook_secret is not None)


async def _check_webhook(
    services: Services, viewer: Viewer, given: GivenWebhook | None, *, has_secret: bool = False
) -> CheckedWebhook:
    """As `checked_webhook`. Its host's name is looked up, which a slow one makes last: that takes a place."""
    if given is None:
        return await checked_webhook(None, services.connector)
    with services.places.take(viewer.namespace.id):
        return await checked_webhook(given, services.connector, has_secret=has_secret)


def _check_schedule_of(config: SyncConfig, columns: Mapping[str, Any]) -> None:
    if {"mode", "cron"} & columns.keys():
        cron = columns.get("cron", config.cron)
        check_schedule(columns.get("mode", config.mode), cron, by_mode="cron" not in columns)


def _not_archived(config: SyncConfig) -> None:
    if config.status == SyncConfigStatus.ARCHIVED:
        raise ConflictError("The configuration is archived: it stays as it is.", path=("id",))


async def _guard_run(session: AsyncSession, config: SyncConfig, columns: Mapping[str, Any], *, moves: bool) -> None:
    """Refuses to change what a run goes by while one waits or is under way."""
    for job in await sync_config_queries.unfinished_jobs_of_config(session, config.id):
        if job.status == JobStatus.SCHEDULED or (job.status == JobStatus.PAUSED and not _held(job)):
            continue
        changed = [camel(name) for name in _OF_SOURCE if name in columns and columns[name] != getattr(config, name)]
        name = "sourcePath" if moves else changed[0]
        raise ConflictError(
            f"{name} cannot change while a run waits or is under way.",
            path=(name,),
            hint="Pause the configuration, or cancel the run, and try again.",
        )


def _held(job: Job) -> bool:
    """Whether a worker may still write for the job."""
    return job.lease_expires_at is not None and job.lease_expires_at > now()


async def _moved(
    session: AsyncSession, config: SyncConfig, source: Source, source_path: str | None, *, confirmed: bool
) -> dict[str, Any]:
    """The columns of another path. Objects of the old one that the new one does not cover go missing: if confirmed."""
    if source_path is None or source_path == config.source_path:
        return {}
    columns: dict[str, Any] = {
        "source_path": source_path, "range_low": source.range.low, "range_high": source.range.high,
    }  # fmt: skip
    if source.range == config.range or not await sync_config_queries.has_objects(session, config):
        return columns
    if not confirmed:
        raise ConflictError(
            "The configuration has objects from where sourcePath leads now; the next run would not find them there.",
            path=("sourcePath",),
            hint="Give confirmRescan: true if that is wanted, or create another configuration.",
        )
    return {**columns, "rescan": True, "listed_at": None}


async def _guard_count(services: Services, session: AsyncSession, viewer: Viewer) -> None:
    most = services.settings.max_sync_configs
    if await sync_config_queries.lock_count(session, viewer.namespace.id, most) >= most:
        raise LimitError(
            f"A namespace has at most {most:,} sync configurations.",
            hint="Archive or delete those that are not needed any more; archived ones do not count.",
        )


def _same_place(storage: Storage, source: Source) -> None:
    if storage.settings != source.storage.settings:
        raise ConflictError("Another request changed the storage at the same time: try again.", path=("storageId",))


def _seal(services: Services, config: SyncConfig, hook: CheckedWebhook) -> None:
    """Puts a new secret into the row, which must have its id: it is bound to it."""
    if hook.secret is not None:
        config.sealed_webhook_secret = seal_secret(
            services.secrets, hook.secret, config_id=config.id, namespace_id=config.namespace_id
        )


async def _overlaps(session: AsyncSession, source: Source, config: SyncConfig) -> list[warnings.Notice]:
    """Which other sources of the project read the same objects."""
    storages = await storage_queries.other_sources(
        session, project_id=config.project_id, type_=source.storage.type, besides=None
    )
    configs = await sync_config_queries.other_configs(session, project_id=config.project_id, besides=config.id)
    numbers = sorted({each.storage_id for each in configs})
    found = await storage_queries.storages_by_id(session, numbers)
    names = {each.id: each for each in found if each is not None and each.deleted_at is None}
    return sync_config_source.overlaps(source, storages, [each for each in configs if each.storage_id in names], names)
