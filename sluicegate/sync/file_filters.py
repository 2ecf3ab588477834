"""The file filters of a caller: checked, and compiled into rules. What each rule means: docs/filters.md."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Self

from sluicegate.core.clock import to_micros
from sluicegate.core.errors import InvalidError, SkippableError
from sluicegate.core.text import clean_text
from sluicegate.providers.base import Entry
from sluicegate.providers.parsing import camel
from sluicegate.sync.filters import RECORDS_RULE, Filters, Rule, regex_rule
from sluicegate.sync.glob_forms import glob_matcher
from sluicegate.sync.globs import GlobError, translate
from sluicegate.sync.linear import LinearError
from sluicegate.sync.media import mime_and_modality

MIN_SIZE = "min_size_bytes"
MAX_SIZE = "max_size_bytes"
MODIFIED_AFTER = "modified_after"
MODIFIED_BEFORE = "modified_before"
EXTENSIONS = "extensions"
MIME_TYPES = "mime_types"
INCLUDE = "include_patterns"
EXCLUDE = "exclude_patterns"

MAX_VALUES = 100
MAX_LENGTH = 1_024
# All patterns of a list together: a match takes time in proportion to what RE2 makes of them.
_GLOB_MEMORY_BYTES = 8 << 20
# RFC 6838, section 4.2: the names of types and subtypes.
_MIME = re.compile(r"(?P<type>[a-z0-9][a-z0-9!#$&^_.+-]*)/(?P<subtype>\*|[a-z0-9][a-z0-9!#$&^_.+-]*)?")


@dataclass(frozen=True, slots=True)
class FileFilters:
    """As given: an empty list or None is no rule. Sizes in bytes; times aware; both bounds included."""

    regex: str | None = None
    include_patterns: Sequence[str] = ()
    exclude_patterns: Sequence[str] = ()
    extensions: Sequence[str] = ()
    mime_types: Sequence[str] = ()
    min_size_bytes: int | None = None
    max_size_bytes: int | None = None
    modified_after: datetime | None = None
    modified_before: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """What is given, under the names of the schema; times in RFC 3339."""
        values = {camel(name): getattr(self, name) for name in _NAMES}
        return {
            name: _plain(value) for name, value in values.items() if value is not None and value not in ("", (), [])
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """What `to_json` made."""
        given: dict[str, Any] = {name: value[key] for name in _NAMES if (key := camel(name)) in value}
        for name in _TIMES & given.keys():
            given[name] = datetime.fromisoformat(given[name])
        return cls(**given)


_NAMES = tuple(field.name for field in fields(FileFilters))
_TIMES = {"modified_after", "modified_before"}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return value if isinstance(value, str | int) else list(value)


def compile_filters(given: FileFilters, *, base: str, records_only: bool, path: Sequence[str]) -> Filters:
    """The rules, cheapest first. `base`: the start of every key, up to the slash that globs are relative to.

    `records_only`: files without records are left out too. `path`: of the filters in the input.
    Raises InvalidError at the first value that is not allowed.
    """
    rules = [*_size_rules(given, path), *_time_rules(given, path)]
    if given.extensions:
        rules.append(_extension_rule(given.extensions, (*path, "extensions")))
    if given.mime_types:
        rules.append(_mime_rule(given.mime_types, (*path, "mimeTypes")))
    if given.include_patterns:
        takes = _globs(given.include_patterns, base, (*path, "includePatterns"))
        rules.append((INCLUDE, lambda _, text: takes(text)))
    if given.exclude_patterns:
        leaves = _globs(given.exclude_patterns, base, (*path, "excludePatterns"))
        rules.append((EXCLUDE, lambda _, text: not leaves(text)))
    if given.regex:
        rules.append(regex_rule(_text(given.regex, (*path, "regex")), path=(*path, "regex")))
    if records_only:
        rules.append(RECORDS_RULE)
    return Filters(tuple(rules))


def base_of_prefix(prefix: str) -> str:
    """The folder that an S3 prefix ends in, with its slash: `in/2026-` is the folder `in/`."""
    return prefix[: prefix.rfind("/") + 1]


def _size_rules(given: FileFilters, path: Sequence[str]) -> list[Rule]:
    low, high = given.min_size_bytes, given.max_size_bytes
    for value, name in ((low, "minSizeBytes"), (high, "maxSizeBytes")):
        if value is not None and value < 0:
            raise InvalidError("A size is 0 bytes or more.", path=(*path, name), hint="Leave it out for no limit.")
    if low is not None and high is not None and low > high:
        message = f"The smallest size, {low:,} bytes, is above the largest, {high:,}: nothing would pass."
        raise InvalidError(message, path=(*path, "minSizeBytes"), hint="Swap minSizeBytes and maxSizeBytes.")
    rules: list[Rule] = []
    if low is not None:
        rules.append((MIN_SIZE, lambda entry, _: entry.size is None or entry.size >= low))
    if high is not None:
        rules.append((MAX_SIZE, lambda entry, _: entry.size is None or entry.size <= high))
    return rules


def _time_rules(given: FileFilters, path: Sequence[str]) -> list[Rule]:
    after, before = given.modified_after, given.modified_before
    if after is not None and before is not None and after > before:
        message = f"modifiedAfter, {after.isoformat()}, is later than modifiedBefore: nothing would pass."
        raise InvalidError(message, path=(*path, "modifiedAfter"), hint="Swap modifiedAfter and modifiedBefore.")
    rules: list[Rule] = []
    if after is not None:
        start = to_micros(after)
        rules.append((MODIFIED_AFTER, lambda entry, _: entry.modified is None or entry.modified >= start))
    if before is not None:
        end = to_micros(before)
        rules.append((MODIFIED_BEFORE, lambda entry, _: entry.modified is None or entry.modified <= end))
    return rules


def _extension_rule(values: Sequence[str], path: Sequence[str]) -> Rule:
    suffixes: list[str] = []
    for place, value in _each(values, path):
        name = value.removeprefix(".")
        if not name or "/" in name or "*" in name:
            hint = "Write png or .tar.gz; what has wildcards or folders belongs into includePatterns."
            raise InvalidError(f"{value!r} is not an extension.", path=place, hint=hint)
        suffixes.append("." + name.lower())
    ends = tuple(dict.fromkeys(suffixes))
    return EXTENSIONS, lambda _, text: text.lower().endswith(ends)


def _mime_rule(values: Sequence[str], path: Sequence[str]) -> Rule:
    allowed: set[str] = set()
    for place, value in _each(values, path):
        found = _MIME.fullmatch(value.lower())
        if found is None:
            hint = "Write video/mp4, or video/ for every video; parameters are not compared."
            raise InvalidError(f"{value!r} is not a MIME type.", path=place, hint=hint)
        whole = found["subtype"] in (None, "*")
        allowed.add(f"{found['type']}/" if whole else value.lower())

    def passes(entry: Entry, text: str) -> bool:
        mime = entry.mime_type or mime_and_modality(text)[0]
        if mime is None:
            return False
        mime = mime.partition(";")[0].strip().lower()
        return mime in allowed or mime[: mime.find("/") + 1] in allowed

    return MIME_TYPES, passes


def _globs(values: Sequence[str], base: str, path: Sequence[str]) -> Callable[[str], bool]:
    for place, value in _each(values, path):
        try:
            translate(value)
        except GlobError as error:
            raise InvalidError(error.reason, path=place, hint=error.hint) from None
    try:
        return glob_matcher(values, base, memory=_GLOB_MEMORY_BYTES)
    except LinearError:
        hint = "Give fewer or shorter patterns; long rows of ? and classes and nested braces count most."
        raise InvalidError("The patterns are too large together.", path=path, hint=hint) from None


def _each(values: Sequence[str], path: Sequence[str]) -> list[tuple[tuple[str, ...], str]]:
    """The values with their places, when there are not too many and none is too long."""
    if len(values) > MAX_VALUES:
        hint = "One pattern may stand for many: {jpg,png}, [a-z], *." if "Patterns" in path[-1] else None
        raise InvalidError(f"At most {MAX_VALUES}; there are {len(values):,}.", path=path, hint=hint)
    places = [((*path, str(number)), value) for number, value in enumerate(values)]
    for place, value in places:
        if len(value) > MAX_LENGTH:
            raise InvalidError(f"At most {MAX_LENGTH:,} characters; this has {len(value):,}.", path=place)
        _text(value, place)
    return places


def _text(value: str, path: Sequence[str]) -> str:
    try:
        return clean_text(value)
    except SkippableError as error:
        raise InvalidError(error.message, path=path, hint="Remove it.") from None
