"""Commit, then announce: what a session's transaction changed is published after it, never before."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

from models.database import ALL, AsyncSession, Database, after_commit
from models.job_transitions import changes
from models.jobs import Job
from models.sync_configs import SyncConfig
from sluicegate.core.metrics import JOBS_FINISHED

logger = logging.getLogger(__name__)


class Publisher(Protocol):
    """Shows a row to whoever watches it: the event hub."""

    async def publish(self, topic: str, state: Any) -> None:
        """`topic`: job or storage; `state`: the row, committed."""
        ...

    async def publish_stale(self, topic: str, scope: int) -> None:
        """Lists of the topic's rows in this namespace are to be read anew."""
        ...

    def heard(self, topic: str) -> bool:
        """Whether somebody may be watching a list of the topic's rows."""
        ...


class Announcer:
    """Publishes rows. A channel that fails is logged and no more: an event is a hint, the row is the truth."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._on_config: Callable[[SyncConfig], None] | None = None

    def watch_configs(self, notice: Callable[[SyncConfig], None]) -> None:
        """Calls `notice` with each configuration that is published here: its schedule may have changed."""
        self._on_config = notice

    async def publish(self, topic: str, state: Any) -> None:
        """Shows one state."""
        try:
            await self._publisher.publish(topic, state)
        except Exception:
            logger.exception("A %s could not be published", topic)

    async def publish_stale(self, topic: str, scope: int) -> None:
        """Has the namespace's lists of the topic read anew."""
        try:
            await self._publisher.publish_stale(topic, scope)
        except Exception:
            logger.exception("Changes of %s rows could not be published", topic)

    def heard(self, topic: str) -> bool:
        """Whether somebody may be watching a list of the topic's rows."""
        return self._publisher.heard(topic)

    def announce(self, session: AsyncSession) -> None:
        """After the session's commit, publishes every job and storage that changes of jobs have touched in it."""

        async def publish_changes() -> None:
            touched = changes(session)
            states, _ = list(touched.items()), touched.clear()
            for (topic, _id), state in states:
                if isinstance(state, Job) and state.finished:
                    JOBS_FINISHED.labels(state.job_class, state.status).inc()
                if isinstance(state, SyncConfig) and self._on_config is not None:
                    self._on_config(state)
                await self.publish(topic, state)

        after_commit(session, publish_changes)

    @asynccontextmanager
    async def write(self, database: Database) -> AsyncGenerator[AsyncSession]:
        """A transaction over all namespaces whose changes are announced."""
        async with database.write(ALL) as session:
            self.announce(session)
            yield session
