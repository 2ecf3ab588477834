"""The fields of Query. An id that is not of this namespace answers as one that does not exist: null."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated

import strawberry

from gql.context import Info
from gql.inputs.dead_letters import DeadLetterFilterArgument, dead_letter_criteria
from gql.inputs.filters import (
    JobFilterArgument,
    StorageFilterArgument,
    SyncConfigFilterArgument,
    job_criteria,
    storage_criteria,
    sync_config_criteria,
)
from gql.inputs.orders import JobOrders, StorageOrders, SyncConfigOrders, sort_keys
from gql.nodes import find_node
from gql.pagination import After, Before, Connection, First, Last, connect
from gql.permissions import Scope, requires
from gql.types.access import ApiKey, Viewer
from gql.types.dead_letters import DeadLetter
from gql.types.jobs import Job, job_of
from gql.types.node import Node
from gql.types.objects import SyncedObject
from gql.types.projects import Project
from gql.types.providers import Provider, provider_of
from gql.types.storages import Storage, storage_of
from gql.types.sync_configs import SyncConfig, sync_config_of
from models import job_queries, storage_queries, sync_config_queries
from models.pagination import PageRequest
from resolvers import access, dead_letters, jobs, projects, providers, storages, sync_configs
from sluicegate.core.errors import InvalidError
from sluicegate.core.ids import split_id

MAX_NODES = 1_000

Id = Annotated[strawberry.ID, strawberry.argument(description="A global id.")]
Ids = Annotated[list[strawberry.ID], strawberry.argument(description="Global ids, at most 1,000.")]
OfProject = Annotated[strawberry.ID | None, strawberry.argument(description="Only those of this project.")]


@strawberry.type(description="What can be read.")
class Query:
    """The root of queries."""

    @strawberry.field(description="Anything by its global id.", extensions=requires(Scope.READ))
    async def node(self, info: Info, id: Id) -> Node | None:
        """One node."""
        return await find_node(info.context, id)

    @strawberry.field(
        description="Things by their global ids, in the same order, at most 1,000.", extensions=requires(Scope.READ)
    )
    async def nodes(self, info: Info, ids: Ids) -> list[Node | None]:
        """Many nodes."""
        if len(ids) > MAX_NODES:
            raise InvalidError(f"At most {MAX_NODES:,} ids; there are {len(ids):,}.", path=("ids",))
        return list(await asyncio.gather(*(find_node(info.context, each) for each in ids)))

    @strawberry.field(description="Who is calling.", extensions=requires(Scope.READ))
    def viewer(self, info: Info) -> Viewer:
        """The caller."""
        return Viewer.of(info.context.viewer)

    @strawberry.field(description="What this installation can connect to.", extensions=requires(Scope.READ))
    def providers(self) -> list[Provider]:
        """The kinds of sources."""
        return [provider_of(spec) for spec in providers.list_providers()]

    @strawberry.field(
        description="The keys of this namespace that open no other than yours.", extensions=requires(Scope.ADMIN)
    )
    async def api_keys(self, info: Info) -> list[ApiKey]:
        """The keys."""
        return [ApiKey.of(row) for row in await access.list_keys(info.context.services, info.context.viewer)]

    @strawberry.field(description="A project.", extensions=requires(Scope.READ))
    async def project(self, info: Info, id: Id) -> Project | None:
        """One project."""
        return await find_node(info.context, id, "Project")

    @strawberry.field(description="The namespace's projects, oldest first.", extensions=requires(Scope.READ))
    async def projects(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Project]:
        """A page of projects."""
        services, viewer = info.context.services, info.context.viewer
        page = await projects.list_projects(services, viewer, PageRequest(first, after, last, before))
        return connect(page, Project.of, partial(projects.count_projects, services, viewer))

    @strawberry.field(description="A storage; an archived one too.", extensions=requires(Scope.READ))
    async def storage(self, info: Info, id: Id) -> Storage | None:
        """One storage."""
        return await find_node(info.context, id, "Storage")

    @strawberry.field(
        description="The namespace's storages, or one project's, oldest first unless ordered; without archived ones.",
        extensions=requires(Scope.READ),
    )
    async def storages(
        self,
        info: Info,
        project_id: OfProject = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: StorageFilterArgument = None,
        order_by: StorageOrders = None,
    ) -> Connection[Storage]:
        """A page of storages."""
        services, viewer = info.context.services, info.context.viewer
        criteria, project = storage_criteria(filter), _filter_by(project_id, "Project")
        page = await storages.list_storages(
            services,
            viewer,
            PageRequest(first, after, last, before),
            criteria=criteria,
            keys=sort_keys(order_by, storage_queries.SORTS),
            project_id=project,
        )
        return connect(page, storage_of, partial(storages.count_storages, services, viewer, criteria, project))

    @strawberry.field(description="A sync configuration; an archived one too.", extensions=requires(Scope.READ))
    async def sync_config(self, info: Info, id: Id) -> SyncConfig | None:
        """One configuration."""
        return await find_node(info.context, id, "SyncConfig")

    @strawberry.field(
        description="The namespace's sync configurations, or one project's, oldest first unless ordered; archived ones "
        "only when the filter's status names ARCHIVED.",
        extensions=requires(Scope.READ),
    )
    async def sync_configs(
        self,
        info: Info,
        project_id: OfProject = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: SyncConfigFilterArgument = None,
        order_by: SyncConfigOrders = None,
    ) -> Connection[SyncConfig]:
        """A page of configurations."""
        services, viewer = info.context.services, info.context.viewer
        criteria, project = sync_config_criteria(filter), _filter_by(project_id, "Project")
        page = await sync_configs.list_sync_configs(
            services,
            viewer,
            PageRequest(first, after, last, before),
            criteria=criteria,
            keys=sort_keys(order_by, sync_config_queries.SORTS),
            project_id=project,
        )
        count = partial(sync_configs.count_sync_configs, services, viewer, criteria, project)
        return connect(page, sync_config_of, count)

    @strawberry.field(description="A job.", extensions=requires(Scope.READ))
    async def job(self, info: Info, id: Id) -> Job | None:
        """One job."""
        return await find_node(info.context, id, "Job")

    @strawberry.field(description="The namespace's jobs, newest first unless ordered.", extensions=requires(Scope.READ))
    async def jobs(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: JobFilterArgument = None,
        order_by: JobOrders = None,
    ) -> Connection[Job]:
        """A page of jobs."""
        services, viewer = info.context.services, info.context.viewer
        criteria = job_criteria(filter)
        page = await jobs.list_jobs(
            services,
            viewer,
            PageRequest(first, after, last, before),
            criteria=criteria,
            keys=sort_keys(order_by, job_queries.SORTS),
        )
        return connect(page, job_of, partial(jobs.count_jobs, services, viewer, criteria))

    @strawberry.field(
        description="What the namespace's syncs could not take, newest first.", extensions=requires(Scope.READ)
    )
    async def dead_letters(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: DeadLetterFilterArgument = None,
    ) -> Connection[DeadLetter]:
        """A page of dead letters."""
        services, viewer, criteria = info.context.services, info.context.viewer, dead_letter_criteria(filter)
        page = await dead_letters.list_dead_letters(
            services, viewer, PageRequest(first, after, last, before), criteria=criteria
        )
        return connect(page, DeadLetter.of, partial(dead_letters.count_dead_letters, services, viewer, criteria))

    @strawberry.field(description="An object of a dataset.", extensions=requires(Scope.READ))
    async def synced_object(self, info: Info, id: Id) -> SyncedObject | None:
        """One object."""
        return await find_node(info.context, id, "SyncedObject")


def _filter_by(global_id: str | None, kind: str) -> int | None:
    """The row to filter by: 0, which no row has, for an id of nothing; as another tenant's, it matches nothing."""
    if global_id is None:
        return None
    found = split_id(global_id)
    return found[1] if found is not None and found[0] == kind else 0
