"""createNamespace."""

from __future__ import annotations

import strawberry

from gql.context import Info
from gql.errors import payload
from gql.types.access import Namespace
from gql.types.errors import UserError
from resolvers import access


@strawberry.input(
    description="A new tenant. The key that makes it opens it too: from then on that key must name one in X-Namespace."
)
class CreateNamespaceInput:
    """A namespace's name."""

    name: str = strawberry.field(
        description="Unique in the installation; 1 to 63 letters, digits, dots, dashes and underscores."
    )


@strawberry.type(description="The new namespace.")
class NamespacePayload:
    """The answer of createNamespace."""

    namespace: Namespace | None = strawberry.field(default=None, description="Null when there was an error.")
    errors: list[UserError] = strawberry.field(default_factory=list[UserError], description="What went wrong.")


@payload(NamespacePayload)
async def create_namespace(info: Info, input: CreateNamespaceInput) -> NamespacePayload:
    """Makes a namespace."""
    made = await access.create_namespace(info.context.services, info.context.viewer, name=input.name)
    return NamespacePayload(namespace=Namespace.of(made))
