"""Where the value of one mapping comes from, and what becomes of it on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

from sluicegate.core.errors import ErrorCode, InvalidError, SkippableError
from sluicegate.providers.base import MappingSource
from sluicegate.sync.filters import compile_regex
from sluicegate.sync.mapping_form import MappingTransform, Rule
from sluicegate.sync.mapping_schema import MAX_FIELDS, too_large
from sluicegate.sync.readers.json_text import DECODER

Texts = Mapping[str, str]
Reader = Callable[[str, Any, Texts, Texts], Any]
"""(path, record, tags, metadata) → a value; None is no value. Raises SkippableError."""

_METADATA_PREFIX = "x-amz-meta-"
_REGEX_MEMORY_BYTES = 1 << 20


def reader(rule: Rule, base: str) -> Reader:
    """What reads the rule's value: its source, transformed, else its default. `base`: of paths, as for filters.

    Raises InvalidError for a pattern that does not compile or has not exactly one group.
    """
    read = _source(rule, base)
    for transform in rule.transforms:
        read = _then(read, _TRANSFORMS[transform] if transform in _TRANSFORMS else _parser(rule))
    if rule.default is not None:
        return _or_else(read, rule.default)
    return _or_fail(read, rule) if rule.required else read


def makes_text(rule: Rule) -> bool:
    """Whether every value is text from the path, which databases can hold as it is."""
    from_path = rule.source in (MappingSource.FILENAME_REGEX, MappingSource.FOLDER_PATH)
    return from_path and rule.default is None and MappingTransform.JSON_PARSE not in rule.transforms


def _source(rule: Rule, base: str) -> Reader:
    key = cast("str", rule.key)
    if rule.source is MappingSource.TAG:
        return lambda _path, _record, tags, _metadata: tags.get(key)
    if rule.source in (MappingSource.METADATA, MappingSource.DRIVE_PROPERTY):
        if rule.source is MappingSource.METADATA:
            key = key.lower().removeprefix(_METADATA_PREFIX)
        return lambda _path, _record, _tags, metadata: metadata.get(key)
    if rule.source is MappingSource.COLUMN:
        return partial(_column, key)
    if rule.source is MappingSource.FILENAME_REGEX:
        return _filename(rule)
    if rule.source is MappingSource.FOLDER_PATH:
        return _folders(rule.segment, base)
    value = rule.value
    return lambda _path, _record, _tags, _metadata: value


def _column(key: str, _path: str, record: Any, _tags: Texts, _metadata: Texts) -> Any:
    value = cast("dict[str, Any]", record).get(key) if isinstance(record, dict) else None
    if isinstance(value, str) and len(value) > MAX_FIELDS:  # before it is transformed: that takes as long as it is
        raise too_large(len(value), MAX_FIELDS)
    return value


def _filename(rule: Rule) -> Reader:
    place = (*rule.path, "source", "pattern")
    compiled = compile_regex(cast("str", rule.pattern), path=place, groups=True, memory=_REGEX_MEMORY_BYTES)
    if compiled.groups != 1:
        hint = "Put what is to be taken in parentheses; (?:…) groups without counting."
        raise InvalidError(f"The pattern has {compiled.groups} groups, not one.", path=place, hint=hint)
    group = compiled.first_group
    return lambda path, _record, _tags, _metadata: group(path[path.rfind("/") + 1 :])


def _folders(segment: int | None, base: str) -> Reader:
    # In the text of a key that is not UTF-8 a percent sign is encoded.
    other = base.replace("%", "%25")
    start, other_start = len(base), len(other)

    def folder(path: str) -> str:
        if path.startswith(base):
            return path[start : path.rfind("/")] if path.rfind("/") > start else ""
        return path[other_start : path.rfind("/")] if path.startswith(other) and path.rfind("/") > other_start else ""

    if segment is None:
        return lambda path, _record, _tags, _metadata: folder(path) or None
    at = segment

    def one(path: str, _record: Any, _tags: Texts, _metadata: Texts) -> str | None:
        whole = folder(path)
        names = whole.split("/")
        return (names[at] or None) if -len(names) <= at < len(names) else None

    return one


def _then(read: Reader, transform: Callable[[Any], Any]) -> Reader:
    def transformed(path: str, record: Any, tags: Texts, metadata: Texts) -> Any:
        value = read(path, record, tags, metadata)
        return transform(value) if isinstance(value, str) else value

    return transformed


def _or_else(read: Reader, default: Any) -> Reader:
    def value_or_default(path: str, record: Any, tags: Texts, metadata: Texts) -> Any:
        value = read(path, record, tags, metadata)
        return default if value is None else value

    return value_or_default


def _or_fail(read: Reader, rule: Rule) -> Reader:
    message = f"{rule.name!r} is required, and the object has {_absence(rule)}."

    def required(path: str, record: Any, tags: Texts, metadata: Texts) -> Any:
        value = read(path, record, tags, metadata)
        if value is None:
            raise SkippableError(message, code=ErrorCode.INVALID)
        return value

    return required


def _absence(rule: Rule) -> str:
    if rule.source is MappingSource.FILENAME_REGEX:
        return "a name that the pattern does not match"
    if rule.source is MappingSource.FOLDER_PATH:
        return "no folder" if rule.segment is None else f"no folder {rule.segment}"
    return f"no value in the {_KINDS[rule.source]} {rule.key!r}"


_KINDS = {
    MappingSource.TAG: "tag",
    MappingSource.METADATA: "metadata",
    MappingSource.COLUMN: "column",
    MappingSource.DRIVE_PROPERTY: "property",
}
_TRANSFORMS: dict[MappingTransform, Callable[[str], Any]] = {
    MappingTransform.LOWERCASE: str.lower,
    MappingTransform.UPPERCASE: str.upper,
    MappingTransform.TRIM: str.strip,
}


def _parser(rule: Rule) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            return DECODER.decode(text)
        except RecursionError:
            reason = "it is nested too deeply"
        except ValueError as error:
            reason = str(error)
        raise SkippableError(f"The value of {rule.name!r} is no JSON: {reason}.", code=ErrorCode.INVALID)

    return parse
