"""Keyset pagination: a page starts at sort values, not at a count, so rows written meanwhile move no other row.

No row whose sort values did not change is skipped or repeated. Nulls come last in either direction of a key; ties are
decided by the id, in the direction of the first key, so that one index serves keys of one direction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy import ColumnElement, Select, and_, false, func, literal, or_, select, tuple_, union_all
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, aliased

from models.cursors import decode_cursor, encode_cursor, order_digest
from sluicegate.core.errors import InvalidError

DEFAULT_SIZE = 100
MAX_SIZE = 1_000
_MAX_KEYS = 8
PARENTS_PER_STATEMENT = 50

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Relay's arguments. `first` and `last`: 0 to 1,000 rows, 100 when neither is given; both at once are refused."""

    first: int | None = None
    after: str | None = None
    last: int | None = None
    before: str | None = None

    @property
    def backward(self) -> bool:
        """Whether the page is taken from the end."""
        return self.last is not None or (self.first is None and self.before is not None and self.after is None)

    @property
    def size(self) -> int:
        """How many rows at most. Raises InvalidError."""
        if self.first is not None and self.last is not None:
            raise InvalidError("Give first or last, not both.", path=("last",))
        for name, value in (("first", self.first), ("last", self.last)):
            if value is not None and not 0 <= value <= MAX_SIZE:
                raise InvalidError(f"{name} must be 0 to {MAX_SIZE}.", path=(name,))
        given = self.first if self.first is not None else self.last
        return DEFAULT_SIZE if given is None else given


@dataclass(frozen=True, slots=True)
class SortKey:
    """One column of an order. `kind`: what its values are in Python."""

    column: InstrumentedAttribute[Any]
    kind: type
    descending: bool = False
    nullable: bool = False


@dataclass(frozen=True)
class Order:
    """What a list is sorted by; the id is added as the last key. `name`, `criteria`: what else a cursor is bound to."""

    name: str
    keys: tuple[SortKey, ...]
    identity: InstrumentedAttribute[Any]
    criteria: object = None

    @cached_property
    def all_keys(self) -> tuple[SortKey, ...]:
        """The keys with the id behind them; a key that is named twice counts once."""
        distinct = {key.column.key: key for key in reversed(self.keys)}
        keys = tuple(key for key in self.keys if distinct[key.column.key] is key)
        if len(keys) > _MAX_KEYS:
            raise InvalidError(f"At most {_MAX_KEYS} sort keys.", path=("orderBy",))
        if any(key.column.key == self.identity.key for key in keys):
            return keys
        return (*keys, SortKey(self.identity, int, descending=bool(keys) and keys[0].descending))

    @cached_property
    def digest(self) -> str:
        """What a cursor of this order carries."""
        return order_digest(self.name, [(key.column.key, key.descending) for key in self.all_keys], self.criteria)

    def cursor(self, row: Any) -> str:
        """The cursor of a row of this list."""
        return encode_cursor(self.digest, [getattr(row, key.column.key) for key in self.all_keys])

    def position(self, cursor: str, argument: str) -> list[Any]:
        """The sort values of a cursor. Raises InvalidError."""
        values = decode_cursor(cursor, self.digest, [key.kind for key in self.all_keys], argument=argument)
        for value, key in zip(values, self.all_keys, strict=True):
            if value is None and not key.nullable:
                raise InvalidError("This is not a cursor of this API.", path=(argument,))
        return values

    def clauses(self, *, backward: bool = False, entity: Any = None) -> list[ColumnElement[Any]]:
        """ORDER BY, on the table or on an alias of it. Backward is the exact reverse."""
        clauses: list[ColumnElement[Any]] = []
        for key in self.all_keys:
            column = key.column if entity is None else getattr(entity, key.column.key)
            if key.nullable:
                absent = column.is_(None)
                clauses.append(absent.desc() if backward else absent.asc())
            clauses.append(column.desc() if key.descending != backward else column.asc())
        return clauses

    def beyond(self, values: Sequence[Any], *, backward: bool = False) -> ColumnElement[bool]:
        """The rows strictly after these sort values, or strictly before them."""
        keys = self.all_keys
        if len({key.descending for key in keys}) == 1 and not any(key.nullable for key in keys):
            columns = tuple_(*(key.column for key in keys))
            return columns < _row(keys, values) if keys[0].descending != backward else columns > _row(keys, values)
        alternatives: list[ColumnElement[bool]] = []
        equal: list[ColumnElement[bool]] = []
        for key, value in zip(keys, values, strict=True):
            alternatives.append(and_(*equal, _after(key, value, backward=backward)))
            equal.append(key.column.is_(None) if value is None else key.column == value)
        return or_(*alternatives)


def _row(keys: Sequence[SortKey], values: Sequence[Any]) -> ColumnElement[Any]:
    return tuple_(*values, types=[key.column.type for key in keys])


def _after(key: SortKey, value: Any, *, backward: bool) -> ColumnElement[bool]:
    if value is None:
        return key.column.is_not(None) if backward else false()
    beyond = key.column < value if key.descending != backward else key.column > value
    return or_(beyond, key.column.is_(None)) if key.nullable and not backward else beyond


class Cursors(Protocol):
    """What makes the cursors of a list's rows."""

    def cursor(self, row: Any) -> str:
        """The cursor of a row of the list."""
        ...


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """Part of a list, in the list's order."""

    rows: list[R]
    order: Cursors
    has_next: bool
    has_previous: bool


def page_query(query: Select[R], order: Order, request: PageRequest) -> Select[R]:
    """`query` for one page and one row more, which tells whether there are further rows. Raises InvalidError."""
    size, backward = request.size, request.backward
    if request.after is not None:
        query = query.where(order.beyond(order.position(request.after, "after")))
    if request.before is not None:
        query = query.where(order.beyond(order.position(request.before, "before"), backward=True))
    return query.order_by(*order.clauses(backward=backward)).limit(size + 1)


def to_page(rows: list[R], order: Order, request: PageRequest) -> Page[R]:
    """The page that the rows of `page_query` make."""
    size, backward = request.size, request.backward
    more, rows = len(rows) > size, rows[:size]
    if backward:
        rows.reverse()
    # As Relay allows: on the side that the page was not cut on, a cursor means that there is something behind it.
    return Page(
        rows,
        order,
        has_next=request.before is not None if backward else more,
        has_previous=more if backward else request.after is not None,
    )


async def fetch_page(session: AsyncSession, query: Select[R], order: Order, request: PageRequest) -> Page[R]:
    """One page of a list in one statement. Raises InvalidError for sizes and cursors that are not allowed."""
    rows = list(await session.scalars(page_query(query, order, request)))
    return to_page(rows, order, request)


@dataclass(frozen=True, slots=True)
class Children(Generic[R]):
    """One list for each of several parents. `query`, `order`: of one parent; `parent`: the column that names it."""

    parent: InstrumentedAttribute[Any]
    query: Callable[[int], Select[R]]
    order: Callable[[int], Order]


async def fetch_children(
    session: AsyncSession, children: Children[R], parents: Sequence[int], request: PageRequest
) -> list[Page[R]]:
    """The same page of each parent's list, many in one statement. Raises InvalidError."""
    rows: dict[int, list[R]] = {parent: [] for parent in parents}
    for start in range(0, len(parents), PARENTS_PER_STATEMENT):
        part = parents[start : start + PARENTS_PER_STATEMENT]
        queries = [page_query(children.query(parent), children.order(parent), request) for parent in part]
        for row in await session.scalars(_together(queries, children.order(part[0]), request)):
            rows[getattr(row, children.parent.key)].append(row)
    return [to_page(rows[parent], children.order(parent), request) for parent in parents]


async def count_children(
    session: AsyncSession, children: Children[Any], parents: Sequence[int], *, limit: int | None = None
) -> list[int | None]:
    """How long each parent's list is, None where it is longer than `limit`; many in one statement."""
    counts: dict[int, int] = {}
    for start in range(0, len(parents), PARENTS_PER_STATEMENT):
        part = parents[start : start + PARENTS_PER_STATEMENT]
        branches: list[Select[int, int]] = []
        for parent in part:
            rows = children.query(parent).with_only_columns(children.parent)
            rows = rows if limit is None else rows.limit(limit + 1)
            branches.append(select(literal(parent), func.count()).select_from(rows.subquery()))
        counts.update({row[0]: row[1] for row in await session.execute(union_all(*branches))})
    return [None if limit is not None and counts[parent] > limit else counts[parent] for parent in parents]


def _together(queries: list[Select[R]], order: Order, request: PageRequest) -> Select[R]:
    if len(queries) == 1:
        return queries[0]
    # A LIMIT of each branch ends its own index scan; a window function would read every parent's list to its end.
    union = union_all(*(select(query.subquery()) for query in queries)).subquery()
    entity: Any = aliased(order.identity.class_, union)
    return select(entity).order_by(*order.clauses(backward=request.backward, entity=entity))
