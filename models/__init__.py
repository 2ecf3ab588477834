"""Tables, sessions, keyset queries, status transitions and migrations: all SQL of Sluicegate is in this package."""

from models import (
    access,
    dead_letters,
    deliveries,
    jobs,
    objects,
    outcomes,
    projects,
    source_events,
    storages,
    sync_configs,
)

__all__ = [
    "access", "dead_letters", "deliveries", "jobs", "objects", "outcomes", "projects", "source_events", "storages",
    "sync_configs",
]  # fmt: skip
