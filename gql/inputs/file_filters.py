"""Which files of a source are taken."""

from __future__ import annotations

from datetime import datetime

import strawberry

from gql.inputs.given import given_fields
from gql.scalars import BigInt
from sluicegate.sync.file_filters import FileFilters


@strawberry.input(
    description="Which files are taken: those that pass every rule given. Null or an empty list is no rule."
    " At most 100 values in a list, each of at most 1,024 characters."
)
class FileFiltersInput:
    """Rules for files."""

    regex: str | None = strawberry.field(
        default=None, description="Keys that this matches from their start (RE2 syntax), at most 4,096 characters."
    )
    include_patterns: list[str] | None = strawberry.field(
        default=None,
        description="Paths below the source path that match one of these globs: * and ? within a folder, ** across"
        " folders, [a-z], [!a], {jpg,png}. Without a slash: the file's name in any folder.",
    )
    exclude_patterns: list[str] | None = strawberry.field(
        default=None, description="Not those that match one of these globs; they win over includePatterns."
    )
    extensions: list[str] | None = strawberry.field(
        default=None, description="Names that end in one of these, in any case: png, .png or tar.gz."
    )
    mime_types: list[str] | None = strawberry.field(
        default=None,
        description="Types from the listing, else by extension: video/mp4, or video/ for every video."
        " A file of unknown type is left out.",
    )
    min_size_bytes: BigInt | None = strawberry.field(
        default=None, description="This many bytes or more; an unknown size passes."
    )
    max_size_bytes: BigInt | None = strawberry.field(
        default=None, description="This many bytes or fewer; an unknown size passes."
    )
    modified_after: datetime | None = strawberry.field(
        default=None, description="Changed at this time or later; an unknown time passes."
    )
    modified_before: datetime | None = strawberry.field(
        default=None, description="Changed at this time or earlier; an unknown time passes."
    )


def file_filters_of(given: FileFiltersInput) -> FileFilters:
    """The filters that were given, unchecked."""
    return FileFilters(**given_fields(given))
