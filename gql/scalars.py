"""The scalars of the public schema, and the map that gives them to Strawberry.

To a type checker they are what they hold: `int`, any JSON value, `datetime`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NewType

import strawberry
from graphql import GraphQLError
from strawberry.types.scalar import ScalarDefinition

if TYPE_CHECKING:
    BigInt = int
    JSON = Any
else:
    BigInt = NewType("BigInt", int)
    JSON = NewType("JSON", object)

MAX_BIG_INT = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly (RFC 8259, section 6)."""

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)


def _show_big_int(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > MAX_BIG_INT:
        raise GraphQLError("A BigInt cannot hold this value.")
    return value


def _read_big_int(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise GraphQLError("A BigInt is an integer.")
    if abs(value) > MAX_BIG_INT:
        raise GraphQLError(f"A BigInt is between -{MAX_BIG_INT} and {MAX_BIG_INT}.")
    return value


def _show_datetime(value: datetime) -> str:
    if value.tzinfo is not UTC:
        if value.tzinfo is None:
            raise TypeError("a datetime without a time zone")
        value = value.astimezone(UTC)
    return value.isoformat()[:-6] + "Z"


def _read_datetime(value: Any) -> datetime:
    if not isinstance(value, str) or _RFC_3339.fullmatch(value) is None:
        raise GraphQLError('A DateTime is RFC 3339 with an offset, e.g. "2026-01-31T12:00:00Z".')
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        raise GraphQLError(f"No such time: {value}.") from None


def _same(value: Any) -> Any:
    return value


SCALARS: dict[object, ScalarDefinition] = {
    BigInt: strawberry.scalar(
        name="BigInt",
        description="An integer up to 2^53 - 1: counts and bytes.",
        serialize=_show_big_int,
        parse_value=_read_big_int,
    ),
    JSON: strawberry.scalar(name="JSON", description="Any JSON value.", serialize=_same, parse_value=_same),
    datetime: strawberry.scalar(
        name="DateTime", description="RFC 3339, always UTC.", serialize=_show_datetime, parse_value=_read_datetime
    ),
}
"""For `StrawberryConfig(scalar_map=…)`."""
