"""A schema mapping, compiled: what makes an object's fields and blobs. What each source means: docs/mapping.md.

Runs for every object of a listing, so that what can be known before is made before: constants are JSON text already,
and what comes from the folder is made once for all files that follow one another in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from sluicegate.core.errors import InvalidError
from sluicegate.core.text import json_text
from sluicegate.providers.base import MappingSource
from sluicegate.providers.registry import ProviderSpec
from sluicegate.sync.mapping_blobs import BlobMapper
from sluicegate.sync.mapping_form import MappingTarget, Rule, read_rules
from sluicegate.sync.mapping_schema import MAX_FIELDS, ObjectSchema, read_schema, too_large
from sluicegate.sync.mapping_values import Reader, Texts, makes_text, reader

_NOTHING: Mapping[str, str] = {}
_NO_TARGETS: dict[str, None] = {}
_quoted: Callable[[str], str] = json.encoder.encode_basestring


Mapped = tuple[str | None, str | None]
"""(fields, blobs), JSON text for the catalogue. None: there are no fields; the file is blob `content`."""


class Mapper:
    """Makes what a mapping says of one object after another. `needs_tags`, `needs_metadata`: what must be fetched."""

    __slots__ = (
        "_blobs", "_constants", "_fields", "_fixed", "_folder", "_folder_fields", "_schema", "_text", "_values",
        "needs_metadata", "needs_tags",
    )  # fmt: skip

    def __init__(self, rules: Sequence[Rule], base: str, schema: ObjectSchema | None) -> None:
        sources = {rule.source for rule in rules}
        self.needs_tags = MappingSource.TAG in sources
        self.needs_metadata = not sources.isdisjoint({MappingSource.METADATA, MappingSource.DRIVE_PROPERTY})
        blobs = [rule for rule in rules if rule.target_type is MappingTarget.BLOB]
        self._blobs = BlobMapper(blobs, base) if blobs else None
        fields = [rule for rule in rules if rule.target_type is MappingTarget.FIELD]
        fixed = [rule for rule in fields if rule.source is MappingSource.CONSTANT]
        self._fixed = {rule.target: rule.value for rule in fixed}
        self._constants = ",".join(f"{_quoted(name)}:{json_text(value)}" for name, value in self._fixed.items())
        folders = [rule for rule in fields if rule.source is MappingSource.FOLDER_PATH]
        self._folder_fields = [_field(rule, base) for rule in folders]
        self._fields = [_field(rule, base) for rule in fields if rule not in fixed and rule not in folders]
        self._schema = schema
        self._folder: str | None = None
        self._text, self._values = "", self._fixed

    def map(
        self,
        path: str,
        record: object | None = None,
        tags: Texts | None = None,
        metadata: Texts | None = None,
        mime: str | None = None,
    ) -> Mapped:
        """What the object becomes. `mime`: of the listing, where it tells one.

        Raises SkippableError: a required value is missing, is no JSON or URL where it must be one, cannot be stored,
        or is refused by the project's schema.
        """
        tags, metadata = tags or _NOTHING, metadata or _NOTHING
        folder = path[: path.rfind("/") + 1]
        if folder != self._folder:
            self._enter(folder, path)
        fields, values, schema = self._text, self._values, self._schema
        if schema is not None:
            values = values.copy()
        for target, start, read, encode in self._fields:
            value = read(path, record, tags, metadata)
            if value is None:
                continue
            if schema is not None:
                values[target] = value
            text = start + encode(value)
            fields = f"{fields},{text}" if fields else text
            if len(fields) > MAX_FIELDS:  # now: of each column of a large record a hundred fields could be made
                raise too_large(len(fields), MAX_FIELDS)
        blobs, targets = None, _NO_TARGETS
        if self._blobs is not None:
            blobs, targets = self._blobs.of_object(path, record, tags, metadata, mime)
        if schema is not None:
            schema.check({**values, **targets}, len(fields))
        return ("{" + fields + "}" if fields else None, blobs)

    def _enter(self, folder: str, path: str) -> None:
        """Makes what all files of the folder have: constants, and what comes from the folder."""
        self._folder = None
        parts, values = [self._constants] if self._constants else [], self._fixed.copy()
        for target, start, read, encode in self._folder_fields:
            value = read(path, None, _NOTHING, _NOTHING)
            if value is not None:
                values[target] = value
                parts.append(start + encode(value))
        text = ",".join(parts)
        if len(text) > MAX_FIELDS:
            raise too_large(len(text), MAX_FIELDS)
        self._folder, self._text, self._values = folder, text, values


def compile_mapping(
    mapping: Mapping[str, Any], *, base: str, object_schema: Any, path: Sequence[str] = ("schemaMapping",)
) -> Mapper:
    """The mapper of the stored JSON form. `base`: the start of every path that folders are relative to.

    Raises InvalidError at the first thing that is wrong, of the mapping or of the project's schema.
    """
    rules = read_rules(mapping, path)
    schema = None if object_schema is None else read_schema(object_schema)
    if schema is not None:
        _check_targets(rules, schema)
    return Mapper(rules, base, schema)


def check_mapping(
    mapping: Mapping[str, Any],
    *,
    spec: ProviderSpec,
    reads_records: bool,
    object_schema: Any,
    path: Sequence[str] = ("schemaMapping",),
) -> None:
    """Whether a mapping can be saved for a provider. `reads_records`: files are read, so that there are columns.

    Raises InvalidError as `compile_mapping`, and for a source that the provider lacks.
    """
    available = set(spec.mapping_sources)
    if reads_records:
        available.add(MappingSource.COLUMN)
    for rule in read_rules(mapping, path):
        if rule.source in available:
            continue
        place = (*rule.path, "source", "type")
        if rule.source is MappingSource.COLUMN:
            hint = "Set useBlobUrls to false, so that the records of the files are read."
            raise InvalidError("There are no columns where a file is an object.", path=place, hint=hint)
        hint = f"It has {', '.join(sorted(available))}."
        raise InvalidError(f"{spec.name} has no {rule.source} to map from.", path=place, hint=hint)
    compile_mapping(mapping, base="", object_schema=object_schema, path=path)


def _field(rule: Rule, base: str) -> tuple[str, str, Reader, Callable[[Any], str]]:
    """(target, its JSON up to the value, what reads the value, what writes it)."""
    encode = _quoted if makes_text(rule) else partial(json_text, what=f"value of {rule.target!r}")
    return rule.target, _quoted(rule.target) + ":", reader(rule, base), encode


def _check_targets(rules: Sequence[Rule], schema: ObjectSchema) -> None:
    if not schema.fields and not schema.blobs:
        return
    for rule in rules:
        known = schema.blobs if rule.target_type is MappingTarget.BLOB else schema.fields
        if rule.target in known:
            continue
        kind = "blob" if rule.target_type is MappingTarget.BLOB else "field"
        has = ", ".join(sorted(known)[:20]) or "none"
        hint = f"It has these: {has}. A property of the schema with x-blob: true is a blob, any other a field."
        message = f"The project's schema has no {kind} {rule.target!r}."
        raise InvalidError(message, path=(*rule.path, "target"), hint=hint)
