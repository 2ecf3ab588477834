"""What a task engine has to do, and all that the rest knows of one.

The job row is the truth; a ticket delivers its id to a worker, no more. Tickets may be lost or come twice: the claim
decides who runs a job, and the ticker writes new tickets for rows that lack one. Engines: `embedded` (in memory) and
`postgres` (in the database, for any number of processes).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from models.database import AsyncSession
from models.job_leases import DueJob
from models.jobs import Job


class Handler(Protocol):
    """Where tickets go: the worker."""

    async def run(self, job_id: int) -> float | None:
        """Runs the job if it may. Returns in how many seconds to deliver the ticket again; None: it is done with."""
        ...

    def interrupt(self, job_id: int) -> None:
        """Something was asked of the job: look at its row at once."""
        ...


class Engine(Protocol):
    """Delivers tickets."""

    window: int
    """How many due jobs `deliver` looks at; the ticker gives it the most urgent ones."""

    @property
    def hungry(self) -> bool:
        """Whether it may soon have nothing to deliver: then the ticker looks for more."""
        ...

    async def enqueue(self, session: AsyncSession, job: Job) -> None:
        """A ticket for a job that this session makes QUEUED: in its transaction, or after its commit."""
        ...

    async def deliver(self, jobs: Sequence[DueJob]) -> None:
        """Sees to it that these jobs have tickets, as far as there is room."""
        ...

    async def interrupt(self, session: AsyncSession, job_id: int) -> None:
        """After the session's commit, has the job's run look at its row, wherever it runs.

        Only makes it quicker: the heartbeat learns what was asked for too.
        """
        ...

    async def run(self, handler: Handler) -> None:
        """Delivers tickets until `stop`; then returns when the last one in hand is done with."""
        ...

    def stop(self) -> None:
        """No more tickets."""
        ...


def due(job: Job) -> DueJob:
    """The row as what it has to be delivered by."""
    return DueJob(job.id, job.priority, job.job_class, job.fence)
