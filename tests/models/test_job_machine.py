"""A model of jobs beside the real rows: whatever happens in whatever order, the database does what the table says."""

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

from models import job_leases, job_state
from models.database import ALL, Database
from models.job_state import LEASE_SECONDS, MAX_INTERRUPTIONS, Claim, FencedError, JobSignal
from models.job_transitions import TRANSITIONS, JobEvent
from models.jobs import FINISHED, UNFINISHED, Job, JobStatus
from models.storages import Storage
from sluicegate.core.actors import SYSTEM
from sluicegate.core.errors import AlreadyRunningError, ConflictError
from tests.support.jobs import Tenant, make_schema, make_tenant
from tests.support.postgres import PostgresServer

S = JobStatus
T = TypeVar("T")
KEYS = ("sync", "dry-run", None)
EPOCH = datetime.fromisoformat("2026-01-01T00:00:00+00:00")


@dataclass
class Expected:
    """What a row must be."""

    unicity: str | None
    status: JobStatus
    due: datetime
    fence: int = 0
    lease: datetime | None = None
    retries: int = 0
    interruptions: int = 0
    progress: float | None = None
    row_rev: int = 0
    holders: list[Claim] = field(default_factory=list[Claim])


class JobMachine(RuleBasedStateMachine):
    """Each rule does one thing to the rows and the same to the model; `agree` compares them after each."""

    runner: ClassVar[asyncio.Runner]
    database: ClassVar[Database]
    tenant: ClassVar[Tenant]

    def __init__(self) -> None:
        super().__init__()
        self.jobs: dict[int, Expected] = {}
        self.now = EPOCH

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    @initialize()
    def empty(self) -> None:
        async def clear() -> None:
            async with self.database.write(ALL) as session:
                await session.execute(delete(Job))

        self.do(clear())

    # ------------------------------------------------------------------ people
    @rule(key=st.sampled_from(KEYS), later=st.sampled_from([None, 30, 3600]), priority=st.integers(-100, 100))
    def request(self, key: str | None, later: int | None, priority: int) -> None:
        scheduled_at = self.now + timedelta(seconds=later) if later else None

        async def insert() -> Job:
            async with self.database.write(self.tenant.namespace_id) as session:
                return await job_state.insert(
                    session, namespace_id=self.tenant.namespace_id, job_class="TEST", unicity=key, created_by=SYSTEM,
                    payload={"dryRun": key == "dry-run"}, storage_id=self.tenant.storage_id if key else None,
                    scheduled_at=scheduled_at, priority=priority, at=self.now,
                )  # fmt: skip

        other = self.unfinished(key)
        if other is not None and (self.jobs[other].status is not S.SCHEDULED or later):
            with pytest.raises(AlreadyRunningError) as caught:
                self.do(insert())
            assert caught.value.job.id == other
            assert caught.value.job.status == self.jobs[other].status
            return
        job = self.do(insert())
        if other is not None:
            assert job.id == other
            self.jobs[other].status, self.jobs[other].due = S.QUEUED, self.now
            return
        assert job.id not in self.jobs
        self.jobs[job.id] = Expected(key, S.SCHEDULED if later else S.QUEUED, scheduled_at or self.now)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), signal=st.sampled_from(JobSignal))
    def ask(self, data: st.DataObject, signal: JobSignal) -> None:
        job_id, job = self.pick(data)

        async def send() -> Job:
            async with self.database.write(self.tenant.namespace_id) as session:
                return await job_state.signal(session, job_id, signal, actor=SYSTEM, at=self.now)

        target = TRANSITIONS[JobEvent(signal)].get(job.status)
        if target is None:
            with pytest.raises(ConflictError) as caught:
                self.do(send())
            assert caught.value.hint
            return
        other = self.unfinished(job.unicity)
        if signal is JobSignal.RETRY and other is not None:
            with pytest.raises(AlreadyRunningError):
                self.do(send())
            return
        assert self.do(send()).status == target
        self.arrive(job, target, keep_lease=signal in {JobSignal.PAUSE, JobSignal.CANCEL})
        if signal in {JobSignal.RETRY, JobSignal.RESUME, JobSignal.RUN_NOW}:
            job.due = self.now
        if signal is JobSignal.RETRY:
            job.retries, job.interruptions, job.progress = 0, 0, None

    # ------------------------------------------------------------------ workers
    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def take(self, data: st.DataObject) -> None:
        job_id, job = self.pick(data)

        async def claim() -> tuple[Claim, Job] | None:
            async with self.database.write(ALL) as session:
                return await job_state.claim(session, job_id, worker_id="w", at=self.now)

        taken = self.do(claim())
        lapsed = job.status is S.IN_PROGRESS and (job.lease is None or job.lease < self.now)
        if not lapsed and not (job.status is S.QUEUED and job.due <= self.now):
            assert taken is None
            return
        job.interruptions = job.interruptions + 1 if lapsed else 0
        if job.interruptions > MAX_INTERRUPTIONS:
            assert taken is None
            job.interruptions = 0
            self.arrive(job, S.FAILED)
            return
        assert taken is not None
        job.fence += 1
        assert taken[0].fence == job.fence
        job.status, job.lease = S.IN_PROGRESS, self.now + timedelta(seconds=LEASE_SECONDS)
        job.holders.append(taken[0])

    @precondition(lambda self: any(job.holders for job in self.jobs.values()))
    @rule(data=st.data(), end=st.sampled_from(["save", "beat", "finish", "fail", "stop", "retry", "hand_over"]))
    def write(self, data: st.DataObject, end: str) -> None:
        """Any run that ever held a job writes: only the one that holds it now may."""
        job_id = data.draw(st.sampled_from([job_id for job_id, job in self.jobs.items() if job.holders]))
        job = self.jobs[job_id]
        claim = data.draw(st.sampled_from(job.holders[-3:]))

        async def write() -> Any:
            async with self.database.write(ALL) as session:
                return await _WRITES[end](session, claim, self.now)

        if claim.fence != job.fence or job.status not in {S.IN_PROGRESS, S.CANCELING, S.PAUSED}:
            with pytest.raises(FencedError):
                self.do(write())
            return
        self.do(write())
        if end in {"save", "beat"}:
            job.lease = self.now + timedelta(seconds=LEASE_SECONDS)
            job.progress = 0.5 if end == "save" else job.progress
            return
        target = TRANSITIONS[_EVENTS[end]][job.status]
        if end == "retry":
            job.retries = RETRIES
            job.due = self.now + timedelta(seconds=60)
        self.arrive(job, target)

    @rule(seconds=st.sampled_from([1, 14, 16, 61, 4000]))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def tick(self) -> None:
        async def look() -> list[int]:
            async with self.database.write(ALL) as session:
                for job_id in await job_leases.due_schedules(session, at=self.now, limit=100, lock=True):
                    await job_state.make_due(session, job_id, at=self.now)
                for job_id in await job_leases.lapsed_cancels(session, at=self.now, limit=100, lock=True):
                    await job_state.stopped(session, job_id, at=self.now)
                return [due.id for due in (await job_leases.due_jobs(session, at=self.now, limit=100)).jobs]

        found = self.do(look())
        for job in self.jobs.values():
            lapsed = job.lease is None or job.lease < self.now
            if job.status is S.SCHEDULED and job.due <= self.now:
                self.arrive(job, S.QUEUED)
            elif job.status is S.CANCELING and lapsed:
                job.fence += 1
                self.arrive(job, S.CANCELED)
        due = {
            job_id
            for job_id, job in self.jobs.items()
            if (job.status is S.QUEUED and job.due <= self.now)
            or (job.status is S.IN_PROGRESS and (job.lease is None or job.lease < self.now))
        }
        assert set(found) == due

    # ------------------------------------------------------------------ what must hold
    @invariant()
    def agree(self) -> None:
        async def rows() -> tuple[list[Job], Storage]:
            async with self.database.read(ALL) as session:
                found = (await session.scalars(select(Job).order_by(Job.id))).all()
                return list(found), await session.get_one(Storage, self.tenant.storage_id)

        found, storage = self.do(rows())
        assert [row.id for row in found] == sorted(self.jobs)
        for row in found:
            job = self.jobs[row.id]
            actual = (row.status, row.fence, row.lease_expires_at, row.retry_count, row.interruptions, row.progress)
            assert actual == (job.status, job.fence, job.lease, job.retries, job.interruptions, job.progress)
            assert row.row_rev >= job.row_rev
            job.row_rev = row.row_rev
            assert (row.finished_at is not None) == (row.status in FINISHED)
            assert row.lease_expires_at is None or row.status in {S.IN_PROGRESS, S.CANCELING, S.PAUSED}
        unfinished = [row.unicity for row in found if row.unicity and row.status in UNFINISHED]
        assert len(unfinished) == len(set(unfinished)), "two unfinished jobs of one unicity"
        shown = self.jobs.get(storage.last_sync_job_id or 0)
        if shown is not None and shown.status in FINISHED:
            assert storage.status == shown.status

    # ------------------------------------------------------------------ helpers
    def pick(self, data: st.DataObject) -> tuple[int, Expected]:
        job_id = data.draw(st.sampled_from(sorted(self.jobs)[-4:]))
        return job_id, self.jobs[job_id]

    def unfinished(self, unicity: str | None) -> int | None:
        found = (i for i, job in self.jobs.items() if unicity and job.unicity == unicity and job.status in UNFINISHED)
        return next(found, None)

    @staticmethod
    def arrive(job: Expected, target: JobStatus, *, keep_lease: bool = False) -> None:
        if not (keep_lease and target in {S.CANCELING, S.PAUSED}):
            job.lease = None
        job.status = target


RETRIES = 2  # what each retry writes down
_EVENTS = {
    "finish": JobEvent.COMPLETE,
    "fail": JobEvent.FAIL,
    "stop": JobEvent.STOPPED,
    "retry": JobEvent.RETRY_LATER,
    "hand_over": JobEvent.HAND_OVER,
}
_WRITES: dict[str, Any] = {
    "save": lambda session, claim, at: job_state.save(session, claim, at=at, progress=0.5),
    "beat": lambda session, claim, at: job_state.save(session, claim, at=at),
    "finish": lambda session, claim, at: job_state.finish(session, claim, S.COMPLETED, at=at),
    "fail": lambda session, claim, at: job_state.finish(session, claim, S.FAILED, error={"message": "m"}, at=at),
    "stop": lambda session, claim, at: job_state.finish(session, claim, S.CANCELED, at=at),
    "retry": lambda session, claim, at: job_state.retry_later(
        session, claim, delay_seconds=60, retry_count=RETRIES, error=None, at=at
    ),
    "hand_over": lambda session, claim, at: job_state.hand_over(session, claim, at=at),
}


@pytest.mark.parametrize(
    ("examples", "steps"), [(10, 25), pytest.param(150, 60, marks=[pytest.mark.campaign, pytest.mark.timeout(900)])]
)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_rows_do_what_the_table_says(
    kind: str, examples: int, steps: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    server: PostgresServer | None = request.getfixturevalue("postgres") if kind == "postgresql" else None
    # A loop of its own: the machine's rules are plain functions, each of which runs it for one transaction.
    with asyncio.Runner() as runner:
        url = runner.run(server.create_database()) if server else f"sqlite:///{tmp_path / 'machine.db'}"
        database = Database(url)

        async def prepare() -> Tenant:
            await make_schema(database)
            return await make_tenant(database)

        JobMachine.runner, JobMachine.database = runner, database
        JobMachine.tenant = runner.run(prepare())
        try:
            run_state_machine_as_test(
                JobMachine,
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
