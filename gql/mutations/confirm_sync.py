"""confirmSync."""

from __future__ import annotations

import strawberry

from gql.context import Info
from gql.errors import payload
from gql.mutations.trigger_sync import TriggerSyncPayload
from gql.types.jobs import SyncJob
from gql.types.sync_configs import sync_config_of
from resolvers import sync_runs


@strawberry.input(
    description="What a run of a configuration with requireConfirmation has found is taken over, all together: new "
    "objects, changed ones, and those that it missed."
)
class ConfirmSyncInput:
    """Which run."""

    job_id: strawberry.ID = strawberry.field(
        description="The job of the configuration's newest run, which must have ended: what was looked at is what is "
        "confirmed."
    )


@payload(TriggerSyncPayload)
async def confirm_sync(info: Info, input: ConfirmSyncInput) -> TriggerSyncPayload:
    """Confirms what a run has staged."""
    job, config = await sync_runs.confirm(info.context.services, info.context.viewer, input.job_id)
    return TriggerSyncPayload(job=SyncJob.of(job), sync_config=sync_config_of(config))
