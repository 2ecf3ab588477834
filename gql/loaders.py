"""Batch loaders: what many nodes of one answer ask for comes in one statement. New for each operation or event."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

from strawberry.dataloader import DataLoader

from gql.content import base_url
from models import (
    dead_letter_queries,
    delivery_health,
    delivery_queries,
    job_queries,
    object_queries,
    project_queries,
    storage_queries,
    sync_config_queries,
)
from models.access import ApiKey
from models.database import AsyncSession, Database
from models.dead_letters import DeadLetter
from models.deliveries import Delivery
from models.jobs import Job
from models.objects import Checkpoint, SyncedObject
from models.project_queries import ProjectTotals
from models.projects import Project
from models.storages import Storage
from models.sync_configs import SyncConfig
from resolvers.access import list_keys
from resolvers.content import object_urls

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from resolvers.access import Viewer
    from resolvers.services import Services

_MAX_BATCH = 5_000
"""Ids of one statement: both databases take some 32,000 values in one."""

V = TypeVar("V")
Query = Callable[[AsyncSession, Sequence[int]], Awaitable[list[V]]]


class Loaders:
    """The loaders of one operation. All read in the viewer's namespace alone."""

    def __init__(self, services: Services, viewer: Viewer, request: HTTPConnection) -> None:
        self._services, self._viewer, self._request = services, viewer, request
        self._database: Database = services.database
        self._scope = viewer.namespace.id
        self._lists: dict[Hashable, DataLoader[int, Any]] = {}
        self.projects: DataLoader[int, Project | None] = self._loader(project_queries.projects_by_id)
        self.project_totals: DataLoader[int, ProjectTotals] = self._loader(project_queries.project_totals)
        self.storages: DataLoader[int, Storage | None] = self._loader(storage_queries.storages_by_id)
        self.jobs: DataLoader[int, Job | None] = self._loader(job_queries.jobs_by_id)
        self.sync_configs: DataLoader[int, SyncConfig | None] = self._loader(sync_config_queries.sync_configs_by_id)
        self.checkpoints: DataLoader[int, Checkpoint | None] = self._loader(sync_config_queries.checkpoints_by_job)
        self.quarantined: DataLoader[int, int] = self._loader(sync_config_queries.quarantined_by_config)
        self.webhook_failures: DataLoader[int, str | None] = self._loader(delivery_health.webhook_failures)
        self.batches: DataLoader[int, Delivery | None] = self._loader(delivery_queries.batches_by_id)
        self.dead_letters: DataLoader[int, DeadLetter | None] = self._loader(dead_letter_queries.dead_letters_by_id)
        self.objects: DataLoader[int, SyncedObject | None] = self._loader(object_queries.objects_by_id)
        self.api_keys: DataLoader[int, ApiKey | None] = DataLoader(load_fn=self._load_keys)
        self.object_urls: DataLoader[SyncedObject, str | None] = DataLoader(load_fn=self._load_urls)

    def of(self, name: str, arguments: Hashable, query: Query[V]) -> DataLoader[int, V]:
        """The loader of a list that nodes have, e.g. the storages of projects, asked for with the same arguments."""
        key = (name, arguments)
        if key not in self._lists:
            self._lists[key] = self._loader(query)
        return cast("DataLoader[int, V]", self._lists[key])

    async def _load_keys(self, ids: list[int]) -> list[ApiKey | None]:
        found = {row.id: row for row in await list_keys(self._services, self._viewer)}
        return [found.get(number) for number in ids]

    async def _load_urls(self, rows: list[SyncedObject]) -> list[Any]:
        """Links to objects, or the error that stands in one's place; each storage is opened once."""
        storages = await self.storages.load_many([row.storage_id for row in rows])
        pairs = [(row, storage) for row, storage in zip(rows, storages, strict=True) if storage is not None]
        assert len(pairs) == len(rows)
        return list(await object_urls(self._services, self._viewer, pairs, base_url(self._services, self._request)))

    def _loader(self, query: Query[V]) -> DataLoader[int, V]:
        async def load(ids: list[int]) -> Sequence[V | BaseException]:
            async with self._database.read(self._scope) as session:
                return await query(session, ids)

        return DataLoader(load_fn=load, max_batch_size=_MAX_BATCH)
