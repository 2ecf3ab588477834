"""READ mode, the run: changed files are read, small ones several at a time, and their rows written in key order."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from models import catalogue
from models.database import ALL, AsyncSession
from models.objects import MAX_KEY_BYTES, STAGED_MARK
from sluicegate.core.errors import ErrorCode, RetriableError
from sluicegate.core.text import text_of_key
from sluicegate.providers.base import Entry
from sluicegate.sync.blobs import NAME_TOO_LONG
from sluicegate.sync.filters import rejected
from sluicegate.sync.large_file import PIECE_BYTES, import_large
from sluicegate.sync.merge import merge
from sluicegate.sync.missing import note_missing
from sluicegate.sync.progress import Progress
from sluicegate.sync.reading import FileResult, is_small, read_small
from sluicegate.sync.row_batch import RowBatch
from sluicegate.sync.run import LimitReached, Run, Work
from sluicegate.sync.samples import Sampler

CONCURRENT_READS = 16
COMMIT_SECONDS = 1.0
MAX_FAILURES_IN_A_ROW = 5
"""So many files in a row that could not be read for a passing reason: then it is the source, and the run backs off."""

KnownSource = tuple[bytes, str, int, int]
"""(key, fingerprint, rows, failed rows) of a file that was read before."""


@dataclass(slots=True)
class Passed:
    """Files of the listing that need no reading, counted when the run's position passes them."""

    found: int = 0
    unchanged: int = 0
    bytes_found: int = 0
    filtered: list[str] = field(default_factory=list[str])
    failed: list[tuple[bytes, str]] = field(default_factory=list[tuple[bytes, str]])

    def count(self, run: Run) -> None:
        """Adds them to the run's counters."""
        progress = run.progress
        progress.found += self.found
        progress.unchanged += self.unchanged
        progress.bytes_found += self.bytes_found
        for rule in self.filtered:
            progress.filter(rule)
        for key, path in self.failed:
            run.ledger.failed(key, 0, path, NAME_TOO_LONG, error_type=ErrorCode.LIMIT, whole=True)


@dataclass(slots=True)
class Step:
    """A file to read, and what lies before it in the listing, up to the key `previous` (None: nothing)."""

    entry: Entry
    path: str
    before: Passed
    known: bool
    previous: bytes | None


async def import_reads(run: Run, entries: Sequence[Entry], upto: bytes | None) -> None:
    """Brings the catalogue up to the records of `entries`, up to the key `upto` (None: to the end)."""
    plan = run.plan

    async def fetch(after: bytes, bound: bytes | None) -> list[KnownSource]:
        async with run.database.read(ALL) as session:
            return await catalogue.known_sources(session, plan.project_id, plan.storage_id, after, bound, plan.range)

    async for part, known, last in merge(entries, run.position.after, upto, fetch):
        await read_files(run, part, known, await rejected(plan.filters, part), last)


async def read_files(
    run: Run,
    entries: Sequence[Entry],
    known: Sequence[KnownSource],
    left_out: Mapping[bytes, str],
    last: bytes,
    also: Callable[[bytes], Work] | None = None,
) -> None:
    """Brings the catalogue up to the records of these files, of which it has `known`.

    `also`: makes what belongs into the commit that passes a key. Raises LimitReached as soon as the run is at its end.
    """
    steps, rest, missing = _diff(run, entries, known, left_out)
    if run.plan.dry_run:
        _count_only(run, steps, rest, missing)
        run.position.after = last
    else:
        await _Import(run, missing, also).files(steps, rest, last)


def _diff(
    run: Run, entries: Sequence[Entry], known: Sequence[KnownSource], left_out: Mapping[bytes, str]
) -> tuple[list[Step], Passed, list[bytes]]:
    """The files to read, what comes after the last of them, and the keys that are gone. `left_out`: key → rule."""
    plan, sampler = run.plan, Sampler(run.progress, enabled=run.plan.dry_run)
    # A run over single keys was asked to look at them: rows that failed are in files that look unchanged.
    again = plan.full_sync or plan.only_keys
    mark = STAGED_MARK if plan.require_confirmation else ""
    before = {source[0]: source for source in known}
    run.ledger.filtered(left_out)
    steps: list[Step] = []
    passed = Passed()
    previous: bytes | None = None
    for entry in entries:
        old = before.pop(entry.key, None)
        path = entry.path or text_of_key(entry.key)
        rule = left_out.get(entry.key)
        same = old is not None and old[1] in (entry.fingerprint, mark + entry.fingerprint)
        if rule is None and len(entry.key) <= MAX_KEY_BYTES and (again or not same):
            steps.append(Step(entry, path, passed, old is not None, previous))
            sampler.imported(entry, path)
            passed, previous = Passed(), entry.key
            continue
        previous = entry.key
        passed.bytes_found += entry.size or 0
        if rule is not None:
            passed.found += 1
            passed.filtered.append(rule)
            sampler.filtered(entry, path, rule)
        elif old is not None and same:
            records = max(1, old[2] + old[3])
            passed.found += records
            passed.unchanged += records
            run.ledger.kept(entry.key)
        else:
            passed.found += 1
            passed.failed.append((entry.key, path[:256]))
    return steps, passed, list(before)


def _count_only(run: Run, steps: list[Step], rest: Passed, missing: list[bytes]) -> None:
    """A dry run reads no file: a file counts as one record."""
    progress = run.progress
    for step in steps:
        step.before.count(run)
        progress.found += 1
        progress.bytes_found += step.entry.size or 0
        progress.updated += step.known
        progress.added += not step.known
    rest.count(run)
    progress.missing += len(missing)


class _Import:
    """Imports one piece of the listing. Each commit covers everything up to its key, and nothing after it."""

    def __init__(self, run: Run, missing: list[bytes], also: Callable[[bytes], Work] | None) -> None:
        self._run = run
        self._also = also
        self._missing = deque(missing)
        self._batch = RowBatch(run)
        self._committed = time.monotonic()
        self._failures_in_a_row = 0

    async def files(self, steps: list[Step], rest: Passed, last: bytes) -> None:
        """Reads the files and writes their rows, up to the key `last`."""
        run = self._run
        _check_partial(run, steps, rest, last)
        run.progress.pending = len(steps)
        async with aclosing(_in_order(run, steps)) as results:
            async for item in results:
                if item is None:
                    await self._pause()
                    continue
                step, result = item
                step.before.count(run)
                run.progress.pending -= 1
                run.progress.current_object = step.path
                if result is None or not await self._fits(step, result):
                    await self._large(step)
                    continue
                run.progress.bytes_found += step.entry.size or 0
                self._watch(result)
                self._batch.add(result)
                # Not while one file after the other fails: should it be the source, the next run reads them again.
                overdue = time.monotonic() - self._committed >= COMMIT_SECONDS and not self._failures_in_a_row
                if overdue or self._batch.size >= run.plan.checkpoint_frequency or self._batch.bytes >= PIECE_BYTES:
                    await self._commit(step.entry.key)
        rest.count(run)
        await self._commit(last)

    async def _pause(self) -> None:
        """The next file keeps the run waiting: what is read is written, shown and safe from a cancel."""
        if self._batch.size and not self._failures_in_a_row:
            await self._commit(self._batch.last_key)
        self._run.check_stop()

    async def _fits(self, step: Step, result: FileResult) -> bool:
        """Whether the run has room for the whole file, whatever of it has changed."""
        records = len(result.rows) + len(result.failures) + (result.error is not None)
        if self._run.room is None or self._batch.size + records <= self._run.room:
            return True
        if step.previous is not None:
            await self._commit(step.previous)
        return records <= self._run.room

    async def _large(self, step: Step) -> None:
        """Reads a large file between two commits: up to it and, with its end, past it."""
        run = self._run
        if step.previous is not None:
            # What lies before it is counted: a run that goes on in the middle of it must not count that again.
            await self._commit(step.previous)
        if run.room == 0:
            raise LimitReached
        await self._commit(step.entry.key, await import_large(run, step.entry, step.path))

    async def _commit(self, upto: bytes, also: Work | None = None) -> None:
        """Writes the batch; the position moves to the key `upto`, and what is missing before it is noted."""
        batch, run = self._batch, self._run
        self._batch = RowBatch(run)
        gone: list[bytes] = []
        while self._missing and self._missing[0] <= upto:
            gone.append(self._missing.popleft())
        await batch.resolve()
        run.position.after = upto
        if run.position.partial is not None and run.position.partial.key <= upto:
            run.position.partial = None

        if not (batch.size or also or gone or self._also):
            await run.passed()
            run.check_stop()
            return

        async def write(session: AsyncSession) -> None:
            await batch.write(session)
            if also is not None:
                await also(session)
            await note_missing(run, session, gone)
            if self._also is not None:
                await self._also(upto)(session)

        await run.commit(write)
        self._committed = time.monotonic()
        run.check_stop()

    def _watch(self, result: FileResult) -> None:
        """Raises RetriableError when the source itself, not one file, seems to be out of reach."""
        error = result.passing
        self._failures_in_a_row = self._failures_in_a_row + 1 if error else 0
        if error and self._failures_in_a_row >= MAX_FAILURES_IN_A_ROW:
            raise RetriableError(
                f"{self._failures_in_a_row} files in a row could not be read. {error.message}",
                code=error.code, provider_code=error.provider_code, hint=error.hint,
            )  # fmt: skip


def _check_partial(run: Run, steps: list[Step], rest: Passed, last: bytes) -> None:
    """A run goes on in the middle of a large file only if that comes next and is what it was.

    Otherwise (it changed, is small now or gone, or another came before it) what was counted of it is taken back.
    """
    partial = run.position.partial
    if partial is None or (not steps and not rest.found and last < partial.key):
        return
    following = steps[0] if steps and steps[0].previous is None else None
    if following is None or not partial.is_of(following.entry):
        keep, run.position.partial = run.progress, None
        run.progress = Progress.from_json(partial.before)
        run.progress.rate_limit_hits, run.progress.batches = keep.rate_limit_hits, keep.batches
        run.ledger.retract(partial.key, text_of_key(partial.key))


async def _in_order(run: Run, steps: list[Step]) -> AsyncGenerator[tuple[Step, FileResult | None] | None]:
    """Each file with what was read of it, in order; None for a large one. At most CONCURRENT_READS are under way.

    None instead of the pair: the next file lets itself be waited for, and what came before it need not wait with it.
    """
    waiting = iter(steps)
    under_way: deque[tuple[Step, asyncio.Task[FileResult | None] | None]] = deque()
    partial = run.position.partial

    def start_next() -> None:
        step = next(waiting, None)
        if step is not None:
            small = is_small(step.entry) and (partial is None or not partial.is_of(step.entry))
            under_way.append((step, asyncio.create_task(read_small(run, step.entry, step.path)) if small else None))

    try:
        for _ in range(CONCURRENT_READS):
            start_next()
        while under_way:
            step, task = under_way[0]
            if task is not None:
                await asyncio.wait({task}, timeout=COMMIT_SECONDS)
                if not task.done():
                    yield None
                    continue
            under_way.popleft()
            start_next()
            yield step, task.result() if task else None
    finally:
        left = [task for _, task in under_way if task]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
