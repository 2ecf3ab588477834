"""What becomes of an object's tags, columns and path, as it is stored."""

from __future__ import annotations

from collections.abc import Mapping as Values
from typing import Any

import strawberry

from gql.scalars import JSON
from gql.types.enums import BlobType, MappingSource, MappingTarget, MappingTransform


@strawberry.type(name="MappingSource", description="Where a value comes from.")
class MappingSourceView:
    """A source."""

    type: MappingSource = strawberry.field(description="The kind of source.")
    key: str | None = strawberry.field(description="The name of a tag, metadata entry, column or property.")
    pattern: str | None = strawberry.field(description="For FILENAME_REGEX: exactly one group.")
    segment: int | None = strawberry.field(
        description="For FOLDER_PATH: 0 is the first folder, -1 the last; null the whole path."
    )
    value: JSON | None = strawberry.field(description="Of a constant.")


@strawberry.type(description="One field or blob of the objects, and where it comes from.")
class Mapping:
    """A mapping."""

    target: str = strawberry.field(description="The field or blob.")
    target_type: MappingTarget = strawberry.field(description="What the value becomes.")
    blob_type: BlobType | None = strawberry.field(description="What a blob is; null for a field.")
    property: str | None = strawberry.field(description="A blob's name, where that is not the target.")
    source: MappingSourceView = strawberry.field(description="Where the value comes from.")
    transforms: list[MappingTransform] = strawberry.field(description="Done to the value in this order.")
    required: bool = strawberry.field(description="An object without the value fails.")
    default: JSON | None = strawberry.field(description="The value where there is none.")


@strawberry.type(description="What the fields and blobs of the objects are made of.")
class SchemaMapping:
    """Mappings."""

    mappings: list[Mapping] = strawberry.field(description="One a field or blob.")


def schema_mapping_view(stored: Values[str, Any]) -> SchemaMapping:
    """A stored mapping."""
    return SchemaMapping(mappings=[_mapping(item) for item in stored["mappings"]])


def _mapping(item: Values[str, Any]) -> Mapping:
    source = item["source"]
    return Mapping(
        target=item["target"],
        target_type=MappingTarget(item["targetType"]),
        blob_type=None if item.get("blobType") is None else BlobType(item["blobType"]),
        property=item.get("property"),
        source=MappingSourceView(
            type=MappingSource(source["type"]),
            key=source.get("key"),
            pattern=source.get("pattern"),
            segment=source.get("segment"),
            value=source.get("value"),
        ),
        transforms=[MappingTransform(name) for name in item.get("transforms") or ()],
        required=bool(item.get("required")),
        default=item.get("default"),
    )
