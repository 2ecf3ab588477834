"""Checks of input that several use cases share. Each raises InvalidError with the place in the input."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeVar

from sluicegate.core.errors import InvalidError, SkippableError
from sluicegate.core.text import clean_json, clean_text

MAX_LIST = 1_000
MAX_TITLE = 256
MAX_DESCRIPTION = 10_000
MIN_PRIORITY, MAX_PRIORITY = -100, 100

T = TypeVar("T")


def check_text(value: str, path: Sequence[str], *, longest: int | None = None) -> str:
    """`value`, when both databases can hold it and it has at most `longest` characters."""
    try:
        clean_text(value)
    except SkippableError as error:
        raise InvalidError(error.message, path=path) from None
    if longest is not None and len(value) > longest:
        raise InvalidError(f"At most {longest:,} characters; this has {len(value):,}.", path=path)
    return value


def check_json(value: Any, path: Sequence[str]) -> Any:
    """`value`, when both databases can hold it."""
    try:
        return clean_json(value, "value")
    except SkippableError as error:
        raise InvalidError(error.message, path=path) from None


def check_list(values: Sequence[T], path: Sequence[str]) -> tuple[T, ...]:
    """`values`, when there are at most 1,000."""
    if len(values) > MAX_LIST:
        raise InvalidError(f"At most {MAX_LIST:,} values; there are {len(values):,}.", path=path)
    return tuple(values)


def check_between(value: int, lowest: int, highest: int, path: Sequence[str]) -> int:
    """`value`, when it is within the limits."""
    if not lowest <= value <= highest:
        raise InvalidError(f"This must be {lowest:,} to {highest:,}.", path=path)
    return value


def check_ceiling(value: float | None, path: Sequence[str]) -> float | None:
    """`value`, when it is a positive number or None."""
    if value is not None and not (value > 0 and math.isfinite(value)):
        raise InvalidError("A ceiling is more than 0; null is none.", path=path)
    return value
