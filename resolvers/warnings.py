"""What works but will surprise: overlapping sources, and what a validation warns of."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.ranges import KeyRange
from models.storages import Storage
from models.sync_configs import SyncConfig
from sluicegate.providers.base import Check, CheckStatus, ProviderType
from sluicegate.sync import file_filters
from sluicegate.sync.filters import FOLDER_MARKER, REGEX, UNSUPPORTED
from sluicegate.sync.preview import Preview
from sluicegate.sync.records import RECORD_FILES

OVERLAP = "OVERLAP"
EMPTY = "EMPTY"
EMPTY_PREFIX = "EMPTY_PREFIX"
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


def of_overlap(
    storage: Storage, others: Sequence[Storage], configs: Sequence[tuple[SyncConfig, Storage]]
) -> list[Notice]:
    """A warning when other storages of the project read some of the same objects: they would be there twice.

    Another when its configurations do; each of `configs` with the storage, not this one, that it reads.
    """
    kind = ProviderType(storage.type)
    place, path = place_of(storage), ("provider", kind.value.lower(), _PATH_FIELD.get(kind, "path"))
    doubled = [other.title or f"untitled {other.id}" for other in others if meet(place, place_of(other))]
    shared = [config.name or config.source_path for config, of in configs if meet(place, place_of(of, config.range))]
    return [
        Notice(OVERLAP, f"The project's {what} {_named(names)} {_TWICE}", path)
        for what, names in (("storage", doubled), ("sync configuration", shared))
        if names
    ]


def of_shared_sources(storages: Sequence[Storage], configs: Sequence[SyncConfig]) -> list[Notice]:
    """A warning when these storages and configurations of the project read some of the same objects."""
    path = ("sourcePath",)
    found: list[Notice] = []
    if storages:
        names = _named([storage.title or f"untitled {storage.id}" for storage in storages])
        message = f"The project's storage {names} reads some of the same objects: its own syncs import them too."
        found.append(Notice(OVERLAP, message, path))
    if configs:
        names = _named([config.name or config.source_path for config in configs])
        message = f"The project's sync configuration {names} reads some of the same objects: each writes what the other"
        found.append(Notice(OVERLAP, f"{message} wrote, or they are in the dataset twice.", path))
    return found


def of_empty_path(source_path: str) -> Notice:
    """A warning that nothing is where a configuration is to read."""
    what = f"Nothing is stored under {source_path!r} yet." if source_path else "Nothing is stored there yet."
    return Notice(EMPTY_PREFIX, what, ("sourcePath",))


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
_TWICE = "reads some of the same objects: they will be in the dataset twice."
_PATH_FIELD = {ProviderType.S3: "prefix"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where objects are, comparable over storages: which source, and the start of their names in it."""

    source: tuple[Any, ...]
    start: bytes


def place_of(storage: Storage, keys: KeyRange | None = None) -> Place:
    """What a storage reads, or a configuration that reads these `keys` of it."""
    whole = _place(ProviderType(storage.type), storage.settings)
    if keys is None:
        return whole
    # Keys of S3 are those of the bucket, of a folder those below it.
    return Place(whole.source, keys.low if storage.type == ProviderType.S3 else whole.start + keys.low)


def meet(one: Place, other: Place) -> bool:
    """Whether some object is in both."""
    return one.source == other.source and (one.start.startswith(other.start) or other.start.startswith(one.start))


def _place(kind: ProviderType, settings: Mapping[str, Any]) -> Place:
    if kind is ProviderType.S3:
        return Place((kind, settings.get("s3_endpoint"), settings["bucket"]), settings.get("prefix", "").encode())
    folder = settings["path"].strip("/") + "/" if settings["path"].strip("/.") else ""
    return Place((kind,), os.fsencode(folder))


def _named(names: Sequence[str]) -> str:
    """The first few names."""
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return ", ".join(map(repr, names[:_MAX_NAMED])) + more
