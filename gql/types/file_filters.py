"""Which files of a source are taken, as it is stored."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import strawberry

from gql.scalars import BigInt
from sluicegate.sync.file_filters import FileFilters as Rules


@strawberry.type(description="Which files are taken: those that pass every rule. Null or an empty list is no rule.")
class FileFilters:
    """Rules for files."""

    regex: str | None = strawberry.field(description="Keys that this matches from their start (RE2 syntax).")
    include_patterns: list[str] = strawberry.field(description="Paths that match one of these globs.")
    exclude_patterns: list[str] = strawberry.field(description="Not those that match one of these globs.")
    extensions: list[str] = strawberry.field(description="Names that end in one of these, in any case.")
    mime_types: list[str] = strawberry.field(description="Types from the listing, else by extension.")
    min_size_bytes: BigInt | None = strawberry.field(description="This many bytes or more.")
    max_size_bytes: BigInt | None = strawberry.field(description="This many bytes or fewer.")
    modified_after: datetime | None = strawberry.field(description="Changed at this time or later.")
    modified_before: datetime | None = strawberry.field(description="Changed at this time or earlier.")


def file_filters_view(stored: Mapping[str, Any]) -> FileFilters:
    """Stored filters."""
    rules = Rules.from_json(stored)
    return FileFilters(
        regex=rules.regex,
        include_patterns=list(rules.include_patterns),
        exclude_patterns=list(rules.exclude_patterns),
        extensions=list(rules.extensions),
        mime_types=list(rules.mime_types),
        min_size_bytes=rules.min_size_bytes,
        max_size_bytes=rules.max_size_bytes,
        modified_after=rules.modified_after,
        modified_before=rules.modified_before,
    )
