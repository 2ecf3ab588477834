"""The batches of a run of a configuration: its objects in the order that they were written, `batch_size` each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from models import batch_records
from models.batch_records import BatchOwner, Filled
from models.catalogue import ObjectRow
from models.database import AsyncSession
from models.deliveries import WebhookEvent
from models.delivery_queue import wants
from models.sync_configs import SyncConfig
from sluicegate.core.clock import now, to_micros

if TYPE_CHECKING:
    from sluicegate.sync.run import Run


class Batching:
    """Fills batches. The open one lives in its row, so that no kill can lose it."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._owner: BatchOwner | None = None
        self._open_id: int | None = None
        self._number = 0
        self._objects = 0
        self._grew = False
        self._items: list[list[Any]] = []
        self._grown: Filled | None = None
        self._new: list[Filled] = []

    async def begin(self, session: AsyncSession) -> None:
        """Goes on with the batches that the job has already."""
        run, plan = self._run, self._run.plan
        if plan.sync_config_id is None or not plan.batches:
            return
        config = await session.get(SyncConfig, plan.sync_config_id)
        if config is None:
            return
        wanted = wants(config, WebhookEvent.BATCH_READY)
        self._owner = BatchOwner(
            plan.namespace_id, config.id, run.job_id, run.handle.job.run_id, wanted, held=plan.require_confirmation
        )
        last = await batch_records.last_batch(session, run.job_id, plan.batch_size)
        if last is None:
            return
        run.progress.batches = self._number = last.number
        if last.open:
            self._open_id, self._objects, self._items = last.id, last.objects, last.items or []

    def add(self, key: bytes, row: int) -> None:
        """Puts an object into the open batch."""
        if self._owner is None:
            return
        if not self._objects:
            self._number += 1
        self._objects += 1
        self._grew = True
        if self._owner.wanted:
            self._items.append([key.hex(), row])
        if self._objects >= self._run.plan.batch_size:
            self._close(still_open=False)

    def add_all(self, rows: Sequence[ObjectRow]) -> None:
        """As `add` for each. Where nobody is told which objects a batch has, they are only counted."""
        if self._owner is None:
            return
        if self._owner.wanted:
            for row in rows:
                self.add(row[3], row[4])
            return
        size, left = self._run.plan.batch_size, len(rows)
        while left > 0:
            if not self._objects:
                self._number += 1
            taken = min(left, size - self._objects)
            self._objects += taken
            left -= taken
            self._grew = True
            if self._objects >= size:
                self._close(still_open=False)

    def seal(self) -> None:
        """Counts the batches that the commit which begins now writes."""
        if self._owner is None:
            return
        if self._objects and self._grew:
            self._close(still_open=True)
        self._grew = False
        self._run.progress.batches = self._number

    async def write(self, session: AsyncSession) -> None:
        """Writes what `seal` has made ready."""
        if self._owner is None or not (self._grown or self._new):
            return
        moment = to_micros(now())
        grown, new = self._grown, self._new
        self._grown, self._new = None, []
        if grown is not None:
            assert self._open_id is not None
            await batch_records.grow_batch(session, self._owner, self._open_id, grown, now=moment)
            if not grown.open:
                self._open_id = None
        if new:
            self._open_id = await batch_records.add_batches(session, self._owner, new, now=moment)

    def _close(self, *, still_open: bool) -> None:
        assert self._owner is not None
        filled = Filled(self._number, self._objects, list(self._items) if self._owner.wanted else None, still_open)
        first = self._grown is None and not self._new
        if first and self._open_id is not None:
            self._grown = filled
        else:
            self._new.append(filled)
        if not still_open:
            self._objects, self._items = 0, []
