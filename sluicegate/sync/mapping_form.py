"""A mapping as it is given and stored: read, and checked as far as it can be without a provider or a schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sluicegate.core.errors import InvalidError, SkippableError
from sluicegate.core.text import clean_text, json_text
from sluicegate.providers.base import MappingSource

MAX_MAPPINGS = 100
MAX_NAME = 256
MAX_KEY = 1_024
MAX_SEGMENT = 1_000
MAX_TRANSFORMS = 10
MAX_VALUES_BYTES = 64 << 10
"""Of all constants and defaults of a mapping together, as JSON."""


class MappingTarget(StrEnum):
    """What a value becomes."""

    BLOB = "BLOB"
    FIELD = "FIELD"


class MappingTransform(StrEnum):
    """What is done to a value before it is taken."""

    LOWERCASE = "LOWERCASE"
    UPPERCASE = "UPPERCASE"
    TRIM = "TRIM"
    JSON_PARSE = "JSON_PARSE"


class BlobType(StrEnum):
    """What a blob is. AUTO in a mapping alone: told from its MIME type or extension."""

    AUTO = "AUTO"
    IMAGE = "IMAGE"
    VIDEO = "VIDEO"
    AUDIO = "AUDIO"
    TEXT = "TEXT"
    DOCUMENT = "DOCUMENT"
    TABULAR = "TABULAR"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True)
class Rule:
    """One mapping. Of `key`, `pattern`, `segment` and `value` its source has one, or none. None is no value."""

    target: str
    target_type: MappingTarget
    blob_type: BlobType
    blob_name: str | None
    source: MappingSource
    key: str | None
    pattern: str | None
    segment: int | None
    value: Any
    transforms: tuple[MappingTransform, ...]
    required: bool
    default: Any
    path: tuple[str, ...]
    """Of the mapping in the input."""

    @property
    def name(self) -> str:
        """Of the field, or of the blob."""
        return self.blob_name or self.target


# What each source is told by; the names of the schema.
_KEYED = {MappingSource.TAG, MappingSource.METADATA, MappingSource.COLUMN, MappingSource.DRIVE_PROPERTY}
_TOLD_BY = {
    **dict.fromkeys(_KEYED, "key"),
    MappingSource.FILENAME_REGEX: "pattern",
    MappingSource.FOLDER_PATH: "segment",
    MappingSource.CONSTANT: "value",
}
_URLS = {MappingSource.TAG, MappingSource.METADATA, MappingSource.COLUMN}


def read_rules(mapping: Mapping[str, Any], path: Sequence[str]) -> list[Rule]:
    """The mappings of the JSON form. Raises InvalidError with the place in the input."""
    given: list[Mapping[str, Any]] = mapping.get("mappings") or []
    place = (*path, "mappings")
    if not given:
        raise InvalidError("A schema mapping has at least one mapping.", path=place, hint="Null is no mapping.")
    if len(given) > MAX_MAPPINGS:
        raise InvalidError(f"At most {MAX_MAPPINGS} mappings; there are {len(given):,}.", path=place)
    rules = [_read(item, (*place, str(number))) for number, item in enumerate(given)]
    _check_values(rules, place)
    _check_names(rules)
    return rules


def _read(item: Mapping[str, Any], path: tuple[str, ...]) -> Rule:
    source: Mapping[str, Any] = item["source"]
    rule = Rule(
        target=_name(item["target"], (*path, "target")),
        target_type=MappingTarget(item["targetType"]),
        blob_type=BlobType(item.get("blobType") or BlobType.AUTO),
        blob_name=None if item.get("property") is None else _name(item["property"], (*path, "property")),
        source=MappingSource(source["type"]),
        key=source.get("key"),
        pattern=source.get("pattern"),
        segment=source.get("segment"),
        value=source.get("value"),
        transforms=tuple(map(MappingTransform, item.get("transforms") or ())),
        required=bool(item.get("required")),
        default=item.get("default"),
        path=path,
    )
    _check_source(rule)
    (_check_blob if rule.target_type is MappingTarget.BLOB else _check_field)(rule)
    return rule


def _check_source(rule: Rule) -> None:
    path = (*rule.path, "source")
    told_by = _TOLD_BY.get(rule.source)
    for name in ("key", "pattern", "segment", "value"):
        if name != told_by and getattr(rule, name) is not None:
            raise InvalidError(f"The source {rule.source} has no {name}.", path=(*path, name), hint="Leave it out.")
    if told_by not in (None, "segment") and getattr(rule, told_by) is None:
        raise InvalidError(f"The source {rule.source} needs a {told_by}.", path=(*path, told_by))
    if rule.key is not None:
        _name(rule.key, (*path, "key"), longest=MAX_KEY)
    if rule.segment is not None and abs(rule.segment) > MAX_SEGMENT:
        message = f"A segment is -{MAX_SEGMENT:,} to {MAX_SEGMENT:,}."
        raise InvalidError(message, path=(*path, "segment"), hint="0 is the first folder, -1 the last.")
    if len(rule.transforms) > MAX_TRANSFORMS:
        message = f"At most {MAX_TRANSFORMS} transforms; there are {len(rule.transforms):,}."
        raise InvalidError(message, path=(*rule.path, "transforms"))
    if rule.source is MappingSource.CONSTANT and rule.transforms:
        raise InvalidError("A constant is not transformed.", path=(*rule.path, "transforms"), hint="Write the result.")


def _check_field(rule: Rule) -> None:
    if rule.source is MappingSource.FILE:
        hint = "Map the file to a blob: targetType BLOB."
        raise InvalidError("A field cannot hold a file.", path=(*rule.path, "source", "type"), hint=hint)
    if rule.blob_name is not None:
        message = "A property is the name of a blob; a field is named by its target."
        raise InvalidError(message, path=(*rule.path, "property"), hint="Leave it out.")
    if rule.blob_type is not BlobType.AUTO:
        raise InvalidError("A field has no blobType.", path=(*rule.path, "blobType"), hint="Leave it out.")


def _check_blob(rule: Rule) -> None:
    if rule.source is MappingSource.FILE:
        if rule.transforms:
            raise InvalidError("A file is not transformed.", path=(*rule.path, "transforms"), hint="Leave it out.")
        if rule.default is not None:
            raise InvalidError("A file is always there.", path=(*rule.path, "default"), hint="Leave it out.")
    elif rule.source not in _URLS:
        hint = f"These hold one: FILE, and a URL in {', '.join(sorted(_URLS))}."
        raise InvalidError(f"{rule.source} holds no blob.", path=(*rule.path, "source", "type"), hint=hint)


def _check_values(rules: Sequence[Rule], path: tuple[str, ...]) -> None:
    size = 0
    for rule in rules:
        for value, place in ((rule.value, ("source", "value")), (rule.default, ("default",))):
            if value is None:
                continue
            try:
                size += len(json_text(value, "value").encode())
            except SkippableError as error:
                raise InvalidError(error.message, path=(*rule.path, *place)) from None
    if size > MAX_VALUES_BYTES:
        message = f"The constants and defaults have {size:,} bytes as JSON; at most {MAX_VALUES_BYTES:,} together."
        raise InvalidError(message, path=path)


def _check_names(rules: Sequence[Rule]) -> None:
    names: set[tuple[MappingTarget, str]] = set()
    targets: dict[str, MappingTarget] = {}
    for rule in rules:
        if (rule.target_type, rule.name) in names:
            kind = "blob" if rule.target_type is MappingTarget.BLOB else "field"
            place = "target" if rule.blob_name is None else "property"
            hint = "Blobs of one target differ by their property." if kind == "blob" else None
            raise InvalidError(f"Two mappings make the {kind} {rule.name!r}.", path=(*rule.path, place), hint=hint)
        if targets.setdefault(rule.target, rule.target_type) is not rule.target_type:
            raise InvalidError(f"{rule.target!r} is a field and a blob.", path=(*rule.path, "target"))
        names.add((rule.target_type, rule.name))


def _name(value: str, path: tuple[str, ...], *, longest: int = MAX_NAME) -> str:
    if not value.strip():
        raise InvalidError("This is empty.", path=path)
    if len(value) > longest:
        raise InvalidError(f"At most {longest:,} characters; this has {len(value):,}.", path=path)
    try:
        return clean_text(value)
    except SkippableError as error:
        raise InvalidError(error.message, path=path) from None
