"""Arrow's arrays as values that JSON has: exact where a number can be, text where it can't.

A column is converted at once, by Arrow itself where it can: a value at a time costs twenty times as much.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any
from uuid import UUID

import pyarrow as pa

from sluicegate.core.text import MAX_JSON_DEPTH
from sluicegate.sync.readers.csv_dialect import unique_names

# The library has no type hints.
arrow: Any = pa
_types: Any = arrow.types

Convert = Callable[[Any], list[Any]]
"""Makes an array a list of as many values."""

_DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
_AS_THEY_ARE = (
    "is_null", "is_boolean", "is_integer", "is_float32", "is_float64", "is_string", "is_large_string", "is_string_view",
)  # fmt: skip
_BINARY = ("is_binary", "is_large_binary", "is_fixed_size_binary", "is_binary_view")
_LISTS = ("is_list", "is_large_list", "is_fixed_size_list")


def converter(kind: Any, depth: int = 1) -> Convert:
    """What makes values of arrays of this Arrow type. It raises ValueError where a value has no JSON form.

    Raises ValueError for a type that has none, and for one that is nested deeper than a record may be.
    """
    if depth >= MAX_JSON_DEPTH:
        raise ValueError(f"it is nested deeper than {MAX_JSON_DEPTH} levels")
    if isinstance(kind, arrow.BaseExtensionType):
        return _extension(kind, depth)
    if _is(kind, _AS_THEY_ARE):
        return lambda array: array.to_pylist()
    if _types.is_float16(kind):
        return lambda array: array.cast(arrow.float32()).to_pylist()
    if _types.is_decimal(kind):
        return lambda array: array.cast(arrow.string()).to_pylist()
    if _types.is_temporal(kind):
        return _temporal(kind)
    if _is(kind, _BINARY):
        return lambda array: [None if value is None else b64encode(value).decode() for value in array.to_pylist()]
    return _nested(kind, depth)


def _is(kind: Any, tests: Iterable[str]) -> bool:
    return any(getattr(_types, test)(kind) for test in tests)


def _extension(kind: Any, depth: int) -> Convert:
    stored = converter(kind.storage_type, depth)
    if kind.extension_name == "arrow.uuid":
        return lambda array: [
            None if value is None else str(UUID(bytes=value)) for value in array.storage.to_pylist()
        ]  # fmt: skip
    return lambda array: stored(array.storage)


def _temporal(kind: Any) -> Convert:
    """Dates, times and timestamps as RFC 3339 writes them, durations as ISO 8601 does."""
    if _types.is_duration(kind):
        return lambda array: [_duration(value, _DIGITS[kind.unit]) for value in array.view(arrow.int64()).to_pylist()]
    if _types.is_date(kind):
        return lambda array: _of_width(array.cast(arrow.date32()).cast(arrow.string()).to_pylist(), 10)
    if not (_types.is_timestamp(kind) or _types.is_time(kind)):
        raise ValueError(f"its type {kind} has no JSON form")
    digits = _DIGITS[kind.unit]
    fraction = digits + 1 if digits else 0
    if _types.is_time(kind):
        return lambda array: _of_width(array.cast(arrow.string()).to_pylist(), 8 + fraction)
    # What is stored is UTC where there is a time zone at all. Its name is not asked: it may be anything.
    bare, end = arrow.timestamp(kind.unit), "Z" if kind.tz else ""

    def timestamps(array: Any) -> list[Any]:
        texts = _of_width(array.view(bare).cast(arrow.string()).to_pylist(), 19 + fraction)
        return [None if text is None else f"{text[:10]}T{text[11:]}{end}" for text in texts]

    return timestamps


def _of_width(texts: list[Any], width: int) -> list[Any]:
    for text in texts:
        if text is not None and len(text) != width:
            raise ValueError("a time is outside of the years 0000 to 9999")
    return texts


def _duration(value: int | None, digits: int) -> str | None:
    if value is None:
        return None
    whole, part = divmod(abs(value), 10**digits)
    return f"{'-' if value < 0 else ''}PT{whole}{f'.{part:0{digits}}' if digits else ''}S"


def _nested(kind: Any, depth: int) -> Convert:
    if _types.is_dictionary(kind):
        return _dictionary(converter(kind.value_type, depth))
    if _types.is_struct(kind):
        return _struct(kind, depth)
    if _types.is_map(kind):
        return _map(kind, depth)
    if _is(kind, _LISTS):
        return _list(converter(kind.value_type, depth + 1))
    raise ValueError(f"its type {kind} has no JSON form")


def _dictionary(inner: Convert) -> Convert:
    """Only those entries are converted that occur: a dictionary may be far longer than the array."""

    def values(array: Any) -> list[Any]:
        used = array.indices.unique().drop_null()
        entries = dict(zip(used.to_pylist(), inner(array.dictionary.take(used)), strict=True))
        return [entries.get(index) for index in array.indices.to_pylist()]

    return values


def _list(inner: Convert) -> Convert:
    def values(array: Any) -> list[Any]:
        items = iter(inner(array.flatten()))
        lengths = array.value_lengths().to_pylist()
        return [None if length is None else list(islice(items, length)) for length in lengths]

    return values


def _struct(kind: Any, depth: int) -> Convert:
    fields = [kind.field(index) for index in range(kind.num_fields)]
    names = unique_names([field.name for field in fields])
    inner = [converter(field.type, depth + 1) for field in fields]

    def values(array: Any) -> list[Any]:
        columns = [convert(part) for convert, part in zip(inner, array.flatten(), strict=True)]
        rows = zip(*columns, strict=True) if columns else [()] * len(array)
        valid = array.is_valid().to_pylist()
        return [dict(zip(names, row, strict=True)) if there else None for there, row in zip(valid, rows, strict=True)]

    return values


def _map(kind: Any, depth: int) -> Convert:
    """An object where the keys are text (of equal ones the last counts), else a list of `{"key", "value"}`."""
    keys, items = converter(kind.key_type, depth + 2), converter(kind.item_type, depth + 2)
    stored = kind.key_type.value_type if _types.is_dictionary(kind.key_type) else kind.key_type
    text = _is(stored, ("is_string", "is_large_string", "is_string_view"))

    def values(array: Any) -> list[Any]:
        ends: list[int] = array.offsets.to_pylist()
        first, count = ends[0], ends[-1] - ends[0]
        pairs = list(zip(keys(array.keys.slice(first, count)), items(array.items.slice(first, count)), strict=True))
        found: list[Any] = []
        for there, start, end in zip(array.is_valid().to_pylist(), ends, islice(ends, 1, None), strict=False):
            part = pairs[start - first : end - first]
            made = dict(part) if text else [{"key": key, "value": value} for key, value in part]
            found.append(made if there else None)
        return found

    return values
