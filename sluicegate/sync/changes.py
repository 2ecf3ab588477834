"""What a run has found to write: rows with the status that the catalogue had for them, counted, told and written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from models import catalogue, staging
from models.catalogue import DetailedRow, Details, Known, ObjectRow
from models.database import AsyncSession
from models.objects import ObjectStatus
from sluicegate.sync.plan import SyncPlan
from sluicegate.sync.run import Run

_SYNCED, _STAGED, _MISSING = ObjectStatus.SYNCED.value, ObjectStatus.STAGED.value, ObjectStatus.MISSING.value
_SHOWN = frozenset({_SYNCED})
_EXPECTED = frozenset({_SYNCED, _STAGED, staging.VERSION})


@dataclass(slots=True)
class Changes:
    """`rows` to write and, for each, its status `before`; None: it is new. `details`: of each, where the plan has any.

    `again`: keys of files that did not yield all that they have for a passing reason.
    """

    rows: list[ObjectRow] = field(default_factory=list[ObjectRow])
    before: list[str | None] = field(default_factory=list["str | None"])
    details: list[Details] = field(default_factory=list[Details])
    again: set[bytes] = field(default_factory=set[bytes])

    def only(self, places: Sequence[int]) -> Changes:
        """Those at these places, yet without details."""
        rows, before = self.rows, self.before
        return Changes([rows[at] for at in places], [before[at] for at in places], again=self.again)

    def count(self, run: Run) -> None:
        """Adds them to the run's counters and tells its ledger."""
        progress, ledger, before = run.progress, run.ledger, self.before
        if not before:
            return
        # What was never shown is new, unless it still waits.
        added = before.count(None) + (0 if run.plan.require_confirmation else before.count(_STAGED))
        progress.added += added
        progress.updated += len(before) - added
        progress.restored += before.count(_MISSING)
        progress.current_object = self.rows[-1][6]
        if added == len(before):
            ledger.added_all(self.rows)
            return
        new = (None,) if run.plan.require_confirmation else (None, _STAGED)
        for row, was in zip(self.rows, before, strict=True):
            (ledger.added if was in new else ledger.updated)(row[3], row[4], row[6])

    async def write(self, run: Run, session: AsyncSession) -> None:
        """Writes them where they belong."""
        config = run.plan.sync_config_id
        if config is None:
            await catalogue.upsert(session, self.rows)
            return
        if self.details:
            rows: list[DetailedRow] = [row + details for row, details in zip(self.rows, self.details, strict=True)]
        else:
            none: Details = (config, None, None, None)
            rows = [row + none for row in self.rows]
        if not run.plan.require_confirmation:
            await catalogue.upsert_detailed(session, rows)
            return
        fresh = [was is None or was == _STAGED for was in self.before]
        waiting = [(*row[:5], _STAGED, *row[6:]) for row, new in zip(rows, fresh, strict=True) if new]
        await catalogue.upsert_detailed(session, waiting)
        await staging.stage(session, [row for row, new in zip(rows, fresh, strict=True) if not new])


def present(plan: SyncPlan) -> frozenset[str]:
    """The statuses of what the catalogue has as far as the plan is concerned: not new, not back after it was gone."""
    return _EXPECTED if plan.require_confirmation else _SHOWN


async def known_rows(
    run: Run, session: AsyncSession, keys: Sequence[bytes], first: int = 0, last: int = 2**31 - 1
) -> dict[tuple[bytes, int], Known]:
    """What is held of rows `first` to `last` of these files (at most 1,000 keys)."""
    plan = run.plan
    known = staging.known_rows if plan.require_confirmation else catalogue.known_rows
    return await known(session, plan.project_id, plan.storage_id, keys, first, last)
