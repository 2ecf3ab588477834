"""One run: its position, its commits, its waits. What BLOB and READ mode share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Protocol

from models import checkpoints, job_state
from models.database import ALL, AsyncSession, Database
from models.job_state import Claim
from models.jobs import TICKS_PER_REVISION, Job, JobStatus
from models.run_records import Scope
from sluicegate.core.errors import RetriableError, ThrottledError
from sluicegate.providers.base import Entry, Page, Provider
from sluicegate.sync.ledger import Ledger
from sluicegate.sync.pace import Pace
from sluicegate.sync.plan import SyncPlan
from sluicegate.sync.position import Position
from sluicegate.sync.progress import Phase, Progress
from sluicegate.sync.progress_news import ProgressNews
from sluicegate.sync.readers.parquet_process import ParquetReader

LISTING_ATTEMPTS = 5
DEFER_SECONDS = 1.0
"""So long a run that finds nothing to write may be ahead of its checkpoint."""

Work = Callable[[AsyncSession], Awaitable[None]]


class RunHandle(Protocol):
    """What the job engine gives to a run. `stop` is set when the run is to end at its next checkpoint."""

    claim: Claim
    job: Job
    stop: asyncio.Event

    async def publish(self, job: Job) -> None:
        """Shows a state to subscribers."""
        ...

    def watched(self, topic: str) -> bool:
        """Whether somebody may be watching lists of these rows."""
        ...

    async def announce(self, topic: str, rows: Sequence[Any] | None) -> None:
        """Shows rows, committed, to those who watch lists of them; None: too many to show, lists are read anew."""
        ...


class Stopped(Exception):  # noqa: N818 - not an error: the run ends early, at a checkpoint, as it was asked to
    """`stop` was set: everything up to the last commit stands."""


class LimitReached(Exception):  # noqa: N818 - as Stopped
    """The run has done as much as `max_objects` allows: everything up to the last commit stands, and is its end."""


@dataclass(slots=True)
class Run:
    """The state of one run in this process. `saved`: the counters as the last commit wrote them.

    `deferred`: it is ahead of that. `closing`: what belongs into the transaction that ends the job well.
    """

    handle: RunHandle
    database: Database
    provider: Provider
    plan: SyncPlan
    position: Position = field(default_factory=Position)
    progress: Progress = field(default_factory=Progress)
    parquet: ParquetReader = field(default_factory=ParquetReader)
    saved: dict[str, Any] | None = None
    committing: bool = False
    deferred: bool = False
    closing: Work | None = None
    pace: Pace = field(init=False)
    ledger: Ledger = field(init=False)
    news: ProgressNews = field(init=False)
    _committed: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.pace = Pace(self.wait, self._hit)
        self.ledger = Ledger(self)
        self.news = ProgressNews(None if self.plan.dry_run else self.plan.sync_config_id, self.job_id)

    @property
    def scope(self) -> Scope:
        """Whose records it writes, and of which keys."""
        return Scope(self.plan.project_id, self.plan.storage_id, self.plan.range)

    @property
    def job_id(self) -> int:
        """The job's row."""
        return self.handle.job.id

    @property
    def room(self) -> int | None:
        """How many objects the run may still add, update or fail; None: any number."""
        if self.plan.max_objects is None or self.plan.dry_run:
            return None
        return max(0, self.plan.max_objects - self.progress.added - self.progress.updated - self.progress.failed)

    def check_stop(self) -> None:
        """Raises Stopped when the run is to end."""
        if self.handle.stop.is_set():
            raise Stopped

    async def wait(self, seconds: float) -> None:
        """Waits, unless the run is to end: then raises Stopped at once."""
        try:
            await asyncio.wait_for(self.handle.stop.wait(), seconds)
        except TimeoutError:
            return
        raise Stopped

    async def back_off(self, attempt: int, error: RetriableError) -> None:
        """The wait before attempt `attempt` + 1 (from 0); all of the run waits with it when it was throttled."""
        await self.pace.back_off(attempt, error)

    async def commit(self, work: Work | None = None) -> None:
        """One transaction: the fence, the counters, `work`, the checkpoint. Raises FencedError: lease lost."""
        told = self.ledger.seal()
        counters = self.progress.to_json()
        self.committing = True
        try:
            async with self.database.write(ALL) as session:
                saved = await job_state.save(session, self.handle.claim, sync=counters, progress=self.progress.fraction)
                if work is not None:
                    await work(session)
                await told.write(session)
                if saved.status == JobStatus.IN_PROGRESS:
                    await self.news.tell(session, counters, self.progress.fraction)
                if not self.plan.dry_run:
                    state = self.position.to_json(self.plan.digest, counters)
                    await checkpoints.store(session, self.job_id, state)
        finally:
            self.committing = False
        self.saved, self.deferred, self._committed = counters, False, time.monotonic()
        # The status too: a state shown after a cancel was committed must not say IN_PROGRESS again.
        self.handle.job.row_rev, self.handle.job.tick, self.handle.job.status = saved.row_rev, 0, saved.status
        if saved.status != JobStatus.IN_PROGRESS:
            self.handle.stop.set()
        await told.show()

    async def passed(self) -> None:
        """Instead of `commit` where nothing but the position has moved: that waits for the next commit, or a second."""
        overdue = time.monotonic() - self._committed >= DEFER_SECONDS
        if overdue or self.ledger.waits or self.handle.stop.is_set():
            await self.commit()
        else:
            self.deferred = True

    async def show(self, phase: Phase | None = None) -> None:
        """Publishes the counters as they are, between two writes of the row."""
        if phase is not None:
            self.progress.phase = phase
        job = self.handle.job
        job.sync, job.progress = self.progress.to_json(), self.progress.fraction
        job.tick = min(job.tick + 1, TICKS_PER_REVISION - 1)
        await self.handle.publish(job)

    async def pages(self) -> AsyncGenerator[list[Entry]]:
        """The listing from the position on. A page that fails for a passing reason is asked for again."""
        attempt = throttled = 0
        while True:
            try:
                listing = self.provider.list(
                    recursive=self.plan.recursive, cursor=self.position.cursor, prefix=self.position.prefix
                )
                async with aclosing(listing):
                    async for page in listing:
                        attempt = throttled = 0
                        entries = self._not_through(page)
                        if entries:
                            yield entries
                        self.position.cursor = page.cursor
                        self.check_stop()
            except ThrottledError as error:
                self.pace.slow_down(error)
                await self.back_off(min(throttled, 7), error)
                throttled += 1
            except RetriableError as error:
                attempt += 1
                if attempt >= LISTING_ATTEMPTS:
                    raise
                await self.back_off(attempt - 1, error)
            else:
                return

    def _not_through(self, page: Page) -> list[Entry]:
        """The page without what the last checkpoint covers."""
        after = self.position.after
        if not after or not page.entries or page.entries[0].key > after:
            return page.entries
        return [entry for entry in page.entries if entry.key > after]

    def _hit(self) -> None:
        self.progress.rate_limit_hits += 1
