"""Finding things by global id: one way for `node`, `nodes` and the fields that take an id."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from gql.types.access import ApiKey, Namespace
from gql.types.batches import Batch
from gql.types.dead_letters import DeadLetter
from gql.types.jobs import job_of
from gql.types.node import Node
from gql.types.objects import SyncedObject
from gql.types.projects import Project
from gql.types.storages import storage_of
from gql.types.sync_configs import sync_config_of
from sluicegate.core.actors import Scope
from sluicegate.core.ids import split_id

if TYPE_CHECKING:
    from gql.context import Context

Finder = Callable[["Context", int], Awaitable[Any]]


async def _namespace(context: Context, number: int) -> Any:
    return next((row for row in context.viewer.namespaces if row.id == number), None)


async def _api_key(context: Context, number: int) -> Any:
    if Scope.ADMIN not in context.viewer.scopes:  # as apiKeys
        return None
    return await context.loaders.api_keys.load(number)


async def _project(context: Context, number: int) -> Any:
    row = await context.loaders.projects.load(number)
    return row if row is not None and row.deleted_at is None else None


KINDS: dict[str, tuple[Callable[[Any], Node], Finder]] = {
    "Namespace": (Namespace.of, _namespace),
    "ApiKey": (ApiKey.of, _api_key),
    "Project": (Project.of, _project),
    "Storage": (storage_of, lambda context, number: context.loaders.storages.load(number)),
    "SyncConfig": (sync_config_of, lambda context, number: context.loaders.sync_configs.load(number)),
    "Job": (job_of, lambda context, number: context.loaders.jobs.load(number)),
    "Batch": (Batch.of, lambda context, number: context.loaders.batches.load(number)),
    "DeadLetter": (DeadLetter.of, lambda context, number: context.loaders.dead_letters.load(number)),
    "SyncedObject": (SyncedObject.of, lambda context, number: context.loaders.objects.load(number)),
}


async def find_node(context: Context, global_id: str, kind: str | None = None) -> Any:
    """The public form of what has this id (of `kind`, where one is asked for); None where the viewer has none."""
    found = split_id(global_id)
    if found is None or found[0] not in KINDS or kind not in (None, found[0]):
        return None
    show, find = KINDS[found[0]]
    row = await find(context, found[1])
    return None if row is None else show(row)
