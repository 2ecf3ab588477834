"""READ mode: a file too large to hold. Its rows are written piece by piece, and a run can go on in the middle of it."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, field

from models import catalogue
from models.database import ALL, AsyncSession
from sluicegate.core.errors import RetriableError, SkippableError, ThrottledError
from sluicegate.providers.base import Entry
from sluicegate.sync.reading import OBJECT_ATTEMPTS, Failure, Row, stream_rows
from sluicegate.sync.row_batch import EMPTY, changed_rows, source_row
from sluicegate.sync.run import Partial, Run, Work

PIECE_ROWS = 1_000
PIECE_BYTES = 4 << 20


@dataclass(slots=True)
class _Piece:
    """Rows on their way into one transaction."""

    rows: list[Row] = field(default_factory=list[Row])
    failures: list[Failure] = field(default_factory=list[Failure])
    size: int = 0

    @property
    def length(self) -> int:
        return len(self.rows) + len(self.failures)

    @property
    def full(self) -> bool:
        return self.length >= PIECE_ROWS or self.size >= PIECE_BYTES

    def add(self, row: Row | Failure) -> None:
        if isinstance(row, Row):
            self.rows.append(row)
            self.size += len(row.text)
        else:
            self.failures.append(row)


async def import_large(run: Run, entry: Entry, path: str) -> Work:
    """Writes the file's rows up to its end. What it returns belongs into the commit that moves the position past it.

    Raises RetriableError when it can't be read on for a passing reason, after 3 retries without progress.
    """
    partial = run.position.partial
    if partial is None or not partial.is_of(entry):
        partial = Partial(entry.key, entry.fingerprint, 0, 0, run.progress.to_json())
        run.position.partial = partial
        run.progress.bytes_found += entry.size or 0
    error: str | None = None
    final = True
    attempt = throttled = 0
    while True:
        rows_before = partial.rows
        try:
            await _stream(run, entry, path, partial)
            break
        except SkippableError as reason:
            error, final = reason.message, reason.provider_code is None
            break
        except ThrottledError as reason:
            await run.back_off(min(throttled, 7), reason)
            throttled += 1
        except RetriableError as reason:
            attempt = 1 if partial.rows > rows_before else attempt + 1
            if attempt >= OBJECT_ATTEMPTS:
                raise
            await run.back_off(attempt - 1, reason)
    return _finish(run, entry, path, partial, error, final=final)


async def _stream(run: Run, entry: Entry, path: str, partial: Partial) -> None:
    """Goes on after the rows that are done. What came before a fault of the file itself is written first."""
    piece = _Piece()
    try:
        async with aclosing(stream_rows(run, entry, path, first=partial.rows)) as stream:
            async for row in stream:
                piece.add(row)
                if piece.full:
                    full, piece = piece, _Piece()
                    await _write(run, entry, path, partial, full)
                    run.check_stop()
    except SkippableError:
        await _write(run, entry, path, partial, piece)
        raise
    await _write(run, entry, path, partial, piece)


async def _write(run: Run, entry: Entry, path: str, partial: Partial, piece: _Piece) -> None:
    if not piece.length:
        return
    plan, first, done = run.plan, partial.rows, partial.rows + piece.length
    async with run.database.read(ALL) as session:
        known = await catalogue.known_rows(session, plan.project_id, plan.storage_id, [entry.key], first, done)
    objects = changed_rows(run, entry, path, piece.rows, known)
    for failure in piece.failures:
        run.progress.fail(path, failure.number, failure.message)
    run.progress.found += piece.length
    partial.rows, partial.bad = done, partial.bad + len(piece.failures)

    async def write(session: AsyncSession) -> None:
        await catalogue.upsert(session, objects)
        if first == 0:
            await catalogue.record_sources(session, [source_row(run, entry, 1, 0, complete=False)])

    await run.commit(write)


def _finish(run: Run, entry: Entry, path: str, partial: Partial, error: str | None, *, final: bool) -> Work:
    """Notes the file as read; rows that it had before and has no more are missing."""
    plan = run.plan
    if error is not None:
        run.progress.found += 1
        run.progress.fail(path, partial.rows, error)
    elif not partial.rows:
        run.progress.found += 1
        run.progress.filter(EMPTY)
    if partial.rows > partial.bad:
        run.progress.bytes_synced += entry.size or 0
    records, failed = partial.rows - partial.bad, partial.bad + (error is not None)
    first_gone = partial.rows

    async def write(session: AsyncSession) -> None:
        if final:
            await catalogue.record_sources(session, [source_row(run, entry, records, failed)])
        if error is None:
            await catalogue.note_missing_rows(
                session, run.job_id, plan.project_id, plan.storage_id, [(entry.key, first_gone)]
            )

    return write
