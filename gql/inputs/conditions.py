"""Conditions of filters: on text, times and numbers. All that is given must hold."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import strawberry

from gql.scalars import BigInt
from models.criteria import Range, TextMatch
from resolvers.checks import check_list, check_text


@strawberry.input(description="Conditions on text, byte by byte: case matters. All that is given must hold.")
class StringFilter:
    """On text."""

    eq: str | None = strawberry.field(default=None, description="Is this.")
    in_: list[str] | None = strawberry.field(default=None, name="in", description="Is one of these, at most 1,000.")
    contains: str | None = strawberry.field(default=None, description="Has this in it.")
    starts_with: str | None = strawberry.field(default=None, description="Starts with this.")


@strawberry.input(description="Conditions on a time; the bounds are included. All that is given must hold.")
class DateTimeFilter:
    """On a time."""

    eq: datetime | None = strawberry.field(default=None, description="Is this.")
    gte: datetime | None = strawberry.field(default=None, description="Is this or later.")
    lte: datetime | None = strawberry.field(default=None, description="Is this or earlier.")


@strawberry.input(description="Conditions on a large integer; the bounds are included. All that is given must hold.")
class BigIntFilter:
    """On a large integer."""

    eq: BigInt | None = strawberry.field(default=None, description="Is this.")
    gte: BigInt | None = strawberry.field(default=None, description="Is this or more.")
    lte: BigInt | None = strawberry.field(default=None, description="Is this or less.")
    in_: list[BigInt] | None = strawberry.field(default=None, name="in", description="Is one of these, at most 1,000.")


@strawberry.input(description="Conditions on an integer; the bounds are included. All that is given must hold.")
class IntFilter:
    """On an integer."""

    eq: int | None = strawberry.field(default=None, description="Is this.")
    gte: int | None = strawberry.field(default=None, description="Is this or more.")
    lte: int | None = strawberry.field(default=None, description="Is this or less.")
    in_: list[int] | None = strawberry.field(default=None, name="in", description="Is one of these, at most 1,000.")


@strawberry.input(description="Conditions on a number; the bounds are included. All that is given must hold.")
class FloatFilter:
    """On a number."""

    eq: float | None = strawberry.field(default=None, description="Is this.")
    gte: float | None = strawberry.field(default=None, description="Is this or more.")
    lte: float | None = strawberry.field(default=None, description="Is this or less.")


def text_match(given: StringFilter | None, name: str) -> TextMatch | None:
    """The conditions on the text `name`. Raises InvalidError for text that no database holds."""
    if given is None:
        return None
    path = ("filter", name)
    for value in (given.eq, given.contains, given.starts_with):
        if value is not None:
            check_text(value, (*path,))
    return TextMatch(given.eq, texts(given.in_, *path, "in"), given.contains, given.starts_with)


def between(given: DateTimeFilter | BigIntFilter | IntFilter | FloatFilter | None, name: str) -> Range[Any] | None:
    """The conditions on the number or time `name`. Raises InvalidError for a list that is too long."""
    if given is None:
        return None
    any_of: list[Any] | None = getattr(given, "in_", None)
    return Range(given.eq, given.gte, given.lte, None if any_of is None else check_list(any_of, ("filter", name, "in")))


def texts(given: list[Any] | None, *path: str) -> tuple[str, ...] | None:
    """A list of allowed texts or enum values."""
    if given is None:
        return None
    return tuple(check_text(str(value), path) for value in check_list(given, path))
