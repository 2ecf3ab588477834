"""syncStorage."""

from __future__ import annotations

from datetime import datetime

import strawberry

from gql.context import Info
from gql.errors import payload
from gql.types.errors import UserError
from gql.types.jobs import SyncJob
from gql.types.storages import Storage, storage_of
from resolvers import jobs


@strawberry.input(
    description="A sync of a storage. While one waits or runs, another is ALREADY_RUNNING; a dry run is no sync."
)
class SyncStorageInput:
    """Which storage, and how."""

    id: strawberry.ID = strawberry.field(description="Which storage.")
    full_sync: bool = strawberry.field(default=False, description="Read everything again, changed or not.")
    dry_run: bool = strawberry.field(default=False, description="Only report what a sync would do; write nothing.")
    priority: int = strawberry.field(default=0, description="-100 to 100; higher goes first.")
    scheduled_at: datetime | None = strawberry.field(
        default=None, description="Start then; null, or a time that has passed, is at once."
    )
    allow_mass_missing: bool = strawberry.field(
        default=False,
        description="Mark objects as missing even if they are more than half of over 100: without it such a run fails "
        "with LIMIT and marks none.",
    )


@strawberry.type(description="The sync's job, and the storage as it is now.")
class SyncStoragePayload:
    """The answer of syncStorage."""

    job: SyncJob | None = strawberry.field(default=None, description="Watch it with the subscription job.")
    storage: Storage | None = strawberry.field(default=None, description="The storage, with its new status.")
    errors: list[UserError] = strawberry.field(default_factory=list[UserError], description="What went wrong.")


@payload(SyncStoragePayload)
async def sync_storage(info: Info, input: SyncStorageInput) -> SyncStoragePayload:
    """Starts a sync."""
    order = jobs.SyncOrder(
        full_sync=input.full_sync,
        dry_run=input.dry_run,
        allow_mass_missing=input.allow_mass_missing,
        priority=input.priority,
        scheduled_at=input.scheduled_at,
    )
    job, storage = await jobs.sync_storage(info.context.services, info.context.viewer, input.id, order)
    return SyncStoragePayload(job=SyncJob.of(job), storage=storage_of(storage))
