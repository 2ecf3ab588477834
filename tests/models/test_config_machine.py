"""A model of a sync configuration and its runs beside the real rows: schedules, people and workers in any order."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, select

from models import config_transitions, job_state, schedule_queries
from models.config_transitions import ENDED, TRANSITIONS, ConfigEvent
from models.database import ALL, Database
from models.job_state import MAX_INTERRUPTIONS, Claim, JobSignal
from models.job_transitions import TRANSITIONS as JOB_TRANSITIONS
from models.job_transitions import JobEvent
from models.jobs import FINISHED, Job, JobStatus
from models.storages import Storage, SyncStatus
from models.sync_configs import MAX_FAILURES, RUNNABLE, SyncConfig, SyncConfigStatus, SyncMode
from sluicegate.core.actors import SYSTEM
from sluicegate.core.errors import AlreadyRunningError, ConflictError
from tests.support.jobs import Tenant, make_schema, make_tenant
from tests.support.postgres import PostgresServer

S, J, E = SyncConfigStatus, JobStatus, ConfigEvent
T = TypeVar("T")
EPOCH = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
PEOPLE = (E.ACTIVATE, E.PAUSE, E.RESUME, E.ARCHIVE, E.REOPEN)
_OF_RUNS = (JobSignal.CANCEL, JobSignal.PAUSE, JobSignal.RESUME, JobSignal.RETRY)
AWAY = frozenset({S.DRAFT, S.PAUSED, S.SUSPENDED, S.ARCHIVED})
"""What no run changes."""


@dataclass
class Run:
    """What a job must be. `found`: its counter as it was written last; `counted`: what of it is in the totals."""

    status: JobStatus
    began: bool = False
    claims: int = 0
    interruptions: int = 0
    claim: Claim | None = None
    found: int = 0
    counted: int = 0


@dataclass
class Expected:
    """What the configuration must be."""

    mode: SyncMode
    status: SyncConfigStatus
    runs: dict[int, Run] = field(default_factory=dict[int, Run])
    last: int | None = None
    failures: int = 0
    failed: bool = False
    listed: bool = False
    succeeded: bool = False
    skipped: int = 0

    @property
    def current(self) -> int | None:
        """The run that has not ended."""
        return next((number for number, run in self.runs.items() if run.status not in FINISHED), None)

    @property
    def number(self) -> int:
        return sum(run.claims > 0 for run in self.runs.values())

    def awake(self, *, anew: bool) -> SyncConfigStatus:
        """What it is when nothing holds it back."""
        current = self.runs[self.current] if self.current is not None else None
        if current is not None and current.began:
            return S.IN_PROGRESS
        if self.number == 0 or (anew and self.mode == SyncMode.ONE_TIME):
            return S.PENDING
        if self.mode == SyncMode.ONE_TIME and current is None and self.last is not None:
            ended = self.runs[self.last].status
            if ended in FINISHED:
                return S(ended)
        return S.ACTIVE


class ConfigMachine(RuleBasedStateMachine):
    """Each rule does one thing to the rows and the same to the model; `agree` compares them after each."""

    runner: ClassVar[asyncio.Runner]
    database: ClassVar[Database]
    tenant: ClassVar[Tenant]

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    @initialize(mode=st.sampled_from(SyncMode), draft=st.booleans())
    def create(self, mode: SyncMode, draft: bool) -> None:
        self.now = EPOCH
        self.model = Expected(mode, S.DRAFT if draft else S.PENDING)

        async def make() -> int:
            async with self.database.write(ALL) as session:
                await session.execute(delete(Job))
                await session.execute(delete(SyncConfig))
                config = SyncConfig(
                    namespace_id=self.tenant.namespace_id, project_id=self.tenant.project_id, range_low=b"",
                    storage_id=self.tenant.storage_id, source_path="", mode=mode, status=self.model.status,
                )  # fmt: skip
                config_transitions.start(config, self.now)
                session.add(config)
                await session.flush()
                return config.id

        self.config_id = self.do(make())

    # ------------------------------------------------------------------ people
    @rule(event=st.sampled_from(PEOPLE))
    def ask(self, event: ConfigEvent) -> None:
        """As the use cases do it: a pause pauses the run too, a resume lets it go on, an archived one has none."""
        model, signal = self.model, _SIGNALS.get(event)

        async def send() -> SyncConfig:
            async with self.database.write(ALL) as session:
                config = await config_transitions.apply(session, self.config_id, event, at=self.now)
                run = model.runs.get(model.current or 0)
                if run is not None and signal is not None and run.status in JOB_TRANSITIONS[JobEvent(signal)]:
                    await job_state.signal(session, model.current or 0, signal, actor=SYSTEM, at=self.now)
                return config

        if model.status not in TRANSITIONS[event]:
            with pytest.raises(ConflictError) as caught:
                self.do(send())
            assert caught.value.hint
            return
        self.do(send())
        run = model.runs.get(model.current or 0)
        if event is E.PAUSE or event is E.ARCHIVE:
            model.status = S.PAUSED if event is E.PAUSE else S.ARCHIVED
        elif not (event is E.ACTIVATE and model.status in RUNNABLE):
            model.status = model.awake(anew=event is E.REOPEN or model.status is S.DRAFT)
            model.failures, model.listed = 0, False
        if run is not None and signal is not None:
            self.job_goes(model.current or 0, run, JobEvent(signal))

    @rule(
        signal=st.sampled_from([JobSignal.CANCEL, JobSignal.PAUSE, JobSignal.RESUME, JobSignal.RETRY]), data=st.data()
    )
    @precondition(lambda self: self.model.runs)
    def signal_run(self, signal: JobSignal, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.model.runs)[-2:]))
        run = self.model.runs[number]

        async def send() -> None:
            async with self.database.write(ALL) as session:
                await job_state.signal(session, number, signal, actor=SYSTEM, at=self.now)

        if run.status not in JOB_TRANSITIONS[JobEvent(signal)]:
            with pytest.raises(ConflictError):
                self.do(send())
            return
        if signal is JobSignal.RETRY and self.model.current is not None:
            with pytest.raises(AlreadyRunningError):
                self.do(send())
            return
        self.do(send())
        self.job_goes(number, run, JobEvent(signal))

    @rule(mode=st.sampled_from(SyncMode))
    def change_mode(self, mode: SyncMode) -> None:
        async def edit() -> None:
            async with self.database.write(ALL) as session:
                await config_transitions.edit(session, self.config_id, at=self.now, mode=mode)

        self.do(edit())
        self.model.mode = mode

    @rule(dry=st.booleans())
    def trigger(self, dry: bool) -> None:
        async def insert() -> Job:
            async with self.database.write(ALL) as session:
                return await job_state.insert(
                    session, namespace_id=self.tenant.namespace_id, job_class="SYNC_CONFIG", created_by=SYSTEM,
                    unicity=f"{'dry-run' if dry else 'sync'}:config:{self.config_id}", payload={"dryRun": dry},
                    storage_id=self.tenant.storage_id, project_id=self.tenant.project_id,
                    sync_config_id=self.config_id, at=self.now,
                )  # fmt: skip

        if dry:
            # Nothing of the configuration tells of a dry run: `agree` sees that nothing changed.
            async def whole_life() -> None:
                job = await insert()
                async with self.database.write(ALL) as session:
                    claimed = await job_state.claim(session, job.id, worker_id="w", at=self.now)
                    assert claimed is not None
                    await job_state.finish(session, claimed[0], J.FAILED, error={"message": "dry"}, at=self.now)

            self.do(whole_life())
        elif self.model.current is not None:
            with pytest.raises(AlreadyRunningError):
                self.do(insert())
        else:
            self.model.runs[self.do(insert()).id] = Run(J.QUEUED)

    # ------------------------------------------------------------------ the ticker and workers
    @rule(seconds=st.sampled_from([1, 299, 301, 4000]))
    def tick(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        model = self.model

        async def look() -> tuple[datetime | None, list[int]]:
            async with self.database.write(ALL) as session:
                before = (await session.get_one(SyncConfig, self.config_id)).next_sync_at
                await schedule_queries.start_due(session, at=self.now)
                return before, list(await session.scalars(select(Job.id).where(Job.trigger == "SCHEDULE")))

        before, started = self.do(look())
        new = [number for number in started if number not in model.runs]
        if before is None or before > self.now or model.status not in RUNNABLE:
            assert new == []
        elif model.current is not None:
            assert new == []
            model.skipped += model.mode == SyncMode.SCHEDULED
        else:
            assert len(new) == 1
            model.runs[new[0]] = Run(J.QUEUED)

    @rule()
    @precondition(lambda self: self.model.current is not None)
    def claim(self) -> None:
        number = self.model.current or 0
        run = self.model.runs[number]

        async def take() -> tuple[Claim | None, bool]:
            async with self.database.write(ALL) as session:
                lease = (await session.get_one(Job, number)).lease_expires_at
                taken = await job_state.claim(session, number, worker_id="w", at=self.now)
                return None if taken is None else taken[0], lease is not None and lease < self.now

        taken, silent = self.do(take())
        lapsed = run.status is J.IN_PROGRESS and silent
        if lapsed and run.interruptions >= MAX_INTERRUPTIONS:
            assert taken is None
            run.interruptions = 0
            self.job_goes(number, run, JobEvent.FAIL)
            return
        if run.status is not J.QUEUED:
            assert taken is None or run.status is J.IN_PROGRESS
        if taken is None:
            return
        run.interruptions = run.interruptions + 1 if lapsed else 0
        run.claim, run.began, run.status = taken, True, J.IN_PROGRESS
        run.claims += 1
        if self.model.status not in AWAY:
            self.model.status = S.IN_PROGRESS

    @rule(
        event=st.sampled_from([JobEvent.COMPLETE, JobEvent.COMPLETE_WITH_ERRORS, JobEvent.FAIL, JobEvent.HAND_OVER]),
        found=st.integers(0, 9),
    )
    @precondition(lambda self: self.holder() is not None)
    def end(self, event: JobEvent, found: int) -> None:
        number = self.holder()
        assert number is not None
        run = self.model.runs[number]

        async def write() -> None:
            assert run.claim is not None
            sync = {"objectsFound": found, "objectsAdded": found, "listingComplete": True}
            async with self.database.write(ALL) as session:
                await job_state.save(session, run.claim, at=self.now, sync=sync)
                if event is JobEvent.HAND_OVER:
                    await job_state.hand_over(session, run.claim, at=self.now)
                else:
                    error = {"message": "x" * 3000} if event is JobEvent.FAIL else None
                    await job_state.finish(session, run.claim, _ENDS[event], error=error, at=self.now)

        self.do(write())
        run.found = found
        self.job_goes(number, run, event)

    def holder(self) -> int | None:
        number = self.model.current
        run = self.model.runs.get(number or 0)
        return number if run is not None and run.claim is not None else None

    # ------------------------------------------------------------------ the model
    def job_goes(self, number: int, run: Run, event: JobEvent) -> None:
        target = JOB_TRANSITIONS[event].get(run.status)
        if target is None:
            return
        came_from, run.status = run.status, target
        if event is JobEvent.RETRY:
            run.began = False
        if target in FINISHED:
            run.claim = None
            if came_from not in FINISHED:
                self.run_ended(number, run)
        elif event is JobEvent.HAND_OVER:
            run.claim = None

    def run_ended(self, number: int, run: Run) -> None:
        model = self.model
        if run.began:
            model.last, run.counted = number, run.found
            if run.status is J.FAILED:
                model.failures, model.failed = model.failures + 1, True
            elif run.status is not J.CANCELED:
                model.failures, model.failed, model.listed, model.succeeded = 0, False, True, True
        if model.status in AWAY:
            return
        if model.mode == SyncMode.ONE_TIME:
            model.status = S(run.status)
        elif run.status is J.FAILED and model.failures >= MAX_FAILURES:
            model.status = S.SUSPENDED
        elif not (run.status is J.CANCELED and model.status is S.PENDING):
            model.status = S.ACTIVE

    # ------------------------------------------------------------------ what must hold
    @invariant()
    def agree(self) -> None:
        async def rows() -> tuple[SyncConfig, Storage, list[Job]]:
            async with self.database.read(ALL) as session:
                jobs = (await session.scalars(select(Job).order_by(Job.id))).all()
                config = await session.get_one(SyncConfig, self.config_id)
                return config, await session.get_one(Storage, self.tenant.storage_id), list(jobs)

        if not hasattr(self, "config_id"):
            return
        config, storage, jobs = self.do(rows())
        model = self.model
        assert {job.id: job.status for job in jobs if not job.payload.get("dryRun")} == {
            number: run.status for number, run in model.runs.items()
        }
        assert config.status == model.status
        assert config.current_job_id == model.current
        assert config.last_job_id == model.last
        assert config.run_number == model.number
        assert config.total_found == config.total_synced == sum(run.counted for run in model.runs.values())
        assert (config.consecutive_failures, config.skipped_runs) == (model.failures, model.skipped)
        assert (config.last_error is not None) == model.failed
        assert config.last_error is None or len(config.last_error) <= 1_000
        assert (config.listed_at is not None) == model.listed
        assert (config.last_sync_at is not None) == model.succeeded
        assert (config.paused_at is not None) == (config.status == S.PAUSED) or config.status == S.ARCHIVED
        if config.status not in RUNNABLE:
            assert config.next_sync_at is None
        elif config.mode != SyncMode.ONE_TIME:
            assert config.next_sync_at is not None
        elif config.status == S.PENDING and model.current is None:
            assert config.next_sync_at is not None, "it would never run"
        assert storage.status == SyncStatus.INITIALIZED, "a storage shows its own syncs alone"


_SIGNALS = {E.PAUSE: JobSignal.PAUSE, E.RESUME: JobSignal.RESUME, E.ARCHIVE: JobSignal.CANCEL}
_ENDS = {
    JobEvent.COMPLETE: J.COMPLETED, JobEvent.COMPLETE_WITH_ERRORS: J.COMPLETED_WITH_ERRORS, JobEvent.FAIL: J.FAILED,
}  # fmt: skip


@pytest.mark.parametrize(
    ("examples", "steps"), [(10, 30), pytest.param(150, 60, marks=[pytest.mark.campaign, pytest.mark.timeout(900)])]
)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_configurations_do_what_the_table_says(
    kind: str, examples: int, steps: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    server: PostgresServer | None = request.getfixturevalue("postgres") if kind == "postgresql" else None
    with asyncio.Runner() as runner:
        url = runner.run(server.create_database()) if server else f"sqlite:///{tmp_path / 'machine.db'}"
        database = Database(url)

        async def prepare() -> Tenant:
            await make_schema(database)
            return await make_tenant(database)

        ConfigMachine.runner, ConfigMachine.database = runner, database
        ConfigMachine.tenant = runner.run(prepare())
        try:
            run_state_machine_as_test(
                ConfigMachine,
                settings=settings(
                    max_examples=examples,
                    stateful_step_count=steps,
                    deadline=None,
                    suppress_health_check=[HealthCheck.too_slow],
                ),
            )
        finally:
            runner.run(database.close())
            if server:
                runner.run(server.drop_database(url))


def test_what_a_run_does_is_legal_in_every_status() -> None:
    for event in (E.RUN_STARTED, E.RUN_ENDED_WELL, E.RUN_ENDED_WITH_ERRORS, E.RUN_FAILED, E.RUN_CANCELED):
        assert set(TRANSITIONS[event]) == set(S)
    assert set(TRANSITIONS[E.REOPEN]) == ENDED
