"""Whether a configuration does what it is there for, told from its row and its run."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.jobs import Job
from models.sync_configs import SyncConfig
from resolvers.health import health

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday


def ago(**time: float) -> datetime:
    return NOW - timedelta(**time)


def config(**columns: Any) -> SyncConfig:
    return SyncConfig(
        **{
            "status": "ACTIVE", "mode": "CONTINUOUS", "polling_interval_seconds": 300, "cron": None, "time_zone": "UTC",
            "created_at": ago(days=30), "last_sync_at": ago(minutes=1), "consecutive_failures": 0, "last_error": None,
            "total_synced": 0, "total_failed": 0, **columns,
        }
    )  # fmt: skip


def run(**columns: Any) -> Job:
    return Job(**{"status": "IN_PROGRESS", "lease_expires_at": ago(seconds=-9), "sync": {}, **columns})


def test_a_configuration_that_runs_as_it_should_is_healthy() -> None:
    found = health(config(total_synced=3, total_failed=1), None, at=NOW)
    assert (found.healthy, found.stale, found.stalled, found.reason) == (True, False, False, None)
    assert (found.lag_seconds, found.failure_rate) == (60.0, 0.25)
    never = health(config(last_sync_at=None, created_at=ago(minutes=1)), None, at=NOW)
    assert (never.healthy, never.lag_seconds, never.failure_rate) == (True, None, 0.0)


@pytest.mark.parametrize(
    ("columns", "stale"),
    [
        ({"last_sync_at": ago(seconds=660)}, False),
        ({"last_sync_at": ago(seconds=661)}, True),
        ({"last_sync_at": None, "created_at": ago(seconds=661)}, True),
        ({"last_sync_at": ago(days=9), "status": "PENDING"}, True),
        # Listed each hour, because the source tells of changes in between.
        ({"last_sync_at": ago(minutes=50), "next_sync_at": ago(minutes=-10)}, False),
        ({"last_sync_at": ago(minutes=122), "next_sync_at": ago(minutes=62)}, True),
        ({"last_sync_at": ago(days=9), "mode": "ONE_TIME", "status": "PENDING"}, False),
        *(({"last_sync_at": ago(days=9), "status": status}, False) for status in ("DRAFT", "PAUSED", "ARCHIVED")),
        # Daily at 11:30: it ran on Sunday, so Monday's and Tuesday's are waited for.
        ({"mode": "SCHEDULED", "cron": "30 11 * * *", "last_sync_at": ago(hours=24)}, False),
        ({"mode": "SCHEDULED", "cron": "30 11 * * *", "last_sync_at": ago(hours=49)}, True),
        ({"mode": "SCHEDULED", "cron": "30 11 * * 1-5", "last_sync_at": ago(days=3)}, False),
    ],
)
def test_stale_is_what_has_not_ended_well_in_two_turns(columns: dict[str, Any], stale: bool) -> None:
    found = health(config(**columns), None, at=NOW)
    assert (found.stale, found.healthy) == (stale, not stale)
    assert (found.reason is not None) == stale


def test_a_long_run_that_moves_is_waited_for() -> None:
    late = config(last_sync_at=ago(days=1), status="IN_PROGRESS")
    assert health(late, run(), at=NOW).healthy
    assert health(late, run(status="QUEUED", lease_expires_at=None), at=NOW).stale
    stalled = health(late, run(sync={"stalled": True}), at=NOW)
    assert (stalled.stale, stalled.stalled, stalled.healthy) == (True, True, False)


@pytest.mark.parametrize("columns", [{"sync": {"stalled": True}}, {"lease_expires_at": ago(seconds=1)}])
def test_a_run_that_does_not_move_is_stalled(columns: dict[str, Any]) -> None:
    found = health(config(status="IN_PROGRESS"), run(**columns), at=NOW)
    assert (found.stalled, found.healthy) == (True, False)
    assert not health(config(), run(**columns, status="PAUSED"), at=NOW).stalled


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"consecutive_failures": 1}, "The last run failed."),
        ({"consecutive_failures": 3}, "The last 3 runs failed."),
        ({"consecutive_failures": 5, "status": "SUSPENDED"}, "Suspended after 5 failed runs in a row."),
        ({"consecutive_failures": 1, "mode": "ONE_TIME", "status": "FAILED"}, "The last run failed."),
    ],
)
def test_failures_are_told_in_words(columns: dict[str, Any], words: str) -> None:
    found = health(config(**columns, last_error="NoSuchBucket"), None, at=NOW)
    assert (found.healthy, found.reason) == (False, f"{words} The last error: NoSuchBucket")
