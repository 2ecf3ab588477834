"""Relay's Node, and how a public type wraps a row."""

from __future__ import annotations

from typing import Any, Self

import strawberry

from sluicegate.core.ids import encode_id


@strawberry.interface(description="Anything with a global id: `node(id:)` finds it again.")
class Node:
    """A thing with a global id."""

    id: strawberry.ID = strawberry.field(description="Opaque, unique in the installation, never used again.")


class RowView:
    """Shows a row: fields that the public type declares without a resolver are read from the row, when they are asked for.

    `row_kind` is the kind in the global id (see `core.ids`).
    """

    row_kind: str
    row: Any

    @classmethod
    def of(cls, row: Any) -> Self:
        """The view of a row. Nothing is copied: a page of rows costs what its selection reads."""
        view = cls.__new__(cls)
        view.row = row
        view.__dict__["id"] = encode_id(cls.row_kind, row.id)
        return view

    @classmethod
    def of_optional(cls, row: Any | None) -> Self | None:
        """The view of a row, None where there is none."""
        return None if row is None else cls.of(row)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.row, name)
