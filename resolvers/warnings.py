"""What works but will surprise: overlapping sources, and what a validation warns of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.storages import Storage
from sluicegate.providers.base import Check, CheckStatus, ProviderType
from sluicegate.sync import file_filters
from sluicegate.sync.filters import FOLDER_MARKER, REGEX, UNSUPPORTED
from sluicegate.sync.preview import Preview
from sluicegate.sync.records import RECORD_FILES

OVERLAP = "OVERLAP"
EMPTY = "EMPTY"
NOTHING_IMPORTED = "NOTHING_IMPORTED"
_MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class Notice:
    """One warning. `path`: the place in the input."""

    code: str
    message: str
    path: tuple[str, ...]


def of_checks(checks: Sequence[Check], path: Sequence[str]) -> list[Notice]:
    """The steps of a validation that passed with a warning, e.g. CORS."""
    return [
        Notice(check.name.upper(), f"{check.detail} {check.hint}" if check.hint else check.detail, tuple(path))
        for check in checks
        if check.status is CheckStatus.WARNING
    ]


def of_overlap(kind: ProviderType, settings: Mapping[str, Any], others: Sequence[Storage]) -> list[Notice]:
    """A warning when other storages of the project read some of the same objects: they would be there twice."""
    place, path = _place(kind, settings), ("provider", kind.value.lower(), _PATH_FIELD.get(kind, "path"))
    found = [other for other in others if _overlap(place, _place(kind, other.settings))]
    if not found:
        return []
    names = ", ".join(repr(other.title or f"untitled {other.id}") for other in found[:_MAX_NAMED])
    more = f" and {len(found) - _MAX_NAMED} more" if len(found) > _MAX_NAMED else ""
    message = f"The project's storage {names}{more} reads some of the same objects: they will be in the dataset twice."
    return [Notice(OVERLAP, message, path)]


def of_nothing_listed(storage: Storage) -> Notice:
    """A warning that a source has no object at all."""
    what = "The source has no object."
    if storage.settings.get("prefix"):
        what = f"Nothing is stored under the prefix {storage.settings['prefix']!r}: it is compared with the start of"
        what += " the key, without a leading slash."
    elif not storage.recursive_scan:
        what = "The source has no object at its top level, and recursiveScan is false."
    return Notice(EMPTY, what, ("provider", storage.type.lower()))


def of_nothing_imported(found: Preview, *, tried: bool = False) -> list[Notice]:
    """A warning when every object that was looked at would be left out: by which rules, and what to change.

    `tried`: the rules are `fileFilters` of the input, not those that the storage has.
    """
    if not found.listed or sum(found.filtered.values()) < found.listed:
        return []
    first = "" if found.complete else "first "
    reasons = "; ".join(f"{count:,} {_REASONS[rule]}" for rule, count in sorted(found.filtered.items()))
    # The mode before the rules: a rule may leave out on purpose what the mode leaves over.
    by_choice = {name: count for name, count in found.filtered.items() if name != FOLDER_MARKER}
    rule = UNSUPPORTED if UNSUPPORTED in by_choice else max(by_choice, key=by_choice.__getitem__, default=FOLDER_MARKER)
    words = " Set useBlobUrls to true to import the files themselves." if rule == UNSUPPORTED else ""
    path = ("fileFilters", _FILE_FILTERS[rule]) if tried and rule in _FILE_FILTERS else _PATHS.get(rule, ())
    message = f"None of the {first}{found.listed:,} objects would be imported: {reasons}.{words}"
    return [Notice(NOTHING_IMPORTED, message, path)]


_REASONS = {
    FOLDER_MARKER: "only mark folders",
    file_filters.MIN_SIZE: "are smaller than minSizeBytes",
    file_filters.MAX_SIZE: "are larger than maxSizeBytes",
    file_filters.MODIFIED_AFTER: "did not change since modifiedAfter",
    file_filters.MODIFIED_BEFORE: "changed after modifiedBefore",
    file_filters.EXTENSIONS: "have none of the extensions",
    file_filters.MIME_TYPES: "have none of the mimeTypes",
    file_filters.INCLUDE: "match none of the includePatterns",
    file_filters.EXCLUDE: "match the excludePatterns",
    REGEX: "have keys that the regex does not match from their start",
    UNSUPPORTED: f"are of a kind without records, which {', '.join(RECORD_FILES)} have",
}
_PATHS = {UNSUPPORTED: ("useBlobUrls",), REGEX: ("regexFilter",)}
_FILE_FILTERS = {
    file_filters.MIN_SIZE: "minSizeBytes",
    file_filters.MAX_SIZE: "maxSizeBytes",
    file_filters.MODIFIED_AFTER: "modifiedAfter",
    file_filters.MODIFIED_BEFORE: "modifiedBefore",
    file_filters.EXTENSIONS: "extensions",
    file_filters.MIME_TYPES: "mimeTypes",
    file_filters.INCLUDE: "includePatterns",
    file_filters.EXCLUDE: "excludePatterns",
    REGEX: "regex",
}
_PATH_FIELD = {ProviderType.S3: "prefix"}


def _place(kind: ProviderType, settings: Mapping[str, Any]) -> tuple[tuple[Any, ...], str]:
    if kind is ProviderType.S3:
        return (settings.get("s3_endpoint"), settings["bucket"]), settings.get("prefix", "")
    return (), settings["path"].strip("/") + "/" if settings["path"].strip("/.") else ""


def _overlap(one: tuple[tuple[Any, ...], str], other: tuple[tuple[Any, ...], str]) -> bool:
    return one[0] == other[0] and (one[1].startswith(other[1]) or other[1].startswith(one[1]))
