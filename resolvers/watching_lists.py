"""Watching a list: its rows as they are, then each change, also when a row no longer meets the filter."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from models import dead_letter_queries
from models.dead_letter_queries import DeadLetterCriteria
from models.dead_letters import DeadLetter
from models.pagination import PageRequest
from resolvers.access import Viewer
from resolvers.live import DEAD_LETTER
from resolvers.services import Services
from sluicegate.events import Change


@dataclass(frozen=True, slots=True)
class _DeadLetters:
    """The namespace's dead letters under a filter: `request` those to begin with."""

    services: Services
    viewer: Viewer
    criteria: DeadLetterCriteria
    request: PageRequest

    def selects(self, state: DeadLetter) -> bool:
        """Whether it is the viewer's, and meets the filter."""
        return state.namespace_id == self.viewer.namespace.id and self.criteria.selects(state)

    async def first(self) -> Sequence[DeadLetter]:
        """The newest."""
        async with self.services.database.read(self.viewer.namespace.id) as session:
            page = await dead_letter_queries.list_dead_letters(session, self.request, criteria=self.criteria)
        return page.rows[::-1]

    async def read(self, ids: Sequence[int]) -> Sequence[DeadLetter]:
        """Those that exist."""
        async with self.services.database.read(self.viewer.namespace.id) as session:
            return [row for row in await dead_letter_queries.dead_letters_by_id(session, ids) if row is not None]


async def watch_dead_letters(
    services: Services, viewer: Viewer, *, criteria: DeadLetterCriteria, first: int
) -> AsyncGenerator[Change]:
    """Dead letters, the newest `first` to begin with. Raises InvalidError."""
    request = PageRequest(first)
    assert request.size >= 0  # a size that is not allowed raises here, before anything is watched
    source = _DeadLetters(services, viewer, criteria, request)
    async with services.hub.watch_list(DEAD_LETTER, source, scope=viewer.namespace.id) as changes:
        async for change in changes:
            yield change
