"""What lists are filtered by, as plain values, and the SQL that they mean. All that is given must hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Integer
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.functions import FunctionElement

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TextMatch:
    """Conditions on text, all by bytes: case matters, and no character is a wildcard."""

    eq: str | None = None
    any_of: tuple[str, ...] | None = None
    contains: str | None = None
    starts_with: str | None = None

    def clauses(self, column: InstrumentedAttribute[Any]) -> Iterator[ColumnElement[bool]]:
        """The conditions on a column."""
        if self.eq is not None:
            yield column == self.eq
        if self.any_of is not None:
            yield column.in_(self.any_of)
        if self.contains is not None:
            yield _IndexOf(column, self.contains) > 0
        if self.starts_with is not None:
            yield from _starts_with(column, self.starts_with)

    def holds(self, value: str) -> bool:
        """Whether a text meets them."""
        return (
            (self.eq is None or value == self.eq)
            and (self.any_of is None or value in self.any_of)
            and (self.contains is None or self.contains in value)
            and (self.starts_with is None or value.startswith(self.starts_with))
        )


@dataclass(frozen=True, slots=True)
class Range(Generic[T]):
    """Conditions on a number or a time; the bounds are included."""

    eq: T | None = None
    gte: T | None = None
    lte: T | None = None
    any_of: tuple[T, ...] | None = None

    def clauses(self, column: InstrumentedAttribute[Any]) -> Iterator[ColumnElement[bool]]:
        """The conditions on a column."""
        if self.eq is not None:
            yield column == self.eq
        if self.gte is not None:
            yield column >= self.gte
        if self.lte is not None:
            yield column <= self.lte
        if self.any_of is not None:
            yield column.in_(self.any_of)

    def holds(self, value: Any) -> bool:
        """Whether a value meets them."""
        return (
            (self.eq is None or value == self.eq)
            and (self.gte is None or value >= self.gte)
            and (self.lte is None or value <= self.lte)
            and (self.any_of is None or value in self.any_of)
        )


class _IndexOf(FunctionElement[int]):
    """Where a text is in another, from 1; 0 where it is not. LIKE on SQLite would ignore the case of ASCII letters."""

    type = Integer()
    inherit_cache = True


@compiles(_IndexOf, "sqlite")
def _index_of_sqlite(element: _IndexOf, compiler: Any, **options: Any) -> str:
    return f"instr({compiler.process(element.clauses, **options)})"


@compiles(_IndexOf, "postgresql")
def _index_of_postgresql(element: _IndexOf, compiler: Any, **options: Any) -> str:
    return f"strpos({compiler.process(element.clauses, **options)})"


Condition = TextMatch | Range[Any] | Sequence[Any] | None


def matching(column: InstrumentedAttribute[Any], condition: Condition) -> list[ColumnElement[bool]]:
    """The SQL of one condition: none, a match, a range, or a list of allowed values."""
    if condition is None:
        return []
    if isinstance(condition, (TextMatch, Range)):
        return list(condition.clauses(column))
    return [column.in_(tuple(condition))]


def holds(value: Any, condition: Condition) -> bool:
    """Whether a value meets a condition, as its SQL would say: null meets none."""
    if condition is None:
        return True
    if value is None:
        return False
    return condition.holds(value) if isinstance(condition, (TextMatch, Range)) else value in condition


def _starts_with(column: InstrumentedAttribute[Any], prefix: str) -> Iterator[ColumnElement[bool]]:
    # LIKE on SQLite ignores the case of ASCII letters; a range by bytes does not, and an index serves it.
    if not prefix:
        return
    yield column >= prefix
    end = _next_prefix(prefix)
    if end is not None:
        yield column < end


def _next_prefix(prefix: str) -> str | None:
    """The first text by bytes after all that start with `prefix`; None where there is none."""
    while prefix:
        point = ord(prefix[-1]) + 1
        if point == 0xD800:
            point = 0xE000
        if point <= 0x10FFFF:
            return prefix[:-1] + chr(point)
        prefix = prefix[:-1]
    return None
