"""How a run can end, as it is written to its row."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from models import job_state
from models.database import AsyncSession
from models.job_state import Claim
from models.jobs import JobStatus
from sluicegate.sync.run import Work


class Conclusion(Protocol):
    """The end of a run."""

    async def write(self, session: AsyncSession, claim: Claim, at: datetime) -> None:
        """Writes it. Raises FencedError."""
        ...


@dataclass(frozen=True, slots=True)
class Finish:
    """The job is done with: a terminal status."""

    status: JobStatus
    error: dict[str, Any] | None = None
    columns: dict[str, Any] = field(default_factory=dict[str, Any])
    also: Work | None = None

    async def write(self, session: AsyncSession, claim: Claim, at: datetime) -> None:
        """Finishes the row."""
        await job_state.finish(session, claim, self.status, error=self.error, also=self.also, at=at, **self.columns)


@dataclass(frozen=True, slots=True)
class RetryLater:
    """The job is tried again after `delay` seconds. `retry_count`: retries since it last got on, with this one."""

    delay: float
    error: dict[str, Any]
    retry_count: int

    async def write(self, session: AsyncSession, claim: Claim, at: datetime) -> None:
        """Queues the row."""
        await job_state.retry_later(
            session, claim, delay_seconds=self.delay, error=self.error, retry_count=self.retry_count, at=at
        )


@dataclass(frozen=True, slots=True)
class HandOver:
    """The run stopped at a checkpoint, as it was asked to: what the row says decides what becomes of the job."""

    columns: dict[str, Any] = field(default_factory=dict[str, Any])

    async def write(self, session: AsyncSession, claim: Claim, at: datetime) -> None:
        """Gives the job back."""
        if self.columns:
            await job_state.save(session, claim, at=at, **self.columns)
        await job_state.hand_over(session, claim, at=at)
