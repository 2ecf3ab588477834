"""Which dead letters a run settles: those of records that it took after all, that are gone, or that no one wants."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from models import run_records
from models.database import AsyncSession
from models.run_records import LAST_ROW, LETTERS, OpenLetter
from sluicegate.core.clock import to_micros

if TYPE_CHECKING:
    from sluicegate.sync.run import Run


class Judging:
    """Settles the dead letters that the run has passed, key by key.

    A letter that was seen again since the run began is still true. Any other is settled once its key is behind the
    run, unless the run says that it did not look. A run that has no letters ahead of it asks the database once.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._through = b""
        self._next: bytes | None = None
        self._kept: dict[bytes, int] = {}
        self._left_out: set[bytes] = set()
        self._looked_at: list[bytes] = []
        self.listed = False

    async def begin(self, session: AsyncSession) -> None:
        """Looks for the first letter ahead."""
        self._through = self._run.position.after
        await self._look_ahead(session)

    def keep(self, key: bytes, row: int) -> None:
        """The file's letters from `row` on stay."""
        if self._next is not None:
            self._kept[key] = row

    def leave_out(self, keys: Iterable[bytes]) -> None:
        """A rule leaves these files out."""
        if self._next is not None:
            self._left_out.update(keys)

    def look_at(self, keys: Iterable[bytes]) -> None:
        """The keys of a run that does not list."""
        if self._next is not None:
            self._looked_at += keys

    @property
    def due(self) -> bool:
        """Whether a letter lies behind the run's position."""
        if self._next is None:
            return False
        if self._run.plan.only_keys:
            return any(key <= self._run.position.after for key in self._looked_at)
        return self.listed or self._next <= self._run.position.after

    async def reopen(self, session: AsyncSession, keys: Sequence[bytes]) -> None:
        """What the run said of these files before, it says anew."""
        await run_records.reopen_letters(session, self._run.scope, keys, seen_at=self._started - 1)
        await self._look_ahead(session)

    async def judge(self, session: AsyncSession) -> list[int]:
        """Settles the letters behind the run's position. Returns their rows."""
        run = self._run
        settled: list[int] = []
        if run.plan.only_keys:
            keys = [key for key in self._looked_at if key <= run.position.after]
            self._looked_at = [key for key in self._looked_at if key > run.position.after]
            for start in range(0, len(keys), LETTERS):
                found = await run_records.open_letters_of(
                    session, run.scope, keys[start : start + LETTERS], before=self._started
                )
                settled += [letter.id for letter in found if not self._stays(letter)]
        else:
            settled = await self._pass(session, None if self.listed else run.position.after)
            self._through = run.position.after
        await run_records.resolve_letters(session, settled, run.job_id)
        self._kept = {key: row for key, row in self._kept.items() if key > self._through}
        self._left_out = {key for key in self._left_out if key > self._through}
        await self._look_ahead(session)
        return settled

    @property
    def _started(self) -> int:
        return to_micros(datetime.fromisoformat(self._run.progress.started_at))

    async def _look_ahead(self, session: AsyncSession) -> None:
        self._next = None
        if not self.listed:
            self._next = await run_records.next_open_letter(
                session, self._run.scope, after=self._through, before=self._started
            )

    async def _pass(self, session: AsyncSession, upto: bytes | None) -> list[int]:
        settled: list[int] = []
        after = (self._through, LAST_ROW)
        while True:
            found = await run_records.open_letters(
                session, self._run.scope, after=after, upto=upto, before=self._started
            )
            settled += [letter.id for letter in found if not self._stays(letter)]
            if len(found) < LETTERS:
                return settled
            last = found[-1]
            # A file that stays as it is may have a million bad rows: none is looked at one by one.
            after = (last.key, LAST_ROW if self._kept.get(last.key, LAST_ROW) <= last.row else last.row)

    def _stays(self, letter: OpenLetter) -> bool:
        if self._kept.get(letter.key, LAST_ROW) <= letter.row:
            return True
        if letter.sync_config_id == self._run.plan.sync_config_id:
            return False
        # Of another configuration: what this run leaves out, or did not list, may be what that one wants.
        return letter.key in self._left_out or not letter.key.startswith(self._run.position.prefix)
