"""Runs of the sync engine against a real database and a real S3 server, without gateway and task engine."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from models import job_state
from models.access import Namespace
from models.database import ALL, Database
from models.job_state import Claim
from models.jobs import Job, JobStatus
from models.migrate import upgrade
from models.objects import MissingCandidate, SyncedObject
from models.projects import Project
from models.ranges import EVERYTHING, KeyRange
from models.storages import Storage
from models.sync_configs import SyncConfig, SyncConfigStatus
from sluicegate.core.actors import Actor, ActorKind
from sluicegate.core.clock import now
from sluicegate.core.crypto import SecretBox, new_secret_key
from sluicegate.core.net import Connector
from sluicegate.sync.confirm import confirm_sync
from sluicegate.sync.runner import RunResult, run_sync
from sluicegate.sync.services import SyncServices
from tests.support.s3_responder import S3Responder


class Killed(BaseException):
    """Stands for SIGKILL: raised between two transactions, caught by nothing in the engine."""


@dataclass
class Handle:
    """What the job engine would give. `on_commit` is called with the number of rows' changes seen so far."""

    claim: Claim
    job: Job
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    states: list[dict[str, Any]] = field(default_factory=list)
    announced: list[Any] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def shown(self) -> None:
        """Waits for the next state."""
        self._news.clear()
        await self._news.wait()

    async def publish(self, job: Job) -> None:
        """Keeps what subscribers would see."""
        assert job.sync is not None
        self.states.append(job.sync)
        self._news.set()

    def watched(self, topic: str) -> bool:
        """Somebody watches everything."""
        return True

    async def announce(self, topic: str, rows: Sequence[Any] | None) -> None:
        """Keeps what watchers of lists would see."""
        self.announced += [None] if rows is None else rows


@dataclass
class Harness:
    """One storage on one database, served by `s3`."""

    database: Database
    services: SyncServices
    storage: Storage
    s3: S3Responder
    claims: int = 0
    config: SyncConfig | None = None

    async def configure(self, path: bytes = b"", **values: Any) -> SyncConfig:
        """From now on the runs are those of a new configuration over the keys that start with `path`."""
        keys = KeyRange.of_prefix(path)
        async with self.database.write(ALL) as session:
            self.config = SyncConfig(
                namespace_id=self.storage.namespace_id,
                project_id=values.pop("project_id", self.storage.project_id),
                storage_id=self.storage.id,
                source_path="bucket/" + path.decode(),
                range_low=keys.low,
                range_high=keys.high,
                **{"skip_batch_submission": True, "status": SyncConfigStatus.ACTIVE, **values},
            )
            session.add(self.config)
        return self.config

    async def reconfigure(self, **values: Any) -> None:
        """Changes the configuration."""
        assert self.config is not None
        async with self.database.write(ALL) as session:
            config = await session.get_one(SyncConfig, self.config.id)
            for name, value in values.items():
                setattr(config, name, value)

    async def start(self, **payload: Any) -> Handle:
        """A new job of the storage, or of the configuration where there is one, claimed."""
        config = self.config
        if config is not None:
            async with self.database.read(ALL) as session:
                config = await session.get_one(SyncConfig, config.id)
        async with self.database.write(ALL) as session:
            job = await job_state.insert(
                session,
                namespace_id=self.storage.namespace_id,
                job_class="SYNC_STORAGE" if config is None else "SYNC_CONFIG",
                unicity=f"sync:storage:{self.storage.id}" if config is None else f"sync:config:{config.id}",
                payload=payload,
                storage_id=self.storage.id,
                project_id=self.storage.project_id if config is None else config.project_id,
                sync_config_id=None if config is None else config.id,
                key_range=EVERYTHING if config is None else config.range,
                created_by=Actor(kind=ActorKind.SYSTEM, id=None, name="test"),
            )
            return await self._claim(session, job.id)

    async def confirm(self, job: Job) -> dict[str, Any]:
        """Confirms what the job has staged."""
        assert self.config is not None
        async with self.database.write(ALL) as session:
            confirmation = await job_state.insert(
                session,
                namespace_id=self.storage.namespace_id,
                job_class="CONFIRM_SYNC",
                unicity=f"confirm:config:{self.config.id}",
                payload={"confirms": job.id},
                storage_id=self.storage.id,
                project_id=self.config.project_id,
                sync_config_id=self.config.id,
                key_range=self.config.range,
                created_by=Actor(kind=ActorKind.SYSTEM, id=None, name="test"),
            )
            handle = await self._claim(session, confirmation.id)
        result = await confirm_sync(handle, self.services)
        assert result.status is not None
        async with self.database.write(ALL) as session:
            await job_state.finish(session, handle.claim, result.status, **result.columns)
        return result.columns["sync"]

    async def _claim(self, session: Any, job_id: int) -> Handle:
        # Each claim comes long after the lease of the one before it ran out.
        self.claims += 1
        at = now() + timedelta(hours=self.claims)
        taken = await job_state.claim(session, job_id, worker_id="test", at=at)
        assert taken is not None
        return Handle(*taken)

    async def again(self, handle: Handle) -> Handle:
        """The same job, taken over from a worker that died."""
        async with self.database.write(ALL) as session:
            return await self._claim(session, handle.job.id)

    async def run(self, handle: Handle) -> RunResult:
        """Runs to its end and finishes the row, as the job engine does."""
        result = await run_sync(handle, self.services)
        if result.status is not None:
            async with self.database.write(ALL) as session:
                await job_state.finish(session, handle.claim, result.status, also=result.also, **result.columns)
        return result

    async def fail(self, handle: Handle) -> None:
        """Ends the job of a run that raised."""
        async with self.database.write(ALL) as session:
            await job_state.finish(session, handle.claim, JobStatus.FAILED, error={"type": "Test", "message": "failed"})

    async def sync(self, **payload: Any) -> dict[str, Any]:
        """A whole sync; returns the counters, which must add up."""
        result = await self.run(await self.start(**payload))
        return check(result)

    async def update(self, **values: Any) -> None:
        """Changes the storage."""
        async with self.database.write(ALL) as session:
            storage = await session.get_one(Storage, self.storage.id)
            for name, value in values.items():
                setattr(storage, name, value)

    async def objects(self, *, status: str | None = "SYNCED") -> dict[tuple[bytes, int], SyncedObject]:
        """The catalogue."""
        async with self.database.read(ALL) as session:
            found = await session.scalars(select(SyncedObject))
            return {(row.source_key, row.row): row for row in found if status in (None, row.status)}

    async def files(self) -> dict[bytes, str]:
        """Key → fingerprint of what is SYNCED."""
        return {key: row.fingerprint for (key, _), row in (await self.objects()).items()}

    async def data(self) -> dict[tuple[bytes, int], Any]:
        """(key, row) → record of what is SYNCED."""
        return {place: row.data for place, row in (await self.objects()).items()}

    async def candidates(self) -> int:
        """How many candidates for MISSING are left."""
        async with self.database.read(ALL) as session:
            return len((await session.scalars(select(MissingCandidate))).all())

    def bucket(self) -> dict[bytes, str]:
        """Key → fingerprint of what the server has."""
        store = self.s3.store
        found: dict[bytes, str] = {}
        for key in store.keys:
            stored = store.get(key)
            assert stored is not None
            found[key] = f"{stored.etag}-{len(stored.body)}"
        return found


def check(result: RunResult) -> dict[str, Any]:
    """The counters of a finished run: every record found is accounted for once."""
    sync: dict[str, Any] = result.columns["sync"]
    done = [sync[f"objects{name}"] for name in ("Filtered", "Duplicate", "Unchanged", "Synced", "Failed")]
    assert sync["objectsFound"] == sum(done), sync
    assert sync["objectsSynced"] == sync["objectsAdded"] + sync["objectsUpdated"]
    assert sync["phase"] == "DONE"
    return sync


def counts(sync: dict[str, Any]) -> dict[str, int]:
    """The counters that are not 0, by their short names."""
    names = ("Added", "Updated", "Unchanged", "Filtered", "Duplicate", "Failed", "Missing")
    return {name.lower(): sync[f"objects{name}"] for name in names if sync[f"objects{name}"]}


@asynccontextmanager
async def harness(database_url: str, *, s3: S3Responder | None = None, **storage: Any) -> AsyncGenerator[Harness]:
    """A migrated database with one S3 storage on a server of its own, or on the one that `settings` name."""
    database = Database(database_url)
    connector = Connector("127.0.0.1")
    await upgrade(database)
    await connector.open()
    box = SecretBox([new_secret_key()])
    try:
        async with s3 or S3Responder() as server:
            async with database.write(ALL) as session:
                namespace = Namespace(name="tests")
                session.add(namespace)
                await session.flush()
                project = Project(name="dataset", namespace_id=namespace.id)
                session.add(project)
                await session.flush()
                secrets = {
                    "aws_access_key_id": "AKIATEST",
                    "aws_secret_access_key": "secret",
                    **storage.pop("secrets", {}),
                }
                settings = {"bucket": server.bucket, "region_name": "us-east-1", "s3_endpoint": server.endpoint}
                row = Storage(
                    namespace_id=namespace.id,
                    project_id=project.id,
                    type="S3",
                    settings={**settings, **storage.pop("settings", {})},
                    **{"use_blob_urls": True, **storage},
                )
                session.add(row)
                await session.flush()
                row.sealed_secrets = box.seal(secrets, table="storage", row=row.id, namespace=namespace.id)
            yield Harness(database, SyncServices(database, box, connector, {}, "/nonexistent"), row, server)
    finally:
        await connector.aclose()
        await database.close()


def kill_at(database: Database, commit: int) -> Callable[[], None]:
    """Makes the `commit`th write transaction from now on raise Killed before it commits. Returns what undoes it."""
    original = database.write
    count = 0

    @asynccontextmanager
    async def write(scope: Any) -> AsyncGenerator[Any]:
        nonlocal count
        count += 1
        async with original(scope) as session:
            yield session
            if count == commit:
                raise Killed

    database.write = write

    def undo() -> None:
        del database.write

    return undo
