"""A running gateway with tenants for each test: a namespace, an admin key that opens it alone, and a folder."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from models.dead_letters import WHOLE_FILE, DeadLetter
from models.deliveries import Delivery
from models.jobs import Job, JobStatus
from models.objects import ObjectStatus, SyncedObject
from models.projects import Project
from models.storages import Storage
from models.sync_configs import SyncConfig
from sluicegate.core.ids import encode_id, split_id
from tests.support.gateway import RunningGateway, running_gateway

TENANTS = 1_000
START = datetime(2026, 1, 1, tzinfo=UTC)

CREATE_LOCAL = """mutation($project: ID!, $path: String!, $title: String!) {
  createStorage(input: {projectId: $project, provider: {local: {path: $path}}, title: $title, useBlobUrls: true}) {
    storage { id } errors { message } } }"""
SYNC = "mutation($id: ID!) { syncStorage(input: {id: $id}) { job { id } errors { code message } } }"
WATCH = "subscription($id: ID!) { job(id: $id) { status revision ... on SyncJob { sync { phase objectsSynced } } } }"


@dataclass
class Tenant:
    """One namespace, as its own key sees it. `folder`: what its LOCAL storages read."""

    gateway: RunningGateway
    name: str
    number: int
    key: str
    folder: Path

    async def graphql(self, query: str, **variables: Any) -> dict[str, Any]:
        """The whole answer."""
        return await self.gateway.graphql(query, variables, key=self.key)

    async def data(self, query: str, **variables: Any) -> dict[str, Any]:
        """The data of an answer without errors."""
        return await self.gateway.data(query, variables, key=self.key)

    def subscribe(self, query: str, **variables: Any) -> AsyncGenerator[dict[str, Any]]:
        """The payloads of a subscription."""
        return self.gateway.subscribe(query, variables, key=self.key)

    async def project(self, name: str = "project") -> str:
        """A new project's id."""
        made = await self.data(
            "mutation($name: String!) { createProject(input: {name: $name}) { project { id } errors { message } } }",
            name=name,
        )
        return made["createProject"]["project"]["id"]

    async def storage(self, project: str | None = None, *, path: str = "", title: str = "") -> str:
        """A new storage's id, over the tenant's folder."""
        project = project or await self.project()
        made = await self.data(CREATE_LOCAL, project=project, path=path, title=title)
        assert made["createStorage"]["errors"] == []
        return made["createStorage"]["storage"]["id"]

    async def sync(self, storage: str) -> str:
        """Syncs a storage to the end. The job's id."""
        started = (await self.data(SYNC, id=storage))["syncStorage"]
        assert started["errors"] == []
        await self.finished(started["job"]["id"])
        return started["job"]["id"]

    async def finished(self, job: str) -> list[dict[str, Any]]:
        """Watches a job to its end. Every state that was seen."""
        return [payload["data"]["job"] async for payload in self.subscribe(WATCH, id=job)]

    async def finished_any(self, job: str) -> None:
        """Waits for the end of a job of any class."""
        async for _ in self.subscribe("subscription($id: ID!) { job(id: $id) { status } }", id=job):
            pass

    async def add(self, *rows: Any) -> list[str]:
        """Writes rows as they are. Their global ids."""
        async with self.gateway.services.database.write(self.number) as session:
            session.add_all(rows)
        return [encode_id(type(row).__name__, row.id) for row in rows]

    def jobs(self, values: Sequence[Mapping[str, Any]]) -> list[Job]:
        """Finished jobs, a minute after one another, with what is given."""
        return [
            Job(
                **{
                    "namespace_id": self.number, "job_class": "SYNC_STORAGE", "status": JobStatus.COMPLETED,
                    "run_id": "run", "created_at": START + timedelta(minutes=index),
                    "updated_at": START + timedelta(minutes=index), **more,
                }
            )
            for index, more in enumerate(values)
        ]  # fmt: skip

    def objects(self, project: str, storage: str, paths: Sequence[str], **more: Any) -> list[SyncedObject]:
        """Objects of a storage."""
        return [
            SyncedObject(
                **{
                    "namespace_id": self.number, "project_id": number(project), "storage_id": number(storage),
                    "source_key": path.encode(), "status": ObjectStatus.SYNCED, "path": path, "modality": "OTHER",
                    "fingerprint": "f", "size_bytes": 1, "first_synced_at": START, "synced_at": START, **more,
                }
            )
            for path in paths
        ]  # fmt: skip

    def projects(self, count: int) -> list[Project]:
        """Projects."""
        return [Project(namespace_id=self.number, name=f"project {index}") for index in range(count)]

    def configs(self, project: str, storage: str, count: int, **more: Any) -> list[SyncConfig]:
        """Drafts of sync configurations over a storage."""
        return [
            SyncConfig(
                **{
                    "namespace_id": self.number, "project_id": number(project), "storage_id": number(storage),
                    "name": f"config {index}", "source_path": "", "range_low": b"", "status": "DRAFT", **more,
                }
            )
            for index in range(count)
        ]  # fmt: skip

    def deliveries(self, config: str, job: str, count: int) -> list[Delivery]:
        """Batches of a run."""
        return [
            Delivery(
                namespace_id=self.number, sync_config_id=number(config), job_id=number(job), event="BATCH_READY",
                batch_number=index + 1, object_count=1, status="SKIPPED",
            )
            for index in range(count)
        ]  # fmt: skip

    def dead_letters(self, project: str, storage: str, config: str, count: int) -> list[DeadLetter]:
        """Records that a configuration's runs could not take."""
        return [
            DeadLetter(
                namespace_id=self.number, project_id=number(project), storage_id=number(storage),
                sync_config_id=number(config), source_key=str(index).encode(), row=WHOLE_FILE, path=str(index),
                error_type="PARSE", message="bad", first_seen_at=START, last_seen_at=START,
            )
            for index in range(count)
        ]  # fmt: skip

    def storages(self, project: str, count: int, **more: Any) -> list[Storage]:
        """Storages of a project over the tenant's folder."""
        return [
            Storage(
                **{
                    "namespace_id": self.number, "project_id": number(project), "type": "LOCAL",
                    "settings": {"path": ""}, "title": f"storage {index}", **more,
                }
            )
            for index in range(count)
        ]  # fmt: skip


@dataclass
class Tenants:
    """Gives each test tenants that no other has."""

    gateway: RunningGateway
    root: Path
    taken: int = field(default=0)

    async def new(self) -> Tenant:
        """A new tenant."""
        name, self.taken = f"tenant-{self.taken}", self.taken + 1
        assert self.taken <= TENANTS, "more folders are needed"
        made = await self.gateway.data(
            "mutation($name: String!) { createNamespace(input: {name: $name}) { namespace { id } } }",
            {"name": name},
            namespace="default",
        )
        key = await self.gateway.data(
            'mutation { createApiKey(input: {name: "test", scopes: [ADMIN]}) { secret errors { message } } }',
            namespace=name,
        )
        found = split_id(made["createNamespace"]["namespace"]["id"])
        assert found is not None
        return Tenant(self.gateway, name, found[1], key["createApiKey"]["secret"], self.root / name)


@asynccontextmanager
async def tenants_of(root: Path, **settings: Any) -> AsyncGenerator[Tenants]:
    """A gateway for many tests; `root` gets a folder for each tenant."""
    names = [f"tenant-{index}" for index in range(TENANTS)]
    for name in names:
        (root / name).mkdir()
    roots = ",".join(f"{name}={root / name}" for name in names)
    async with running_gateway(local_roots=roots, allowed_endpoints="127.0.0.1", **settings) as gateway:
        yield Tenants(gateway, root)


def number(global_id: str) -> int:
    """The row of a global id."""
    found = split_id(global_id)
    assert found is not None
    return found[1]
