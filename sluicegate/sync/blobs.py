"""BLOB mode: each file is an object. This loop sets the cost of a sync, so it keeps to locals and tuples."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence

from models import catalogue, staging
from models.database import ALL, AsyncSession
from models.objects import MAX_KEY_BYTES, ObjectStatus
from models.sync_configs import OnUpdate
from sluicegate.core.clock import now, to_micros
from sluicegate.core.errors import ErrorCode
from sluicegate.core.text import text_of_key
from sluicegate.providers.base import Entry
from sluicegate.sync.changes import Changes, present
from sluicegate.sync.details import detailed
from sluicegate.sync.filters import rejected
from sluicegate.sync.media import mime_and_modality, modality_of
from sluicegate.sync.merge import merge
from sluicegate.sync.missing import note_missing
from sluicegate.sync.run import LimitReached, Run, Work
from sluicegate.sync.samples import Sampler

NAME_TOO_LONG = f"The name is longer than {MAX_KEY_BYTES:,} bytes."

_KnownFile = tuple[bytes, str, str]


async def import_blobs(run: Run, entries: Sequence[Entry], upto: bytes | None) -> None:
    """Brings the catalogue up to the listing for `entries`, up to the key `upto` (None: to the end).

    Raises LimitReached before the first change that the run has no room for.
    """
    plan = run.plan
    known_files = staging.known_files if plan.require_confirmation else catalogue.known_files

    async def fetch(after: bytes, bound: bytes | None) -> list[_KnownFile]:
        async with run.database.read(ALL) as session:
            return await known_files(session, plan.project_id, plan.storage_id, after, bound, plan.range)

    async for part, known, last in merge(entries, run.position.after, upto, fetch):
        left_out = await rejected(plan.filters, part)
        step = plan.chunk_size if plan.asks else plan.checkpoint_frequency
        if len(part) <= step and run.room is None:
            await import_files(run, part, known, left_out, last)
        else:
            await _in_steps(run, part, known, left_out, last, step)


async def import_files(
    run: Run,
    entries: Sequence[Entry],
    known: Sequence[_KnownFile],
    left_out: Mapping[bytes, str],
    last: bytes,
    also: Work | None = None,
) -> None:
    """Brings the catalogue up to these entries, of which it has `known`, in one commit; `also` goes into it."""
    plan = run.plan
    changes, gone, stale = _diff(run, entries, known, left_out)
    if not (plan.dry_run and plan.asks):
        changes = await detailed(run, changes)
    changes.count(run)
    run.progress.bytes_synced += sum(row[7] or 0 for row in changes.rows)
    run.position.after = last
    if plan.dry_run:
        run.progress.missing += len(gone)
        return
    if not (changes.rows or gone or stale or also):
        await run.passed()
        run.check_stop()
        return

    async def write(session: AsyncSession) -> None:
        await changes.write(run, session)
        await note_missing(run, session, gone)
        if stale:
            files = [(key, 0) for key in stale]
            await staging.drop_rows(session, plan.project_id, plan.storage_id, files)
        if also is not None:
            await also(session)

    await run.commit(write)
    run.check_stop()


async def _in_steps(
    run: Run,
    part: Sequence[Entry],
    known: Sequence[_KnownFile],
    left_out: Mapping[bytes, str],
    last: bytes,
    step: int,
) -> None:
    """As `import_files`, `step` entries at a time, and none beyond what the run has room for."""
    keys = [file[0] for file in known]
    by_key = dict(zip(keys, known, strict=True))
    start = seen = 0
    while True:
        end = min(start + step, len(part))
        room = run.room
        if room is not None:
            end = _fitting(run, part, start, end, by_key, left_out, room)
            if end == start and start < len(part):
                raise LimitReached
        bound = last if end == len(part) else part[end - 1].key
        through = bisect_right(keys, bound)
        await import_files(run, part[start:end], known[seen:through], left_out, bound)
        start, seen = end, through
        if start == len(part):
            return


def _fitting(
    run: Run,
    part: Sequence[Entry],
    start: int,
    end: int,
    known: Mapping[bytes, _KnownFile],
    left_out: Mapping[bytes, str],
    room: int,
) -> int:
    """The end of what of part[start:end] has at most `room` changes."""
    plan, there = run.plan, present(run.plan)
    for place in range(start, end):
        entry = part[place]
        if entry.key in left_out:
            continue
        old = known.get(entry.key)
        if old is not None and old[2] in there:
            same = old[1] == entry.fingerprint and not plan.full_sync
            if same or plan.on_update == OnUpdate.IGNORE:
                continue
        if not room:
            return place
        room -= 1
    return end


def _diff(
    run: Run, entries: Sequence[Entry], known: Sequence[_KnownFile], left_out: Mapping[bytes, str]
) -> tuple[Changes, list[bytes], list[bytes]]:
    """What to write, the keys that the source has no more, and those of them that were never shown.

    Counts all but the changes. `left_out`: key → rule.
    """
    plan, progress, sampler = run.plan, run.progress, Sampler(run.progress, enabled=run.plan.dry_run)
    ledger = run.ledger
    if left_out:
        ledger.filtered(entry.key for entry in entries if entry.key in left_out)
    old_files = {key: (fingerprint, status) for key, fingerprint, status in known}
    there, synced = present(plan), ObjectStatus.SYNCED.value
    full_sync, keep = plan.full_sync, plan.on_update == OnUpdate.IGNORE
    namespace_id, project_id, storage_id = plan.namespace_id, plan.project_id, plan.storage_id
    moment = to_micros(now())
    changes = Changes()
    add_row, add_before = changes.rows.append, changes.before.append
    unchanged = bytes_found = 0
    for entry in entries:
        key, size, modified, fingerprint, path, mime = entry
        bytes_found += size or 0
        old = old_files.pop(key, None)
        if left_out and key in left_out:
            progress.filter(left_out[key])
            sampler.filtered(entry, path or text_of_key(key), left_out[key])
            continue
        if old is not None and old[1] in there and (keep or (old[0] == fingerprint and not full_sync)):
            unchanged += 1
            continue
        if len(key) > MAX_KEY_BYTES:
            ledger.failed(key, 0, text_of_key(key)[:256], NAME_TOO_LONG, error_type=ErrorCode.LIMIT, whole=True)
            continue
        if path is None:
            path = text_of_key(key)
        if mime is None:
            mime, modality = mime_and_modality(path)
        else:
            modality = modality_of(mime)
        add_row((
            namespace_id, project_id, storage_id, key, 0, synced, path, size, mime, modality,
            fingerprint, modified, None, moment, moment,
        ))  # fmt: skip
        add_before(None if old is None else old[1])
        sampler.imported(entry, path)
    progress.found += len(entries)
    progress.unchanged += unchanged
    progress.bytes_found += bytes_found
    gone = [key for key, (_, status) in old_files.items() if status in there]
    stale = [key for key, (_, status) in old_files.items() if status == ObjectStatus.STAGED and status not in there]
    return changes, gone, stale
