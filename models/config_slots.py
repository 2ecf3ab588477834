"""When a configuration's next run is to start."""

from __future__ import annotations

from datetime import datetime, timedelta

from models.sync_configs import SyncConfig, SyncConfigStatus, SyncMode
from sluicegate.core.schedules import next_cron

RECONCILE_SECONDS = 3600
"""How often a CONTINUOUS configuration whose storage has an event queue lists everything nevertheless."""
RESCHEDULES = frozenset({"mode", "cron", "time_zone", "polling_interval_seconds"})
"""The columns whose change makes another schedule."""


def following_slot(config: SyncConfig, slot: datetime, at: datetime, *, events: bool = False) -> datetime | None:
    """The first slot after `at` of those that `slot` is one of; None: ONE_TIME has no other.

    Slots that have passed are left out, so that a gateway that was off starts one run and not all that it missed; and
    they are counted from one another, so that they never drift. `events`: the storage tells of changes.
    """
    if config.mode == SyncMode.ONE_TIME:
        return None
    if config.mode == SyncMode.SCHEDULED and config.cron is not None:
        return next_cron(config.cron, config.time_zone, max(slot, at))
    if events and lists_seldom(config, at):
        assert config.listed_at is not None
        return config.listed_at + timedelta(seconds=RECONCILE_SECONDS)
    step = timedelta(seconds=config.polling_interval_seconds)
    return slot + step * max(1, (at - slot) // step + 1)


def lists_seldom(config: SyncConfig, at: datetime) -> bool:
    """Whether everything was listed lately, so that events suffice where the storage tells of its changes."""
    listed = config.listed_at
    return (
        config.mode == SyncMode.CONTINUOUS and listed is not None and (at - listed).total_seconds() < RECONCILE_SECONDS
    )


def first_slot(config: SyncConfig, at: datetime) -> datetime:
    """When a configuration that begins to run by itself does so: at once, but SCHEDULED at its time after the first."""
    if config.mode == SyncMode.SCHEDULED and config.status != SyncConfigStatus.PENDING:
        return following_slot(config, at, at) or at
    return at


def slot_after_edit(config: SyncConfig, at: datetime) -> datetime | None:
    """The next slot of a changed schedule of an active configuration. What is due stays due."""
    waits = config.next_sync_at
    if waits is not None and (waits <= at or config.status == SyncConfigStatus.PENDING):
        return waits
    if config.mode == SyncMode.ONE_TIME:
        return None if config.current_job_id is not None else at
    return following_slot(config, at, at)
