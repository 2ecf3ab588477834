"""`sluicegate worker` as processes beside a gateway: they are killed, stopped, told to end, and lose nothing."""

import asyncio
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from models.database import ALL, Database
from sluicegate.core.crypto import new_secret_key
from tests.support.command import sluicegate_async
from tests.support.gateway import RunningGateway, listening_url, running_gateway, worker_process
from tests.support.jobs import PATIENCE_SECONDS
from tests.support.processes import ServerProcess, free_port
from tests.support.s3_responder import Drop, Reply, Request, S3Responder, Stall

OBJECTS = 300
STATE = (
    "SELECT status, fence, retry_count, interruptions, worker_id, row_rev FROM job WHERE id = (SELECT max(id) FROM job)"
)

pytestmark = pytest.mark.slow


@dataclass
class Bucket:
    """An S3 server that, while it holds, answers no more than so many requests."""

    s3: S3Responder
    holds_after: int | None = None
    held: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._answer = self.s3.answer
        self.s3.answer = self.answer

    def answer(self, request: Request) -> Reply | Drop | Stall:
        if self.holds_after is not None:
            self.holds_after -= 1
            if self.holds_after < 0:
                self.held.set()
                return Stall()
        return self._answer(request)

    def hold(self, after: int = 6) -> None:
        self.held.clear()
        self.holds_after = after

    def release(self) -> None:
        self.holds_after = None

    async def wait_held(self) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.held.wait()


@dataclass
class Distributed:
    """A gateway that runs no jobs, its database, and what its workers are given."""

    gateway: RunningGateway
    database: Database
    bucket: Bucket
    env: Mapping[str, str]
    storage: str = ""

    async def row(self) -> Any:
        """The newest job."""
        async with self.database.read(ALL) as session:
            return (await session.execute(text(STATE))).one()

    async def until(self, matches: Callable[[Any], bool], *, seconds: float = PATIENCE_SECONDS) -> Any:
        """The newest job, once it is so."""
        async with asyncio.timeout(seconds):
            while not matches(row := await self.row()):  # noqa: ASYNC110 - nothing tells of it between processes
                await asyncio.sleep(0.02)
        return row

    async def status(self, status: str, *, seconds: float = PATIENCE_SECONDS) -> Any:
        """The newest job, once it has the status."""
        return await self.until(lambda row: row.status == status, seconds=seconds)

    async def sync(self) -> str:
        query = "mutation($id: ID!) { syncStorage(input: {id: $id}) { job { id } } }"
        return (await self.gateway.data(query, {"id": self.storage}))["syncStorage"]["job"]["id"]

    async def signal(self, job: str, kind: str) -> None:
        query = "mutation($in: SignalJobInput!) { signalJob(input: $in) { job { status } errors { message } } }"
        answer = await self.gateway.data(query, {"in": {"id": job, "signal": kind}})
        assert answer["signalJob"]["errors"] == []

    async def catalogue(self) -> list[bytes]:
        """The keys of the records, each as often as it is there."""
        async with self.database.read(ALL) as session:
            query = text("SELECT source_key FROM synced_object WHERE status = 'SYNCED' ORDER BY source_key")
            return list(await session.scalars(query))

    async def assert_complete(self) -> None:
        assert await self.catalogue() == list(self.bucket.s3.store.keys)


@asynccontextmanager
async def distributed(url: str, tmp_path: Path) -> AsyncGenerator[Distributed]:
    secret = new_secret_key()
    settings = {"secret_key": secret, "allowed_endpoints": "127.0.0.1"}
    async with (
        S3Responder() as s3,
        running_gateway(data_dir=tmp_path, worker=False, database_url=url, **settings) as gateway,
    ):
        s3.page_size = 20
        for number in range(OBJECTS):
            s3.store.put(b"%04d.bin" % number, b"%d" % number)
        env = {
            "SLUICEGATE_DATABASE_URL": url, "SLUICEGATE_SECRET_KEY": secret,
            "SLUICEGATE_ALLOWED_ENDPOINTS": "127.0.0.1", "SLUICEGATE_DATA_DIR": str(tmp_path),
        }  # fmt: skip
        made = Distributed(gateway, gateway.services.database, Bucket(s3), env)
        project = await gateway.data('mutation { createProject(input: {name: "p"}) { project { id } } }')
        answer = await gateway.data(
            """mutation($project: ID!, $endpoint: String!) { createStorage(input: {projectId: $project,
            useBlobUrls: true, provider: {s3: {bucket: "bucket", s3Endpoint: $endpoint, regionName: "us-east-1",
            awsAccessKeyId: "A", awsSecretAccessKey: "B"}}}) { storage { id } errors { message } } }""",
            {"project": project["createProject"]["project"]["id"], "endpoint": s3.endpoint},
        )
        assert not answer["createStorage"]["errors"]
        made.storage = answer["createStorage"]["storage"]["id"]
        yield made


@pytest.fixture
async def parts(postgres_url: str, tmp_path: Path) -> AsyncIterator[Distributed]:
    async with distributed(postgres_url, tmp_path) as made:
        yield made


def runs_in(row: Any, process: ServerProcess) -> bool:
    return f":{process.pid}:" in row.worker_id


async def test_the_job_of_a_killed_worker_goes_on_in_another(parts: Distributed) -> None:
    async with worker_process(parts.env) as first:
        parts.bucket.hold()
        await parts.sync()
        await parts.bucket.wait_held()
        assert runs_in(await parts.row(), first)
        saved = await parts.catalogue()
        async with worker_process(parts.env) as second:
            await asyncio.to_thread(first.kill)
            parts.bucket.release()
            row = await parts.until(lambda row: runs_in(row, second))
            assert (row.fence, row.interruptions) == (2, 1)
            row = await parts.status("COMPLETED")
    assert row.retry_count == 0
    assert 0 < len(saved) < OBJECTS, "it went on, it did not begin anew"
    await parts.assert_complete()


async def test_a_worker_that_was_asleep_writes_nothing_to_what_another_took(parts: Distributed) -> None:
    async with worker_process(parts.env) as asleep:
        parts.bucket.hold()
        await parts.sync()
        await parts.bucket.wait_held()
        assert runs_in(await parts.row(), asleep)
        asleep.send(signal.SIGSTOP)
        parts.bucket.release()
        async with worker_process(parts.env) as awake:
            ended = await parts.status("COMPLETED", seconds=2 * PATIENCE_SECONDS)
            assert ended.fence == 2
            asleep.send(signal.SIGCONT)
            await asyncio.to_thread(asleep.wait_for, "fence 1")
            assert await parts.row() == ended
            await parts.assert_complete()
            await asyncio.to_thread(awake.stop)
        # Its run is over, and it takes the next job.
        await parts.sync()
        row = await parts.status("COMPLETED")
        assert row != ended


async def test_a_worker_that_is_told_to_end_hands_over(parts: Distributed) -> None:
    async with worker_process(parts.env) as first, worker_process(parts.env, "--job-class", "CONFIRM_SYNC"):
        parts.bucket.hold()
        await parts.sync()
        await parts.bucket.wait_held()
        assert await asyncio.to_thread(first.stop) == 0
        assert "Ended in order." in first.output
        row = await parts.row()
        assert (row.status, row.retry_count, row.interruptions) == ("QUEUED", 0, 0)
        parts.bucket.release()
        async with worker_process(parts.env):
            row = await parts.status("COMPLETED")
    assert (row.fence, row.retry_count, row.interruptions) == (2, 0, 0)
    await parts.assert_complete()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_it_at_once(parts: Distributed, number: signal.Signals) -> None:
    async with worker_process(parts.env) as worker:
        parts.bucket.hold()
        await parts.sync()
        await parts.bucket.wait_held()
        worker.send(signal.SIGTERM)
        await asyncio.to_thread(worker.wait_for, "Draining")
        worker.send(number)
        assert await asyncio.to_thread(worker.wait) == 128 + number


async def test_what_a_gateway_is_asked_is_done_in_the_worker(parts: Distributed) -> None:
    async with worker_process(parts.env):
        parts.bucket.hold()
        job = await parts.sync()
        await parts.bucket.wait_held()
        await parts.signal(job, "PAUSE")
        parts.bucket.release()
        row = await parts.until(lambda row: row.worker_id is None)
        assert row.status == "PAUSED"
        parts.bucket.hold(2)
        await parts.signal(job, "RESUME")
        await parts.bucket.wait_held()
        await parts.signal(job, "CANCEL")
        await parts.status("CANCELED")
        parts.bucket.release()
        await parts.signal(job, "RETRY")
        await parts.status("COMPLETED")
    await parts.assert_complete()


async def test_it_answers_operators_on_a_port(parts: Distributed) -> None:
    async with worker_process(parts.env, "--port", "0", "--concurrency", "3") as worker:
        url = await asyncio.to_thread(listening_url, worker)
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=PATIENCE_SECONDS) as http:
            assert (await http.get("/healthz")).json() == {"status": "alive"}
            async with asyncio.timeout(PATIENCE_SECONDS):
                while (ready := await http.get("/readyz")).status_code != 200:  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.02)
            assert ready.json()["checks"]["jobs"] == "ok"
            metrics = (await http.get("/metrics")).text
            assert "sluicegate_jobs_running 0.0" in metrics
            assert (await http.post("/graphql", json={"query": "{ __typename }"})).status_code == 404
    assert "3 at a time" in worker.output
    assert worker.returncode == 0


async def test_what_is_set_up_wrongly_is_told_at_the_start(postgres_url: str, tmp_path: Path) -> None:
    secret = new_secret_key()
    env = {
        "SLUICEGATE_DATABASE_URL": postgres_url.replace("postgres@", "postgres:hidden@"),
        "SLUICEGATE_SECRET_KEY": secret,
        "SLUICEGATE_DATA_DIR": str(tmp_path),
    }
    on_sqlite = await sluicegate_async("worker", env={"SLUICEGATE_DATA_DIR": str(tmp_path / "data")})
    assert (on_sqlite.code, "PostgreSQL" in on_sqlite.err, "sluicegate serve" in on_sqlite.err) == (3, True, True)
    assert not (tmp_path / "data").exists()
    before = await sluicegate_async("worker", env=env)
    assert (before.code, "sluicegate migrate" in before.err) == (3, True)
    assert (await sluicegate_async("migrate", env=env)).code == 0
    unknown = await sluicegate_async("worker", "--job-class", "NONE", env=env)
    assert (unknown.code, "NONE" in unknown.err, "SYNC_STORAGE" in unknown.err) == (3, True, True)
    wrong = await sluicegate_async("worker", env={**env, "SLUICEGATE_SECRET_KEY": new_secret_key()})
    assert wrong.code == 3
    nobody = await sluicegate_async(
        "worker", env={**env, "SLUICEGATE_DATABASE_URL": f"postgresql://a:hidden@127.0.0.1:{free_port()}/x"}
    )
    assert (nobody.code, "The database cannot be used now." in nobody.err) == (1, True)
    for ended in (on_sqlite, before, unknown, wrong, nobody):
        assert "Traceback" not in ended.err
        assert "hidden" not in ended.err
