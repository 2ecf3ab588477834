"""Brings tickets and rows together: what is due gets a ticket, what nobody runs any more is ended, what is old goes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from models import job_leases, job_retention, job_state
from models.database import ALL, AsyncSession, Database
from models.job_scopes import WAIT_SECONDS
from models.jobs import Job
from sluicegate.jobs.announce import Announcer
from sluicegate.jobs.engine import Engine

_CHUNK = 100
_DELETE_CHUNK = 500


class _Finder(Protocol):
    async def __call__(
        self, session: AsyncSession, *, at: datetime, limit: int, lock: bool = False
    ) -> Sequence[int]: ...


class Reconciler:
    """Looks through the rows; every look is safe at any time and beside other processes.

    `waiting`: at the last look there were runs that others were in the way of.
    """

    def __init__(self, database: Database, announcer: Announcer, engine: Engine, *, retention_days: int) -> None:
        self._database = database
        self._announcer = announcer
        self._engine = engine
        self._retention = timedelta(days=retention_days)
        self.waiting = False

    async def tick(self, at: datetime) -> datetime | None:
        """Makes due jobs QUEUED and gives them tickets. Returns when, by the rows, the next look is worth it."""
        seen = await self._look(at)
        if seen is None:
            await self._change(job_leases.due_schedules, job_state.make_due, at)
            await self._change(job_leases.lapsed_cancels, job_state.stopped, at)
            seen = await self._look(at, changed=True)
        assert seen is not None
        due, following = seen
        self.waiting = due.waiting
        await self._engine.deliver(due.jobs)
        if due.waiting:
            # What they wait for may end in another process, which tells nobody.
            soon = at + timedelta(seconds=WAIT_SECONDS)
            return soon if following is None else min(soon, following)
        return following

    async def _look(self, at: datetime, *, changed: bool = False) -> tuple[job_leases.Due, datetime | None] | None:
        """What is due, and when more will be; None where rows are to be `changed` first, which takes a write lock."""
        async with self._database.read(ALL) as session:
            if not changed and (
                await job_leases.due_schedules(session, at=at, limit=1)
                or await job_leases.lapsed_cancels(session, at=at, limit=1)
            ):
                return None
            due = await job_leases.due_jobs(session, at=at, limit=self._engine.window)
            # With more due than there is room for, the next look is when one of them ends.
            room = len(due.jobs) < self._engine.window
            return due, await job_leases.next_due(session, after=at, queued=room)

    async def release(self) -> None:
        """At start, where no other process can run jobs: every lease is void."""
        async with self._database.write(ALL) as session:
            await job_leases.expire_leases(session)

    async def forget_old(self, at: datetime) -> int:
        """Deletes the finished jobs that are past their retention, and those of configurations that are too many.

        A chunk at a time. Returns how many.
        """
        total = await self._delete(job_retention.past(at - self._retention))
        after: int | None = 0
        while after is not None:
            async with self._database.read(ALL) as session:
                found, after = await job_retention.find_surplus(session, after=after)
            for surplus in found:
                total += await self._delete(job_retention.beyond(surplus))
        return total

    async def _delete(self, which: job_retention.Which) -> int:
        total = 0
        while True:
            async with self._database.write(ALL) as session:
                if await job_retention.delete_outcomes(session, which, limit=_DELETE_CHUNK):
                    continue
                deleted = await job_retention.delete_jobs(session, which, limit=_DELETE_CHUNK)
            total += deleted
            if deleted < _DELETE_CHUNK:
                return total

    async def _change(self, find: _Finder, change: Callable[..., Awaitable[Job]], at: datetime) -> None:
        while True:
            async with self._announcer.write(self._database) as session:
                found = await find(session, at=at, limit=_CHUNK, lock=True)
                for job_id in found:
                    await change(session, job_id, at=at)
            if len(found) < _CHUNK:
                return
