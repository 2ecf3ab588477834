"""The public enums of sync configurations, shown as the rows have them."""

from __future__ import annotations

from gql.types.enums import show
from models.deliveries import WebhookEvent
from models.sync_configs import OnDelete, OnUpdate, SyncConfigStatus, SyncMode

__all__ = ["OnDelete", "OnUpdate", "SyncConfigStatus", "SyncMode", "WebhookEvent"]

show(
    SyncMode,
    {
        "CONTINUOUS": "Again and again: a poll each pollingIntervalSeconds, and events of the source where it has any.",
        "ONE_TIME": "Once, then it is done.",
        "SCHEDULED": "Each pollingIntervalSeconds, or when cron says so.",
    },
    description="When a configuration runs by itself.",
)
show(
    SyncConfigStatus,
    {
        "DRAFT": "Not activated yet: it does not run.",
        "PENDING": "Waits for its first run.",
        "ACTIVE": "Waits for its next run.",
        "IN_PROGRESS": "A run is under way.",
        "PAUSED": "A person stopped it, until someone resumes it.",
        "SUSPENDED": "The gateway stopped it after 5 failed runs in a row, until someone activates it.",
        "COMPLETED": "ONE_TIME: done.",
        "COMPLETED_WITH_ERRORS": "ONE_TIME: done, but some records failed.",
        "FAILED": "ONE_TIME: the run ended with an error.",
        "CANCELED": "ONE_TIME: the run was canceled.",
        "ARCHIVED": "Put away for good; its objects stay.",
    },
    description="Where a configuration is.",
)
show(
    OnUpdate,
    {"REPLACE": "The new version takes its place.", "IGNORE": "It stays as it was first synced."},
    description="What becomes of an object that changed in its source.",
)
show(
    OnDelete,
    {
        "MARK": "It is marked MISSING.",
        "REMOVE": "It is removed from the dataset.",
        "IGNORE": "It stays as it is.",
    },
    description="What becomes of an object that is no longer in its source.",
)
show(
    WebhookEvent,
    {
        "SYNC_STARTED": "A run began.",
        "SYNC_PROGRESS": "A run goes on; told now and then, not for every object.",
        "SYNC_COMPLETED": "A run ended, perhaps with records that failed, or was canceled.",
        "SYNC_FAILED": "A run failed.",
        "BATCH_READY": "A batch of objects was written.",
    },
    description="What a webhook is told.",
)
