"""One run of a job in this process: what the job class is given, and how the engine gets it to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from models.job_state import Claim
from models.jobs import Job, JobStatus
from sluicegate.jobs.announce import Announcer


class StopReason(IntEnum):
    """Why a run is to end early; a graver reason replaces a lesser one."""

    DRAIN = 1
    PAUSE = 2
    CANCEL = 3
    LOST = 4


@dataclass(frozen=True, slots=True)
class Grace:
    """Seconds from a stop to the interruption of what the run awaits, and from there until it is given up."""

    soft: float
    hard: float


@dataclass(slots=True)
class Handle:
    """A run under way. `stop`: it is to end at its next checkpoint; `given_up`: it did not, nor did its task end."""

    claim: Claim
    job: Job
    announcer: Announcer
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    given_up: asyncio.Event = field(default_factory=asyncio.Event)
    reason: StopReason | None = None
    _claimed_rev: int = field(init=False)
    _status: JobStatus = JobStatus.IN_PROGRESS
    _task: asyncio.Task[Any] | None = None
    _timers: list[asyncio.TimerHandle] = field(default_factory=list[asyncio.TimerHandle])

    def __post_init__(self) -> None:
        self._claimed_rev = self.job.row_rev

    @property
    def progressed(self) -> bool:
        """Whether the run has saved anything since it was claimed."""
        return self.job.row_rev > self._claimed_rev

    async def publish(self, job: Job) -> None:
        """Shows a state of the run's job. A cancel or pause that the run has not heard of yet stays visible."""
        if self._status != JobStatus.IN_PROGRESS:
            job.status = self._status
        await self.announcer.publish("job", job)

    def watched(self, topic: str) -> bool:
        """Whether somebody may be watching lists of these rows."""
        return self.announcer.heard(topic)

    async def announce(self, topic: str, rows: Sequence[Any] | None) -> None:
        """Shows rows, committed, to those who watch lists of them; None: too many to show, lists are read anew."""
        if rows is None:
            await self.announcer.publish_stale(topic, self.job.namespace_id)
        for row in rows or ():
            await self.announcer.publish(topic, row)

    def begin(self, task: asyncio.Task[Any]) -> None:
        """The task that a stop interrupts if need be."""
        self._task = task

    def heard(self, status: JobStatus) -> None:
        """The row's status is this now."""
        self._status = status

    def request_stop(self, reason: StopReason, grace: Grace) -> None:
        """Sets `stop`; after `grace.soft` seconds cancels the task, after `grace.hard` more sets `given_up`."""
        if self.reason is not None and self.reason >= reason:
            return
        self.reason = reason
        self.stop.set()
        self.clear_timers()
        loop = asyncio.get_running_loop()
        self._timers = [
            loop.call_later(grace.soft, self._interrupt),
            loop.call_later(grace.soft + grace.hard, self.given_up.set),
        ]

    def clear_timers(self) -> None:
        """The run has ended, or another grace begins."""
        for timer in self._timers:
            timer.cancel()
        self._timers = []

    def _interrupt(self) -> None:
        if self._task is not None:
            self._task.cancel()
