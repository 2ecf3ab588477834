"""A gateway with a folder of files in its catalogue, as a sync would leave it, and links to them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.access import Namespace
from models.database import ALL
from models.objects import SourceFile, SyncedObject
from models.projects import Project
from models.storages import Storage
from resolvers.access import Viewer, authenticate, create_key, create_namespace
from resolvers.content import content_url
from sluicegate.core.actors import Scope
from sluicegate.core.clock import now
from sluicegate.core.ids import encode_id
from sluicegate.providers.local.files import fingerprint_of
from tests.support.gateway import RunningGateway, new_name, running_gateway


@dataclass
class Files:
    """`root`: the folder that the storage reads."""

    gateway: RunningGateway
    root: Path
    viewer: Viewer
    storage: Storage

    async def put(self, name: str, body: bytes, *, mime_type: str | None = None, **columns: Any) -> SyncedObject:
        """Writes a file and catalogues it."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        return await self.catalogue(
            name, fingerprint_of(path.stat()), size_bytes=len(body), mime_type=mime_type, **columns
        )

    async def catalogue(self, name: str, fingerprint: str, **columns: Any) -> SyncedObject:
        """Adds an object to the catalogue."""
        row = SyncedObject(
            **{
                "project_id": self.storage.project_id, "storage_id": self.storage.id, "source_key": name.encode(),
                "status": "SYNCED", "path": name, "modality": "OTHER", "fingerprint": fingerprint,
                "first_synced_at": now(), "synced_at": now(), **columns,
            }
        )  # fmt: skip
        async with self.gateway.services.database.write(self.storage.namespace_id) as session:
            session.add(row)
        return row

    async def source_file(self, name: str, fingerprint: str) -> None:
        """Says that a file was read to its end in READ mode."""
        async with self.gateway.services.database.write(self.storage.namespace_id) as session:
            session.add(
                SourceFile(
                    project_id=self.storage.project_id,
                    storage_id=self.storage.id,
                    source_key=name.encode(),
                    fingerprint=fingerprint,
                    rows=2,
                    failed_rows=0,
                )
            )

    def link(self, row: SyncedObject, *, viewer: Viewer | None = None) -> str:
        """A signed link."""
        return content_url(self.gateway.services, viewer or self.viewer, row, self.storage, self.gateway.url)

    def path(self, row: SyncedObject) -> str:
        """The address without a signature."""
        return f"/objects/{encode_id('SyncedObject', row.id)}/content"

    async def key(self, *, namespaces: list[int] | None = None) -> tuple[Viewer, str]:
        """Another key of the namespace, and its secret."""
        services = self.gateway.services
        admin = await authenticate(services, f"Bearer {self.gateway.key}", "default")
        issued = await create_key(services, admin, name="second", scopes=[Scope.READ], namespace_ids=namespaces)
        return await authenticate(services, f"Bearer {issued.secret}", None), issued.secret

    async def other_namespace(self) -> Namespace:
        """A namespace besides that of the files, which the admin's key opens too."""
        return await create_namespace(self.gateway.services, self.viewer, name=new_name("other"))


@asynccontextmanager
async def gateway_over(root: Path, **settings: Any) -> AsyncGenerator[RunningGateway]:
    """A running gateway whose LOCAL storages read below `root`."""
    async with running_gateway(
        worker=False, local_roots=f"default={root}", allowed_endpoints="127.0.0.1", **settings
    ) as gateway:
        yield gateway


async def catalogued(gateway: RunningGateway, root: Path) -> Files:
    """A new project of the gateway with one storage, whose folder is a new one below `root`."""
    name = new_name("folder")
    await asyncio.to_thread((root / name).mkdir)
    viewer = await authenticate(gateway.services, f"Bearer {gateway.key}", "default")
    async with gateway.services.database.write(viewer.namespace.id) as session:
        project = Project(name="files")
        session.add(project)
        await session.flush()
        storage = Storage(project_id=project.id, type="LOCAL", settings={"path": name}, presign_ttl=5)
        session.add(storage)
    return Files(gateway, root / name, viewer, storage)


async def archive(files: Files) -> None:
    """Archives the storage."""
    async with files.gateway.services.database.write(ALL) as session:
        storage = await session.get(Storage, files.storage.id)
        assert storage is not None
        storage.deleted_at = now()
