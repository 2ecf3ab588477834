"""createApiKey."""

from __future__ import annotations

from datetime import datetime

import strawberry

from gql.context import Info
from gql.errors import payload
from gql.types.access import ApiKey
from gql.types.errors import UserError
from resolvers import access
from sluicegate.core.actors import Scope
from sluicegate.core.ids import decode_id


@strawberry.input(description="A key can grant only the scopes, namespaces and lifetime that it has itself.")
class CreateApiKeyInput:
    """What the new key is to allow."""

    name: str = strawberry.field(description="What it is for, 1 to 256 characters.")
    scopes: list[Scope] = strawberry.field(description="At least one; each includes the ones before it.")
    namespace_ids: list[strawberry.ID] | None = strawberry.field(
        default=None, description="None given: the current namespace."
    )
    expires_at: datetime | None = strawberry.field(
        default=None, description="None given: the end of the key that makes it, if that has one."
    )


@strawberry.type(description="The new key and, this once, its secret.")
class CreateApiKeyPayload:
    """The answer of createApiKey."""

    api_key: ApiKey | None = strawberry.field(default=None, description="The new key.")
    secret: str | None = strawberry.field(default=None, description="Shown this once.")
    errors: list[UserError] = strawberry.field(default_factory=list[UserError], description="Why there is none.")


@payload(CreateApiKeyPayload)
async def create_api_key(info: Info, input: CreateApiKeyInput) -> CreateApiKeyPayload:
    """Makes a key."""
    numbers = None
    if input.namespace_ids is not None:
        numbers = [decode_id(each, "Namespace", path=("namespaceIds",)) for each in input.namespace_ids]
    issued = await access.create_key(
        info.context.services,
        info.context.viewer,
        name=input.name,
        scopes=input.scopes,
        namespace_ids=numbers,
        expires_at=input.expires_at,
    )
    return CreateApiKeyPayload(api_key=ApiKey.of(issued.key), secret=issued.secret)
