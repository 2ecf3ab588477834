"""discardDeadLetters."""

from __future__ import annotations

from gql.context import Info
from gql.errors import payload
from gql.mutations.retry_dead_letters import DeadLettersInput, DeadLettersPayload
from resolvers import dead_letters


@payload(DeadLettersPayload)
async def discard_dead_letters(info: Info, input: DeadLettersInput) -> DeadLettersPayload:
    """Gives dead letters up."""
    decided = await dead_letters.discard(info.context.services, info.context.viewer, input.choice)
    return DeadLettersPayload(count=decided.count)
