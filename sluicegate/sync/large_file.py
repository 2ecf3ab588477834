"""READ mode: a file too large to hold. Its rows are written piece by piece, and a run can go on in the middle of it."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, field

from models import catalogue
from models.database import ALL, AsyncSession
from sluicegate.core.errors import RetriableError, SkippableError, ThrottledError
from sluicegate.providers.base import Entry
from sluicegate.sync.changes import Changes, known_rows
from sluicegate.sync.details import detailed
from sluicegate.sync.ledger import OBJECT_ATTEMPTS, PARSE, error_type_of
from sluicegate.sync.missing import note_missing_rows
from sluicegate.sync.position import Partial
from sluicegate.sync.reading import Failure, Row, stream_rows
from sluicegate.sync.row_batch import EMPTY, compare_rows, source_row
from sluicegate.sync.run import LimitReached, Run, Work

PIECE_ROWS = 1_000
PIECE_BYTES = 4 << 20


@dataclass(slots=True)
class _Piece:
    """Rows on their way into one transaction."""

    limit: int
    rows: list[Row] = field(default_factory=list[Row])
    failures: list[Failure] = field(default_factory=list[Failure])
    size: int = 0

    @property
    def length(self) -> int:
        return len(self.rows) + len(self.failures)

    @property
    def full(self) -> bool:
        return self.length >= self.limit or self.size >= PIECE_BYTES

    def add(self, row: Row | Failure) -> None:
        if isinstance(row, Row):
            self.rows.append(row)
            self.size += len(row.text)
        else:
            self.failures.append(row)


def _limit(run: Run) -> int:
    """The rows of the next piece: no more than the run has room for."""
    return PIECE_ROWS if run.room is None else min(PIECE_ROWS, run.room)


async def import_large(run: Run, entry: Entry, path: str) -> Work:
    """Writes the file's rows up to its end. What it returns belongs into the commit that moves the position past it.

    Raises RetriableError when it can't be read on for a passing reason, after 3 retries without progress.
    """
    partial = run.position.partial
    if partial is None or not partial.is_of(entry):
        partial = Partial(entry.key, entry.fingerprint, 0, 0, run.progress.to_json())
        run.position.partial = partial
        run.progress.bytes_found += entry.size or 0
    error: SkippableError | None = None
    attempt = throttled = 0
    while True:
        rows_before = partial.rows
        try:
            await _stream(run, entry, path, partial)
            break
        except SkippableError as reason:
            error = reason
            break
        except ThrottledError as reason:
            run.pace.slow_down(reason)
            await run.back_off(min(throttled, 7), reason)
            throttled += 1
        except RetriableError as reason:
            attempt = 1 if partial.rows > rows_before else attempt + 1
            if attempt >= OBJECT_ATTEMPTS:
                raise
            await run.back_off(attempt - 1, reason)
    return _finish(run, entry, path, partial, error)


async def _stream(run: Run, entry: Entry, path: str, partial: Partial) -> None:
    """Goes on after the rows that are done. What came before a fault of the file itself is written first."""
    piece = _Piece(_limit(run))
    try:
        async with aclosing(stream_rows(run, entry, path, first=partial.rows)) as stream:
            async for row in stream:
                if not piece.limit:
                    raise LimitReached
                piece.add(row)
                if piece.full:
                    full, piece = piece, _Piece(PIECE_ROWS)
                    await _write(run, entry, path, partial, full)
                    piece.limit = _limit(run)
                    run.check_stop()
    except SkippableError:
        await _write(run, entry, path, partial, piece)
        raise
    await _write(run, entry, path, partial, piece)


async def _write(run: Run, entry: Entry, path: str, partial: Partial, piece: _Piece) -> None:
    if not piece.length:
        return
    first, done = partial.rows, partial.rows + piece.length
    async with run.database.read(ALL) as session:
        known = await known_rows(run, session, [entry.key], first, done)
    changes = Changes()
    compare_rows(run, changes, entry, path, piece.rows, known)
    changes = await detailed(run, changes)
    changes.count(run)
    partial.again |= bool(changes.again)
    for failure in piece.failures:
        run.ledger.failed(entry.key, failure.number, path, failure.message, error_type=PARSE)
    run.progress.found += piece.length
    partial.rows, partial.bad = done, partial.bad + len(piece.failures)

    async def write(session: AsyncSession) -> None:
        await changes.write(run, session)
        if first == 0:
            await catalogue.record_sources(session, [source_row(run, entry, 1, 0, complete=False)])

    await run.commit(write)


def _finish(run: Run, entry: Entry, path: str, partial: Partial, error: SkippableError | None) -> Work:
    """Notes the file as read; rows that it had before and has no more are missing."""
    if error is not None:
        run.progress.found += 1
        kind, attempts = error_type_of(error)
        run.ledger.failed(entry.key, partial.rows, path, error.message, error_type=kind, attempts=attempts, whole=True)
        run.ledger.kept(entry.key, partial.rows)
    elif not partial.rows:
        run.progress.found += 1
        run.progress.filter(EMPTY)
    if partial.rows > partial.bad:
        run.progress.bytes_synced += entry.size or 0
    records, failed = partial.rows - partial.bad, partial.bad + (error is not None)
    first_gone = partial.rows

    async def write(session: AsyncSession) -> None:
        # A file that is broken stays so until it changes; one that is forbidden or gone may not.
        if error is None or error.provider_code is None:
            source = source_row(run, entry, records, failed, complete=not partial.again)
            await catalogue.record_sources(session, [source])
        if error is None:
            await note_missing_rows(run, session, [(entry.key, first_gone)])

    return write
