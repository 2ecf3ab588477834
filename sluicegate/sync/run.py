"""One run: its position, its commits, its waits. What BLOB and READ mode share."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Protocol

from models import checkpoints, job_state
from models.database import ALL, AsyncSession, Database
from models.job_state import Claim
from models.jobs import TICKS_PER_REVISION, Job, JobStatus
from models.storages import Storage
from sluicegate.core.errors import RetriableError, ThrottledError
from sluicegate.providers.base import Entry, Page, Provider
from sluicegate.sync.plan import SyncPlan
from sluicegate.sync.progress import Phase, Progress
from sluicegate.sync.readers.parquet_process import ParquetReader

LISTING_ATTEMPTS = 5
MAX_WAIT_SECONDS = 60.0
_VERSION = 1

Work = Callable[[AsyncSession], Awaitable[None]]


class RunHandle(Protocol):
    """What the job engine gives to a run. `stop` is set when the run is to end at its next checkpoint."""

    claim: Claim
    job: Job
    stop: asyncio.Event

    async def publish(self, job: Job) -> None:
        """Shows a state to subscribers."""
        ...


class Stopped(Exception):  # noqa: N818 - not an error: the run ends early, at a checkpoint, as it was asked to
    """`stop` was set: everything up to the last commit stands."""


@dataclass(slots=True)
class Partial:
    """A large file that the last commit was in the middle of: `rows` are done, `before` the counters at its start."""

    key: bytes
    fingerprint: str
    rows: int
    bad: int
    before: dict[str, Any]

    def is_of(self, entry: Entry) -> bool:
        """Whether the file still is what it was."""
        return self.key == entry.key and self.fingerprint == entry.fingerprint


@dataclass(slots=True)
class Position:
    """Where a run goes on. `cursor`: of the listing before the page at hand; `after`: the last key that is through."""

    cursor: dict[str, Any] | None = None
    after: bytes = b""
    listed: bool = False
    partial: Partial | None = None

    def to_json(self, plan_digest: str, progress: Progress) -> dict[str, Any]:
        """The checkpoint's state."""
        partial = self.partial
        return {
            "v": _VERSION, "plan": plan_digest, "cursor": self.cursor, "after": self.after.hex(), "listed": self.listed,
            "partial": partial and {
                "key": partial.key.hex(), "fingerprint": partial.fingerprint, "rows": partial.rows, "bad": partial.bad,
                "before": partial.before,
            },
            "progress": progress.to_json(),
        }  # fmt: skip

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> Position:
        """The position that `to_json` wrote."""
        position = cls(cursor=state["cursor"], after=bytes.fromhex(state["after"]), listed=state["listed"])
        saved = state["partial"]
        if saved is not None:
            position.partial = Partial(
                bytes.fromhex(saved["key"]), saved["fingerprint"], saved["rows"], saved["bad"], saved["before"]
            )
        return position


@dataclass(slots=True)
class Run:
    """The state of one run in this process."""

    handle: RunHandle
    database: Database
    provider: Provider
    plan: SyncPlan
    digest: str
    position: Position = field(default_factory=Position)
    progress: Progress = field(default_factory=Progress)
    parquet: ParquetReader = field(default_factory=ParquetReader)

    @property
    def job_id(self) -> int:
        """The job's row."""
        return self.handle.job.id

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
        """The wait before attempt `attempt` + 1 (from 0): exponential with jitter, and what the provider asked for."""
        if isinstance(error, ThrottledError):
            self.progress.rate_limit_hits += 1
        wait = min(MAX_WAIT_SECONDS, 0.5 * 2**attempt) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret
        await self.wait(min(MAX_WAIT_SECONDS, max(wait, error.retry_after or 0.0)))

    async def commit(self, work: Work | None = None) -> None:
        """One transaction: the fence, the counters, `work`, the checkpoint. Raises FencedError: lease lost."""
        async with self.database.write(ALL) as session:
            saved = await job_state.save(
                session, self.handle.claim, sync=self.progress.to_json(), progress=self.progress.fraction
            )
            if work is not None:
                await work(session)
            if not self.plan.dry_run:
                await checkpoints.store(session, self.job_id, self.position.to_json(self.digest, self.progress))
        # The status too: a state shown after a cancel was committed must not say IN_PROGRESS again.
        self.handle.job.row_rev, self.handle.job.tick, self.handle.job.status = saved.row_rev, 0, saved.status
        if saved.status != JobStatus.IN_PROGRESS:
            self.handle.stop.set()

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
                listing = self.provider.list(recursive=self.plan.recursive, cursor=self.position.cursor)
                async with aclosing(listing):
                    async for page in listing:
                        attempt = throttled = 0
                        entries = self._not_through(page)
                        if entries:
                            yield entries
                        self.position.cursor = page.cursor
                        self.check_stop()
            except ThrottledError as error:
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


def plan_digest(storage: Storage, plan: SyncPlan) -> str:
    """Changes when a checkpoint of the plan is of no use any more: another source, path, mode or filter."""
    parts = [
        storage.type,
        storage.project_id,
        storage.settings,
        storage.regex_filter,
        plan.recursive,
        plan.read,
        plan.full_sync,
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
