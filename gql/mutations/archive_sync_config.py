"""archiveSyncConfig."""

from __future__ import annotations

from gql.context import Info
from gql.errors import payload
from gql.inputs.sync_configs import SyncConfigIdInput
from gql.mutations.create_sync_config import SyncConfigPayload
from gql.types.sync_configs import sync_config_of
from resolvers import sync_config_states


@payload(SyncConfigPayload)
async def archive_sync_config(info: Info, input: SyncConfigIdInput) -> SyncConfigPayload:
    """Puts a configuration away."""
    row = await sync_config_states.archive(info.context.services, info.context.viewer, input.id)
    return SyncConfigPayload(sync_config=sync_config_of(row))
