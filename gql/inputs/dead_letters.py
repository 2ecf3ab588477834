"""Which dead letters."""

from __future__ import annotations

from typing import Annotated

import strawberry

from gql.inputs.conditions import DateTimeFilter, StringFilter, between, text_match, texts
from gql.inputs.filters import numbers
from gql.types.list_enums import DeadLetterStatus
from models.dead_letter_queries import DeadLetterCriteria


@strawberry.input(description="Which dead letters. All that is given must hold.")
class DeadLetterFilter:
    """Of dead letters."""

    sync_config_id: strawberry.ID | None = strawberry.field(default=None, description="Of this configuration.")
    storage_id: strawberry.ID | None = strawberry.field(default=None, description="Of this storage.")
    project_id: strawberry.ID | None = strawberry.field(default=None, description="Of this project.")
    status: list[DeadLetterStatus] | None = strawberry.field(default=None, description="One of these states.")
    error_type: list[str] | None = strawberry.field(default=None, description="One of these error types.")
    path: StringFilter | None = strawberry.field(default=None, description="By the record's path.")
    last_seen_at: DateTimeFilter | None = strawberry.field(default=None, description="By when it last failed.")


DeadLetterFilterArgument = Annotated[
    DeadLetterFilter | None, strawberry.argument(description="Only those that meet all of this.")
]


def dead_letter_criteria(given: DeadLetterFilter | None) -> DeadLetterCriteria:
    """Which dead letters a filter means."""
    if given is None:
        return DeadLetterCriteria()
    return DeadLetterCriteria(
        sync_config_id=_one(given.sync_config_id, "SyncConfig", "syncConfigId"),
        storage_id=_one(given.storage_id, "Storage", "storageId"),
        project_id=_one(given.project_id, "Project", "projectId"),
        status=texts(given.status, "filter", "status"),
        error_type=texts(given.error_type, "filter", "errorType"),
        path=text_match(given.path, "path"),
        last_seen_at=between(given.last_seen_at, "lastSeenAt"),
    )


def _one(given: str | None, kind: str, name: str) -> tuple[int, ...] | None:
    return None if given is None else numbers([given], kind, name)
