"""What lists are sorted by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Protocol

import strawberry

from gql.types.enums import SortDirection, show
from models.pagination import SortKey
from sluicegate.core.errors import InvalidError

MAX_SORT_KEYS = 8


class StorageOrderField(StrEnum):
    """What storages are sorted by."""

    TITLE = "TITLE"
    TYPE = "TYPE"
    STATUS = "STATUS"
    CREATED_AT = "CREATED_AT"
    UPDATED_AT = "UPDATED_AT"
    LAST_SYNC = "LAST_SYNC"


class SyncConfigOrderField(StrEnum):
    """What sync configurations are sorted by."""

    NAME = "NAME"
    STATUS = "STATUS"
    CREATED_AT = "CREATED_AT"
    UPDATED_AT = "UPDATED_AT"
    LAST_SYNC_AT = "LAST_SYNC_AT"
    NEXT_SYNC_AT = "NEXT_SYNC_AT"


class JobOrderField(StrEnum):
    """What jobs are sorted by."""

    JOB_CLASS = "JOB_CLASS"
    PRIORITY = "PRIORITY"
    STATUS = "STATUS"
    PROGRESS = "PROGRESS"
    RETRY_COUNT = "RETRY_COUNT"
    SCHEDULED_AT = "SCHEDULED_AT"
    CREATED_AT = "CREATED_AT"
    UPDATED_AT = "UPDATED_AT"


class SyncedObjectOrderField(StrEnum):
    """What objects are sorted by."""

    PATH = "PATH"
    SIZE_BYTES = "SIZE_BYTES"
    SOURCE_MODIFIED_AT = "SOURCE_MODIFIED_AT"
    SYNCED_AT = "SYNCED_AT"


show(
    StorageOrderField,
    {
        "TITLE": "By title, byte by byte.",
        "TYPE": "By kind of source.",
        "STATUS": "By the state of the last sync, alphabetically.",
        "CREATED_AT": "By when it was made.",
        "UPDATED_AT": "By when it last changed.",
        "LAST_SYNC": "By when the last sync ended; never synced comes last.",
    },
)
show(
    SyncConfigOrderField,
    {
        "NAME": "By name, byte by byte.",
        "STATUS": "By state, alphabetically.",
        "CREATED_AT": "By when it was made.",
        "UPDATED_AT": "By when it last changed.",
        "LAST_SYNC_AT": "By when a run last ended well; never comes last.",
        "NEXT_SYNC_AT": "By when the next run is due; none comes last.",
    },
)
show(
    JobOrderField,
    {
        "JOB_CLASS": "By class, alphabetically.",
        "PRIORITY": "By priority.",
        "STATUS": "By state, alphabetically.",
        "PROGRESS": "By progress; unknown comes last.",
        "RETRY_COUNT": "By the number of retries.",
        "SCHEDULED_AT": "By when it was asked to start; at once comes last.",
        "CREATED_AT": "By when it was asked for.",
        "UPDATED_AT": "By when it last changed.",
    },
)
show(
    SyncedObjectOrderField,
    {
        "PATH": "By path, byte by byte.",
        "SIZE_BYTES": "By size; unknown comes last.",
        "SOURCE_MODIFIED_AT": "By when the source changed it; unknown comes last.",
        "SYNCED_AT": "By when a sync last wrote it.",
    },
)

_DIRECTION = "Which way; null comes last either way."


@strawberry.input(description="One sort key of storages; ties are decided by the next, at last by the id.")
class StorageOrder:
    """Of storages."""

    field: StorageOrderField = strawberry.field(description="By what.")
    direction: SortDirection = strawberry.field(default=SortDirection.ASC, description=_DIRECTION)


@strawberry.input(description="One sort key of configurations; ties are decided by the next, at last by the id.")
class SyncConfigOrder:
    """Of sync configurations."""

    field: SyncConfigOrderField = strawberry.field(description="By what.")
    direction: SortDirection = strawberry.field(default=SortDirection.ASC, description=_DIRECTION)


@strawberry.input(description="One sort key of jobs; ties are decided by the next, at last by the id.")
class JobOrder:
    """Of jobs."""

    field: JobOrderField = strawberry.field(description="By what.")
    direction: SortDirection = strawberry.field(default=SortDirection.ASC, description=_DIRECTION)


@strawberry.input(description="One sort key of objects; ties are decided by the next, at last by the id.")
class SyncedObjectOrder:
    """Of objects."""

    field: SyncedObjectOrderField = strawberry.field(description="By what.")
    direction: SortDirection = strawberry.field(default=SortDirection.ASC, description=_DIRECTION)


class _Sort(Protocol):
    @property
    def field(self) -> StrEnum: ...

    @property
    def direction(self) -> SortDirection: ...


def sort_keys(given: Sequence[_Sort] | None, sorts: Mapping[str, SortKey]) -> tuple[SortKey, ...]:
    """The columns of an order. Raises InvalidError for more than 8."""
    if given is None:
        return ()
    if len(given) > MAX_SORT_KEYS:
        raise InvalidError(f"At most {MAX_SORT_KEYS} sort keys.", path=("orderBy",))
    keys: list[SortKey] = []
    for sort in given:
        key = sorts[sort.field]
        keys.append(SortKey(key.column, key.kind, sort.direction == SortDirection.DESC, key.nullable))
    return tuple(keys)


_ORDERED = strawberry.argument(description="Sort keys, the first decides first; at most 8.")
StorageOrders = Annotated[list[StorageOrder] | None, _ORDERED]
SyncConfigOrders = Annotated[list[SyncConfigOrder] | None, _ORDERED]
JobOrders = Annotated[list[JobOrder] | None, _ORDERED]
SyncedObjectOrders = Annotated[list[SyncedObjectOrder] | None, _ORDERED]
