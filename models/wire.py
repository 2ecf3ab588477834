"""Rows as JSON values and back, for events: every mapped column except secrets, exact to the microsecond.

Times travel as microseconds since the epoch, bytes as Latin-1 text, all else as it is. What is read back is a detached
row that behaves like one read from the database. Its secrets were not sent: asking for them raises
DetachedInstanceError.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import LargeBinary
from sqlalchemy import inspect as inspect_mapped
from sqlalchemy.orm import make_transient_to_detached

from models.base import Base, UtcDateTime
from sluicegate.core.clock import from_micros, to_micros

NEVER_SENT = frozenset({"sealed_secrets", "sealed_webhook_secret", "secret_hash"})
"""Columns that stay in the database."""

UNSTORED = ("tick",)
"""Attributes of a state that no column holds."""

RowT = TypeVar("RowT", bound=Base)


class _Plan(NamedTuple):
    """How a class travels: the names that go as they are, and those that are converted on the way out and in."""

    plain: tuple[str, ...]
    converted: tuple[tuple[str, Callable[[Any], Any], Callable[[Any], Any]], ...]


def to_wire(row: Base) -> dict[str, Any]:
    """The row's columns as JSON values. Raises DetachedInstanceError when one was not loaded."""
    plan = _plan(type(row))
    values = {name: getattr(row, name) for name in plan.plain}
    for name, encode, _ in plan.converted:
        value = getattr(row, name)
        values[name] = None if value is None else encode(value)
    return values


def from_wire(cls: type[RowT], values: dict[str, Any]) -> RowT:
    """A detached row of `values`. Other names are left out; raises KeyError when a column is missing."""
    plan = _plan(cls)
    loaded = {name: values[name] for name in plan.plain}
    for name, _, decode in plan.converted:
        value = values[name]
        loaded[name] = None if value is None else decode(value)
    row: Any = inspect_mapped(cls).class_manager.new_instance()
    # As the ORM itself loads a row: not through the attributes' setters, which would record every value as a change.
    row.__dict__.update(loaded)
    make_transient_to_detached(row)
    return row


@cache
def _plan(cls: type[Base]) -> _Plan:
    plain: list[str] = [name for name in UNSTORED if hasattr(cls, name)]
    converted: list[tuple[str, Callable[[Any], Any], Callable[[Any], Any]]] = []
    for attribute in inspect_mapped(cls).column_attrs:
        kind = attribute.columns[0].type
        if attribute.key in NEVER_SENT:
            continue
        if isinstance(kind, UtcDateTime):
            converted.append((attribute.key, to_micros, from_micros))
        elif isinstance(kind, LargeBinary):
            converted.append((attribute.key, _text, _bytes))
        else:
            plain.append(attribute.key)
    return _Plan(tuple(plain), tuple(converted))


def _text(value: bytes) -> str:
    return value.decode("latin-1")


def _bytes(value: str) -> bytes:
    return value.encode("latin-1")
