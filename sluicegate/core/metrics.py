"""What Prometheus reads from `/metrics`. Labels take their values from short fixed lists: the series stay few.

Counters and durations are the process's. What is a state of one gateway (jobs, watchers, connections) is collected by
the application when it is asked for.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, GCCollector, Histogram, PlatformCollector, ProcessCollector

REGISTRY = CollectorRegistry(auto_describe=True)
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

HTTP_SECONDS = Histogram(
    "sluicegate_http_request_duration_seconds",
    "Time from the first byte of a request to the last of its response.",
    ("method", "route", "status"),
    buckets=_FAST,
    registry=REGISTRY,
)
"""`method`: a known one or OTHER. `route`: the first segment of a known path, or other. `status`: 2xx to 5xx."""

GRAPHQL_SECONDS = Histogram(
    "sluicegate_graphql_operation_duration_seconds",
    "Time from an operation's arrival to its result; of a subscription, to its end.",
    ("operation", "outcome"),
    buckets=_FAST,
    registry=REGISTRY,
)
"""`operation`: query, mutation, subscription or invalid. `outcome`: ok or error."""

WEBSOCKETS = Counter("sluicegate_websockets_opened", "WebSockets accepted.", registry=REGISTRY)

JOBS_FINISHED = Counter(
    "sluicegate_jobs_finished", "Jobs that reached a terminal status here.", ("job_class", "status"), registry=REGISTRY
)

SYNC_OBJECTS = Counter(
    "sluicegate_sync_objects", "Objects that runs have dealt with here.", ("outcome",), registry=REGISTRY
)
"""`outcome`: found, filtered, duplicate, unchanged, synced, failed or missing."""

SYNC_BYTES = Counter("sluicegate_sync_bytes", "Bytes that runs have read of objects here.", registry=REGISTRY)

WEBHOOK_ATTEMPTS = Counter(
    "sluicegate_webhook_attempts",
    "Messages to webhooks that were sent here, each time.",
    ("outcome",),
    registry=REGISTRY,
)
"""`outcome`: delivered, retried (it failed and is tried again) or failed (it is not)."""

SCHEDULE_RUNS = Counter(
    "sluicegate_schedule_runs", "Runs of sync configurations that came due here.", ("outcome",), registry=REGISTRY
)
"""`outcome`: started, or skipped because the run before had not ended."""

SCHEDULE_LAG_SECONDS = Histogram(
    "sluicegate_schedule_lag_seconds",
    "How late the most overdue configuration was each time that some were started.",
    buckets=(0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0),
    registry=REGISTRY,
)

EVENTS_DROPPED = Counter(
    "sluicegate_hub_dropped",
    "Messages that were given up for one that asks everybody to read the rows.",
    ("direction",),
    registry=REGISTRY,
)
"""`direction`: outgoing (they waited for the channel) or incoming (they waited for this process)."""

EVENTS_ECHO_SECONDS = Histogram(
    "sluicegate_hub_echo_seconds",
    "Time from the publication of an echo to its return through the event channel.",
    buckets=_FAST,
    registry=REGISTRY,
)
