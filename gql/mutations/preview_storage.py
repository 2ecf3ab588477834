"""previewStorage."""

from __future__ import annotations

import strawberry

from gql.context import Info
from gql.errors import payload
from gql.inputs.file_filters import FileFiltersInput, file_filters_of
from gql.types.errors import UserError
from gql.types.previews import PreviewItem
from gql.types.progress import FilterCount, filter_counts_of
from gql.types.warnings import Notice, warning_of
from resolvers import probes
from sluicegate.core.clock import from_micros
from sluicegate.sync.preview import PreviewItem as Found


@strawberry.input(description="What a sync of a storage would take.")
class PreviewStorageInput:
    """Which storage, and how much to show."""

    id: strawberry.ID = strawberry.field(description="Which storage.")
    first: int = strawberry.field(default=25, description="How many objects to show, at most 1,000.")
    file_filters: FileFiltersInput | None = strawberry.field(
        default=None,
        description="Try these instead of the stored ones: regexFilter, or the fileFilters of the configuration.",
    )
    sync_config_id: strawberry.ID | None = strawberry.field(
        default=None, description="As this configuration of the storage does it: its path, its filters, its mode."
    )


@strawberry.type(description="The first objects of a source and the rule that leaves each out, with counts.")
class PreviewStoragePayload:
    """The answer of previewStorage."""

    items: list[PreviewItem] = strawberry.field(
        default_factory=list[PreviewItem], description="The first objects, in the order of the listing."
    )
    listed: int = strawberry.field(
        default=0, description="How many objects were looked at: at most 10,000, for at most 10 seconds."
    )
    complete: bool = strawberry.field(default=False, description="Whether those are all.")
    filtered: list[FilterCount] = strawberry.field(
        default_factory=list[FilterCount], description="How many of those looked at each rule leaves out."
    )
    warnings: list[Notice] = strawberry.field(
        default_factory=list[Notice], description="Why nothing would be imported, where that is so."
    )
    errors: list[UserError] = strawberry.field(default_factory=list[UserError], description="What went wrong.")


@payload(PreviewStoragePayload)
async def preview_storage(info: Info, input: PreviewStorageInput) -> PreviewStoragePayload:
    """Lists some of a source."""
    filters = None if input.file_filters is None else file_filters_of(input.file_filters)
    seen = await probes.preview_storage(
        info.context.services,
        info.context.viewer,
        input.id,
        input.first,
        file_filters=filters,
        sync_config_id=input.sync_config_id,
    )
    found = seen.found
    return PreviewStoragePayload(
        items=list(map(_item, found.items)),
        listed=found.listed,
        complete=found.complete,
        filtered=filter_counts_of(found.filtered),
        warnings=list(map(warning_of, seen.warnings)),
    )


def _item(found: Found) -> PreviewItem:
    modified = found.entry.modified
    return PreviewItem(
        path=found.path,
        size_bytes=found.entry.size,
        modified_at=None if modified is None else from_micros(modified),
        imported=found.filtered_by is None,
        filtered_by=found.filtered_by,
    )
