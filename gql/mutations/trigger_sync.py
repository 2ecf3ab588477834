"""triggerSync."""

from __future__ import annotations

from datetime import datetime

import strawberry

from gql.context import Info
from gql.errors import payload
from gql.types.errors import UserError
from gql.types.jobs import SyncJob
from gql.types.sync_configs import SyncConfig, sync_config_of
from resolvers import sync_runs


@strawberry.input(
    description="A run of a configuration, besides those that start by themselves. While one waits or is under way, "
    "another is ALREADY_RUNNING; a dry run is no such run, and can be made of any that is not archived."
)
class TriggerSyncInput:
    """Which configuration, and how."""

    id: strawberry.ID = strawberry.field(description="Which configuration.")
    full_sync: bool = strawberry.field(default=False, description="Read everything again, changed or not.")
    dry_run: bool = strawberry.field(default=False, description="Only report what a run would do; write nothing.")
    priority: int = strawberry.field(default=0, description="-100 to 100; higher goes first.")
    scheduled_at: datetime | None = strawberry.field(
        default=None, description="Start then; null, or a time that has passed, is at once."
    )
    allow_mass_missing: bool = strawberry.field(
        default=False,
        description="Take objects as missing even if they are more than maxMissingFraction of over 100: without it "
        "such a run fails with LIMIT and changes none of them.",
    )


@strawberry.type(description="The run's job, and the configuration as it is now.")
class TriggerSyncPayload:
    """The answer of triggerSync and confirmSync."""

    job: SyncJob | None = strawberry.field(default=None, description="Watch it with the subscription job.")
    sync_config: SyncConfig | None = strawberry.field(default=None, description="The configuration.")
    errors: list[UserError] = strawberry.field(default_factory=list[UserError], description="What went wrong.")


@payload(TriggerSyncPayload)
async def trigger_sync(info: Info, input: TriggerSyncInput) -> TriggerSyncPayload:
    """Starts a run."""
    order = sync_runs.RunOrder(
        full_sync=input.full_sync,
        dry_run=input.dry_run,
        allow_mass_missing=input.allow_mass_missing,
        priority=input.priority,
        scheduled_at=input.scheduled_at,
    )
    job, config = await sync_runs.trigger(info.context.services, info.context.viewer, input.id, order)
    return TriggerSyncPayload(job=SyncJob.of(job), sync_config=sync_config_of(config))
