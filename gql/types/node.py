"""Relay's Node, and how a public type wraps a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import strawberry

from sluicegate.core.ids import encode_id


@strawberry.interface(description="Anything with a global id: `node(id:)` finds it again.")
class Node:
    """A thing with a global id."""

    id: strawberry.ID = strawberry.field(description="Opaque, unique in the installation, never used again.")


class RowView:
    """Shows a row. What the public type declares without a resolver is taken from the row when it is selected.

    `row_kind`: the kind in the global id (see `core.ids`). `made`: fields that are made from the row, not read off it.
    Fields so shown are plain attributes to the executor: the quickest kind it knows.
    """

    row_kind: ClassVar[str]
    made: ClassVar[Mapping[str, Callable[[Any], Any]]] = {}
    row: Any

    @classmethod
    def of(cls, row: Any) -> Self:
        """The view of a row. Nothing is copied: a page of rows costs what its selection reads."""
        view = cls.__new__(cls)
        view.__dict__["row"] = row
        return view

    def __getattr__(self, name: str) -> Any:
        if name == "id":
            return encode_id(self.row_kind, self.row.id)
        make = self.made.get(name)
        return getattr(self.row, name) if make is None else make(self.row)


def optional(show: Callable[[Any], Any], row: Any | None) -> Any:
    """`show(row)`, or None where there is no row."""
    return None if row is None else show(row)
