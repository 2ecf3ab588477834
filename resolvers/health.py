"""Whether a sync configuration does what it is there for, told from its row and its current job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from models.jobs import Job, JobStatus
from models.sync_configs import RUNNABLE, SyncConfig, SyncConfigStatus, SyncMode
from sluicegate.core.schedules import next_cron

GRACE = timedelta(seconds=60)
"""How much later than it should a run may end."""

_AT_WORK = frozenset({JobStatus.IN_PROGRESS, JobStatus.CANCELING})
_AT_REST = frozenset({SyncConfigStatus.PAUSED, SyncConfigStatus.ARCHIVED, SyncConfigStatus.DRAFT})


@dataclass(frozen=True, slots=True)
class Health:
    """As `SyncHealth` of the public schema, but for the dead letters."""

    stale: bool
    stalled: bool
    reason: str | None
    lag_seconds: float | None
    failure_rate: float

    @property
    def healthy(self) -> bool:
        """Whether there is nothing to tell."""
        return self.reason is None


def health(config: SyncConfig, job: Job | None, webhook: str | None = None, *, at: datetime) -> Health:
    """How a configuration is at a moment. `job`: its current one. `webhook`: why that fails; None: it does not."""
    stalled = _stalled(job, at)
    stale = _stale(config, job, at, stalled=stalled is not None)
    lag = None if config.last_sync_at is None else max(0.0, (at - config.last_sync_at).total_seconds())
    tried = config.total_synced + config.total_failed
    if config.status in _AT_REST:
        webhook = None
    reason = _ended_badly(config) or stalled or (_late(config) if stale else None) or webhook
    return Health(stale, stalled is not None, reason, lag, config.total_failed / tried if tried else 0.0)


def _ended_badly(config: SyncConfig) -> str | None:
    last = f" The last error: {config.last_error}" if config.last_error else ""
    if config.status == SyncConfigStatus.SUSPENDED:
        return f"Suspended after {config.consecutive_failures} failed runs in a row.{last}"
    if config.status in _AT_REST:
        return None
    if config.consecutive_failures == 1 or config.status == SyncConfigStatus.FAILED:
        return f"The last run failed.{last}"
    if config.consecutive_failures:
        return f"The last {config.consecutive_failures} runs failed.{last}"
    return None


def _stalled(job: Job | None, at: datetime) -> str | None:
    if job is None or job.status not in _AT_WORK:
        return None
    if job.lease_expires_at is None or job.lease_expires_at < at:
        return "The run's worker has not been heard of; another one takes over."
    if (job.sync or {}).get("stalled"):
        return "The run under way has not moved for a while."
    return None


def _stale(config: SyncConfig, job: Job | None, at: datetime, *, stalled: bool) -> bool:
    if config.status not in RUNNABLE or config.mode == SyncMode.ONE_TIME:
        return False
    if job is not None and job.status in _AT_WORK and not stalled:
        return False
    return at > _expected(config) + GRACE


def _expected(config: SyncConfig) -> datetime:
    """When the second run after the last good end, or after it was made, should have ended."""
    since = config.last_sync_at or config.created_at
    if config.cron is None:
        turn = timedelta(seconds=config.polling_interval_seconds)
        if config.next_sync_at is not None and not config.consecutive_failures:
            # A source that tells of its changes is listed less often: the next turn says how often.
            turn = max(turn, config.next_sync_at - since)
        return since + 2 * turn
    return next_cron(config.cron, config.time_zone, next_cron(config.cron, config.time_zone, since))


def _late(config: SyncConfig) -> str:
    if config.last_sync_at is None:
        return "No run has ended well yet."
    return f"No run has ended well since {config.last_sync_at.isoformat(timespec='seconds')}."
