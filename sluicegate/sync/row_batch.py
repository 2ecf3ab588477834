"""READ mode: rows on their way into the catalogue, compared with what it holds, written together."""

from __future__ import annotations

from models import catalogue
from models.catalogue import Known, SourceRow
from models.database import ALL, AsyncSession
from models.objects import STAGED_MARK, ObjectStatus
from models.sync_configs import OnUpdate
from sluicegate.core.clock import now, to_micros
from sluicegate.providers.base import Entry
from sluicegate.sync.changes import Changes, known_rows, present
from sluicegate.sync.details import detailed
from sluicegate.sync.ledger import PARSE
from sluicegate.sync.media import mime_and_modality
from sluicegate.sync.missing import note_missing_rows
from sluicegate.sync.reading import FileResult, Row
from sluicegate.sync.run import Run

EMPTY = "empty"
"""The rule under which a file without any record counts."""


class RowBatch:
    """Whole small files between two commits."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._results: list[FileResult] = []
        self._changes = Changes()
        self._sources: list[SourceRow] = []
        self._shrunk: list[tuple[bytes, int]] = []
        self.size = self.bytes = 0

    @property
    def last_key(self) -> bytes:
        """The key of the last file in it. Raises IndexError for an empty batch."""
        return self._results[-1].entry.key

    def add(self, result: FileResult) -> None:
        """Takes one file's rows."""
        self._results.append(result)
        self.size += max(1, len(result.rows) + len(result.failures))
        self.bytes += result.size

    async def resolve(self) -> None:
        """Compares the rows with the catalogue and counts them. The counters must be final before the commit begins."""
        if not self._results:
            return
        run, plan = self._run, self._run.plan
        known: dict[tuple[bytes, int], Known] = {}
        longer: set[bytes] = set()
        keys = [result.entry.key for result in self._results]
        # A file that was large once may have had millions of rows: none is looked at beyond the longest that has come.
        last = max(len(result.rows) + len(result.failures) for result in self._results)
        async with run.database.read(ALL) as session:
            for start in range(0, len(keys), catalogue.MAX_KEYS):
                part = keys[start : start + catalogue.MAX_KEYS]
                known |= await known_rows(run, session, part, last=last)
                longer |= await catalogue.longer_files(session, plan.project_id, plan.storage_id, part, last)
        last_known: dict[bytes, int] = dict.fromkeys(longer, last + 1)
        for key, number in known:
            last_known[key] = max(number, last_known.get(key, 0))
        for result in self._results:
            self._resolve_file(result, known, last_known.get(result.entry.key, -1))
        self._changes = await detailed(run, self._changes)
        self._changes.count(run)
        again = self._changes.again
        if again:
            self._sources = [unread(source) if source[3] in again else source for source in self._sources]

    def _resolve_file(self, result: FileResult, known: dict[tuple[bytes, int], Known], last_known: int) -> None:
        run, entry = self._run, result.entry
        compare_rows(run, self._changes, entry, result.path, result.rows, known)
        for failure in result.failures:
            run.ledger.failed(entry.key, failure.number, result.path, failure.message, error_type=PARSE)
        records = len(result.rows) + len(result.failures)
        run.progress.found += records
        if result.error is not None:
            run.progress.found += 1
            run.ledger.failed(
                entry.key, records, result.path, result.error,
                error_type=result.error_type, attempts=result.attempts, whole=True,
            )  # fmt: skip
            run.ledger.kept(entry.key, records)
        elif not records:
            run.progress.found += 1
            run.progress.filter(EMPTY)
        if result.error is None and last_known >= records:
            self._shrunk.append((entry.key, records))
        if result.rows:
            run.progress.bytes_synced += entry.size or 0
        if result.final or result.rows:
            # Rows of a file that was cut off are not those of the fingerprint noted before, nor of this one.
            failed = len(result.failures) + bool(result.error)
            self._sources.append(source_row(run, entry, len(result.rows), failed, complete=result.final))

    async def write(self, session: AsyncSession) -> None:
        """Writes what `resolve` found."""
        await self._changes.write(self._run, session)
        await catalogue.record_sources(session, self._sources)
        await note_missing_rows(self._run, session, self._shrunk)


def source_row(run: Run, entry: Entry, rows: int, failed: int, *, complete: bool = True) -> SourceRow:
    """The note that a file was read; not `complete`: it is known, and will be read again."""
    plan = run.plan
    mark = STAGED_MARK if plan.require_confirmation else ""
    fingerprint = mark + entry.fingerprint if complete else ""
    return plan.namespace_id, plan.project_id, plan.storage_id, entry.key, fingerprint, rows, failed


def unread(source: SourceRow) -> SourceRow:
    """The note of a file that is to be read again."""
    return (*source[:4], "", *source[5:])


def compare_rows(
    run: Run, changes: Changes, entry: Entry, path: str, rows: list[Row], known: dict[tuple[bytes, int], Known]
) -> None:
    """Adds the rows to write to the changes: new, changed, or back after they were missing. Counts the others."""
    plan, progress, there = run.plan, run.progress, present(run.plan)
    full_sync, keep, synced = plan.full_sync, plan.on_update == OnUpdate.IGNORE, ObjectStatus.SYNCED.value
    moment = to_micros(now())
    mime = entry.mime_type or mime_and_modality(path)[0]
    for row in rows:
        old = known.get((entry.key, row.number))
        if old is not None and old.status in there and (keep or (old.fingerprint == row.digest and not full_sync)):
            progress.unchanged += 1
            continue
        changes.before.append(None if old is None else old.status)
        changes.rows.append((
            plan.namespace_id, plan.project_id, plan.storage_id, entry.key, row.number, synced, path,
            len(row.text.encode()), mime, "TEXT", row.digest, entry.modified, row.text, moment, moment,
        ))  # fmt: skip
