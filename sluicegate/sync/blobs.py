"""BLOB mode: each file is an object. This loop sets the cost of a sync, so it keeps to locals and tuples."""

from __future__ import annotations

from collections.abc import Sequence

from models import catalogue
from models.catalogue import ObjectRow
from models.database import ALL, AsyncSession
from models.objects import ObjectStatus
from sluicegate.core.clock import now, to_micros
from sluicegate.core.text import text_of_key
from sluicegate.providers.base import Entry
from sluicegate.sync.filters import rejected
from sluicegate.sync.media import mime_and_modality, modality_of
from sluicegate.sync.merge import merge
from sluicegate.sync.missing import note_missing
from sluicegate.sync.run import Run
from sluicegate.sync.samples import Sampler

MAX_KEY_BYTES = 2_048
"""A longer key fits no PostgreSQL index; S3 allows 1,024."""

_KnownFile = tuple[bytes, str, str]


async def import_blobs(run: Run, entries: Sequence[Entry], upto: bytes | None) -> None:
    """Brings the catalogue up to the listing for `entries`, up to the key `upto` (None: to the end)."""
    plan = run.plan

    async def fetch(after: bytes, bound: bytes | None) -> list[_KnownFile]:
        async with run.database.read(ALL) as session:
            return await catalogue.known_files(session, plan.project_id, plan.storage_id, after, bound)

    async for part, known, last in merge(entries, run.position.after, upto, fetch):
        rows, missing = _diff(run, part, known, await rejected(plan.filters, part))
        run.position.after = last
        if plan.dry_run:
            run.progress.missing += len(missing)
            continue

        async def write(session: AsyncSession, rows: list[ObjectRow] = rows, missing: list[bytes] = missing) -> None:
            await catalogue.upsert(session, rows)
            await note_missing(run, session, missing)

        await run.commit(write)
        run.check_stop()


def _diff(
    run: Run, entries: Sequence[Entry], known: list[_KnownFile], left_out: dict[bytes, str]
) -> tuple[list[ObjectRow], list[bytes]]:
    """What to write, and the keys that the source has no more; counts everything. `left_out`: key → rule."""
    plan, progress, sampler = run.plan, run.progress, Sampler(run.progress, enabled=run.plan.dry_run)
    before = {key: (fingerprint, status) for key, fingerprint, status in known}
    full_sync, synced = plan.full_sync, ObjectStatus.SYNCED.value
    moment = to_micros(now())
    rows: list[ObjectRow] = []
    unchanged = bytes_found = bytes_synced = added = updated = restored = 0
    for entry in entries:
        key, size, modified, fingerprint, path, mime = entry
        bytes_found += size or 0
        old = before.pop(key, None)
        if left_out and key in left_out:
            progress.filter(left_out[key])
            sampler.filtered(entry, path or text_of_key(key), left_out[key])
            continue
        if old is not None and not full_sync and old[0] == fingerprint and old[1] == synced:
            unchanged += 1
            continue
        if len(key) > MAX_KEY_BYTES:
            progress.fail(text_of_key(key)[:256], 0, f"The name is longer than {MAX_KEY_BYTES} bytes.")
            continue
        if path is None:
            path = text_of_key(key)
        if mime is None:
            mime, modality = mime_and_modality(path)
        else:
            modality = modality_of(mime)
        if old is None:
            added += 1
        else:
            updated += 1
            restored += old[1] != synced
        bytes_synced += size or 0
        rows.append((
            plan.namespace_id, plan.project_id, plan.storage_id, key, 0, synced, path, size, mime, modality,
            fingerprint, modified, None, moment, moment,
        ))  # fmt: skip
        sampler.imported(entry, path)
    progress.found += len(entries)
    progress.unchanged += unchanged
    progress.added += added
    progress.updated += updated
    progress.restored += restored
    progress.bytes_found += bytes_found
    progress.bytes_synced += bytes_synced
    if rows:
        progress.current_object = rows[-1][6]
    return rows, [key for key, (_, status) in before.items() if status == synced]
