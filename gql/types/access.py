"""Tenants, keys and who is calling."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import strawberry

from gql.types.node import Node, RowView
from sluicegate.core import actors
from sluicegate.core.actors import ActorKind, Scope
from sluicegate.core.ids import encode_id

if TYPE_CHECKING:
    from resolvers import access


def _describe(enum: type, description: str, values: dict[str, str]) -> None:
    strawberry.enum(enum, description=description)
    for value in enum.__dict__["__strawberry_definition__"].values:
        value.description = values[value.name]


_describe(
    Scope,
    "What a key allows. Each includes the ones before it.",
    {
        "READ": "Queries and subscriptions.",
        "WRITE": "READ, and changes of projects, storages and jobs.",
        "ADMIN": "WRITE, and keys and namespaces.",
    },
)
_describe(
    ActorKind,
    "Who did something.",
    {"API_KEY": "A caller with a key.", "SYSTEM": "The gateway itself: a schedule or an event."},
)


@strawberry.type(description="Who did it: a key, or the gateway itself (schedule, event).")
class Actor:
    """The actor of a row or of the caller."""

    kind: ActorKind = strawberry.field(description="A key or the gateway.")
    id: strawberry.ID | None = strawberry.field(description="The id of the key; null for the gateway.")
    name: str = strawberry.field(description="The key's name when it was done.")

    @classmethod
    def of(cls, actor: actors.Actor) -> Actor:
        """The public form of an actor."""
        number = None if actor.id is None else strawberry.ID(encode_id("ApiKey", actor.id))
        return cls(kind=actor.kind, id=number, name=actor.name)


@strawberry.type(description="A tenant: everything belongs to one.")
class Namespace(RowView, Node):
    """A namespace's row."""

    row_kind = "Namespace"

    name: str = strawberry.field(description="Unique in the installation; X-Namespace takes it, or the id.")
    created_at: datetime = strawberry.field(description="When it was made.")


@strawberry.type(description="A key. Its secret is shown once, when it is made.")
class ApiKey(RowView, Node):
    """A key's row, with its namespaces."""

    row_kind = "ApiKey"

    name: str = strawberry.field(description="What it is for, 1 to 256 characters.")
    prefix: str = strawberry.field(description="How the key begins, to tell it from others.")
    scopes: list[Scope] = strawberry.field(description="What it allows, with what that includes.")
    created_at: datetime = strawberry.field(description="When it was made.")
    expires_at: datetime | None = strawberry.field(description="When it stops working; null is never.")
    last_used_at: datetime | None = strawberry.field(description="When it was last used, to the minute.")
    revoked_at: datetime | None = strawberry.field(description="When it was revoked; null while it is not.")

    @strawberry.field(description="The namespaces that it opens.")
    def namespaces(self) -> list[Namespace]:
        """Read with the key."""
        return [Namespace.of(row) for row in self.row.namespaces]


@strawberry.type(description="The caller: a key, and the namespace that this request is about.")
class Viewer:
    """What `authenticate` found."""

    actor: Actor = strawberry.field(description="The key as an actor.")
    namespace: Namespace = strawberry.field(description="The current namespace.")
    namespaces: list[Namespace] = strawberry.field(description="All that the key opens.")
    scopes: list[Scope] = strawberry.field(description="What the key allows, with what that includes.")

    @classmethod
    def of(cls, viewer: access.Viewer) -> Viewer:
        """The public form of the caller."""
        return cls(
            actor=Actor.of(viewer.actor),
            namespace=Namespace.of(viewer.namespace),
            namespaces=[Namespace.of(row) for row in viewer.namespaces],
            scopes=actors.in_order(viewer.scopes),
        )
