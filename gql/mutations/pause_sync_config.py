"""pauseSyncConfig."""

from __future__ import annotations

import strawberry

from gql.context import Info
from gql.errors import payload
from gql.mutations.create_sync_config import SyncConfigPayload
from gql.types.sync_configs import sync_config_of
from resolvers import sync_config_states


@strawberry.input(
    description="A stop until someone resumes it; a run under way stops at a checkpoint, within a second."
)
class PauseSyncConfigInput:
    """Which configuration, and why."""

    id: strawberry.ID = strawberry.field(description="Which configuration.")
    reason: str = strawberry.field(default="", description="For those who ask later; at most 1,000 characters.")


@payload(SyncConfigPayload)
async def pause_sync_config(info: Info, input: PauseSyncConfigInput) -> SyncConfigPayload:
    """Pauses a configuration."""
    row = await sync_config_states.pause(info.context.services, info.context.viewer, input.id, input.reason)
    return SyncConfigPayload(sync_config=sync_config_of(row))
