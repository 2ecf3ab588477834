"""What a run tells of single records: outcomes, dead letters, batches. Collected between two commits, written in one.

Counters are `Progress`'s; this is the one place that counts a failure and remembers it. Nothing of a dry run is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from models import run_records
from models.catalogue import ObjectRow
from models.database import ALL, AsyncSession
from models.dead_letters import WHOLE_FILE, DeadLetterStatus
from models.objects import MAX_KEY_BYTES
from models.outcomes import OutcomeKind
from models.run_records import LetterRow, OutcomeRow
from sluicegate.core.clock import now, to_micros
from sluicegate.core.errors import RetriableError, RunError
from sluicegate.sync.batching import Batching
from sluicegate.sync.judging import Judging

if TYPE_CHECKING:
    from sluicegate.sync.run import Run

PARSE = "PARSE"
"""The error type of rows and files that cannot be read as what they are named."""
MAPPING = "MAPPING"
"""The error type of records that the mapping or the object schema refuses."""
OBJECT_ATTEMPTS = 4
"""The first try and 3 retries."""
MAX_MESSAGE = 2_000

TOPIC = "deadLetter"
MAX_SHOWN = 100
"""So many changed dead letters of one commit are shown to subscribers singly; of more, their lists are read anew."""


class Ledger:
    """Of one run."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._writes = not run.plan.dry_run
        self._outcomes: list[OutcomeRow] = []
        self._letters: dict[tuple[bytes, int], LetterRow] = {}
        self._retracted: dict[bytes, str] = {}
        self._batching = Batching(run)
        self._judging = Judging(run)

    async def begin(self, *, fresh: bool) -> None:
        """Before the run's first commit. `fresh`: it does not go on from a checkpoint."""
        run = self._run
        if not self._writes:
            return
        async with run.database.read(ALL) as session:
            told_before = fresh and await run_records.has_outcomes(session, run.job_id)
        while told_before:
            async with run.database.write(ALL) as session:
                told_before = bool(await run_records.forget_outcomes(session, run.job_id))
        async with run.database.read(ALL) as session:
            if fresh:
                run.progress.derived_additions = not await run_records.has_objects(session, run.scope)
            await self._batching.begin(session)
            await self._judging.begin(session)

    def added_all(self, rows: Sequence[ObjectRow]) -> None:
        """Records that the catalogue did not have: as `added` for each, at a fraction of the cost of millions."""
        if not self._writes:
            return
        if not self._run.progress.derived_additions:
            for row in rows:
                self._note(OutcomeKind.ADDED, row[6], row[4])
        self._batching.add_all(rows)

    def added(self, key: bytes, row: int, path: str) -> None:
        """A record that the catalogue did not have."""
        if not self._writes:
            return
        if not self._run.progress.derived_additions:
            self._note(OutcomeKind.ADDED, path, row)
        self._batching.add(key, row)

    def updated(self, key: bytes, row: int, path: str) -> None:
        """A record that has changed, or is back after it was missing."""
        if self._writes:
            self._note(OutcomeKind.UPDATED, path, row)
            self._batching.add(key, row)

    def failed(
        self, key: bytes, row: int, path: str, message: str, *, error_type: str, attempts: int = 1, whole: bool = False
    ) -> None:
        """A record that could not be taken; it is counted here. `whole`: the file, from `row` on."""
        run, message = self._run, message[:MAX_MESSAGE]
        run.progress.fail(path, row, message)
        if not self._writes:
            return
        moment = to_micros(now())
        self._outcomes.append((run.job_id, path, row, OutcomeKind.FAILED.value, message, moment))
        if len(key) > MAX_KEY_BYTES:
            return
        place = (key, WHOLE_FILE if whole else row)
        plan = run.plan
        self._letters[place] = (
            plan.namespace_id, plan.project_id, plan.storage_id, plan.sync_config_id, run.job_id, *place, path,
            error_type, message, attempts, DeadLetterStatus.QUARANTINED.value, moment, moment, 0,
        )  # fmt: skip

    def kept(self, key: bytes, row: int = WHOLE_FILE) -> None:
        """The file was not looked into, or only up to `row`: its dead letters from there on stay as they are."""
        self._judging.keep(key, row)

    def filtered(self, keys: Iterable[bytes]) -> None:
        """A rule leaves these files out: dead letters of theirs are settled, but not those of another configuration."""
        self._judging.leave_out(keys)

    def looked_at(self, keys: Iterable[bytes]) -> None:
        """Of a run over single keys: all that there is to say of these was said."""
        self._judging.look_at(keys)

    def listed(self) -> None:
        """The listing is through to its end: what comes behind its last key is gone."""
        self._judging.listed = True

    def retract(self, key: bytes, path: str) -> None:
        """The file changed while it was read: what was said of it in earlier commits is taken back."""
        if self._writes:
            self._retracted[key] = path

    @property
    def waits(self) -> bool:
        """Whether there is something that the next commit would write."""
        return bool(self._outcomes or self._letters or self._retracted) or self._judging.due

    async def missing(self, session: AsyncSession, limit: int) -> None:
        """Outcomes of the first `limit` candidates for MISSING, in the transaction that is about to apply them."""
        run = self._run
        await run_records.record_missing(session, run.job_id, run.scope, limit=limit, now=to_micros(now()))

    def seal(self) -> Pending:
        """What was collected, for the commit that begins now; makes the counters of batches final."""
        outcomes, letters, retracted = self._outcomes, self._letters, self._retracted
        self._outcomes, self._letters, self._retracted = [], {}, {}
        self._batching.seal()
        return Pending(self._run, self._batching, self._judging, outcomes, letters, retracted)

    def _note(self, kind: OutcomeKind, path: str, row: int) -> None:
        self._outcomes.append((self._run.job_id, path, row, kind.value, None, to_micros(now())))


class Pending:
    """What one commit writes."""

    def __init__(
        self,
        run: Run,
        batching: Batching,
        judging: Judging,
        outcomes: list[OutcomeRow],
        letters: dict[tuple[bytes, int], LetterRow],
        retracted: dict[bytes, str],
    ) -> None:
        self._run, self._batching, self._judging = run, batching, judging
        self._outcomes, self._letters, self._retracted = outcomes, letters, retracted
        self._resolved: list[int] = []

    async def write(self, session: AsyncSession) -> None:
        """Writes it all, in the commit's transaction."""
        run = self._run
        if self._retracted:
            await run_records.retract_outcomes(session, run.job_id, list(self._retracted.values()))
            await self._judging.reopen(session, list(self._retracted))
        await run_records.record_outcomes(session, self._outcomes)
        await run_records.record_letters(session, list(self._letters.values()))
        if self._judging.due:
            self._resolved = await self._judging.judge(session)
        await self._batching.write(session)

    async def show(self) -> None:
        """After the commit: the dead letters that changed, to those who watch them."""
        handle = self._run.handle
        if not (self._letters or self._resolved) or not handle.watched(TOPIC):
            return
        rows: Sequence[Any] | None = None
        if len(self._letters) + len(self._resolved) <= MAX_SHOWN:
            async with self._run.database.read(ALL) as session:
                places = [(row[1], row[2], row[5], row[6]) for row in self._letters.values()]
                rows = await run_records.letters_at(session, places, self._resolved)
        await handle.announce(TOPIC, rows)


def error_type_of(error: RunError) -> tuple[str, int]:
    """(error type, attempts) of what ended the reading of a file: one that may pass was tried 4 times."""
    if isinstance(error, RetriableError):
        return error.code.value, OBJECT_ATTEMPTS
    # What the provider refused has its code; what has none is wrong with the content.
    return (PARSE if error.provider_code is None else error.code.value), 1
