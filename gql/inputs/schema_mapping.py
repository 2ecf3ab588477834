"""What becomes of an object's tags, columns and path."""

from __future__ import annotations

from typing import Any

import strawberry

from gql.scalars import JSON
from gql.types.enums import BlobType, MappingSource, MappingTarget, MappingTransform


@strawberry.input(description="Where a value comes from. Give what belongs to the type, and nothing else.")
class MappingSourceInput:
    """A source."""

    type: MappingSource = strawberry.field(description="The kind of source; not every provider has every one.")
    key: str | None = strawberry.field(
        default=None,
        description="For TAG, METADATA, COLUMN and DRIVE_PROPERTY: its name. Names of METADATA are compared in any case"
        " and without x-amz-meta-.",
    )
    pattern: str | None = strawberry.field(
        default=None,
        description="For FILENAME_REGEX: a regex (RE2 syntax) with exactly one group, looked for anywhere in the file's"
        " name.",
    )
    segment: int | None = strawberry.field(
        default=None,
        description="For FOLDER_PATH: 0 is the first folder below the source path, -1 the last; null all of them,"
        " joined by slashes.",
    )
    value: JSON | None = strawberry.field(default=None, description="For CONSTANT: any JSON value but null.")


@strawberry.input(description="One field or blob of the objects, and where it comes from.")
class MappingInput:
    """A mapping."""

    target: str = strawberry.field(
        description="A field or blob, 1 to 256 characters; one of the project's objectSchema, where that names any."
    )
    target_type: MappingTarget = strawberry.field(description="What the value becomes.")
    blob_type: BlobType = strawberry.field(default=BlobType.AUTO, description="For a blob: what it is.")
    property: str | None = strawberry.field(
        default=None, description="For a blob: its name, where that is not the target; one target can have several."
    )
    source: MappingSourceInput = strawberry.field(
        description="Where the value comes from. For a blob: FILE, or a URL (http, https, s3 or gs) in TAG, METADATA or"
        " COLUMN."
    )
    transforms: list[MappingTransform] | None = strawberry.field(
        default_factory=list, description="Done to the value in this order; what is not text stays as it is."
    )
    required: bool = strawberry.field(
        default=False, description="An object without the value fails; else it is without the field or blob."
    )
    default: JSON | None = strawberry.field(
        default=None, description="The value where there is none, taken as it is; null is none."
    )


@strawberry.input(
    description="What the fields and blobs of the objects are made of, at most 100 mappings. Their constants and"
    " defaults may have 64 KiB as JSON together."
)
class SchemaMappingInput:
    """Mappings."""

    mappings: list[MappingInput] = strawberry.field(
        description="One a field or blob. Without a blob among them, the file is blob content."
    )


def schema_mapping_of(given: SchemaMappingInput) -> dict[str, Any]:
    """The mapping that was given, unchecked, in the form in which it is stored."""
    return {"mappings": [_mapping(item) for item in given.mappings]}


def _mapping(given: MappingInput) -> dict[str, Any]:
    blob = given.target_type is MappingTarget.BLOB
    return {
        "target": given.target,
        "targetType": given.target_type.value,
        # A field has none; but AUTO is what nobody gave.
        "blobType": given.blob_type.value if blob or given.blob_type is not BlobType.AUTO else None,
        "property": given.property,
        "source": {
            "type": given.source.type.value,
            "key": given.source.key,
            "pattern": given.source.pattern,
            "segment": given.source.segment,
            "value": given.source.value,
        },
        "transforms": [transform.value for transform in given.transforms or ()],
        "required": given.required,
        "default": given.default,
    }
