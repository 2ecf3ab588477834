"""revokeApiKey."""

from __future__ import annotations

import strawberry

from gql.context import Info
from gql.errors import payload
from gql.types.access import ApiKey
from gql.types.errors import UserError
from resolvers import access
from sluicegate.core.ids import decode_id


@strawberry.input(description="Which key to end.")
class RevokeApiKeyInput:
    """A key's id."""

    id: strawberry.ID = strawberry.field(description="The key.")


@strawberry.type(description="The key as it is now.")
class ApiKeyPayload:
    """The answer of revokeApiKey."""

    api_key: ApiKey | None = strawberry.field(default=None, description="The key; null when there was an error.")
    errors: list[UserError] = strawberry.field(default_factory=list[UserError], description="What went wrong.")


@payload(ApiKeyPayload)
async def revoke_api_key(info: Info, input: RevokeApiKeyInput) -> ApiKeyPayload:
    """Ends a key."""
    number = decode_id(input.id, "ApiKey")
    return ApiKeyPayload(api_key=ApiKey.of(await access.revoke_key(info.context.services, info.context.viewer, number)))
