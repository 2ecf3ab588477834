"""Datasets."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import ClassVar

import strawberry

from gql.context import Info
from gql.inputs.filters import (
    StorageFilterArgument,
    SyncConfigFilterArgument,
    SyncedObjectFilterArgument,
    object_criteria,
    storage_criteria,
    sync_config_criteria,
)
from gql.inputs.orders import StorageOrders, SyncConfigOrders, SyncedObjectOrders, sort_keys
from gql.pagination import After, Before, Connection, First, Last, nested
from gql.scalars import JSON, BigInt
from gql.types.access import Namespace
from gql.types.enums import Modality
from gql.types.node import Node, RowView
from gql.types.objects import SyncedObject
from gql.types.storages import Storage, storage_of
from gql.types.sync_configs import SyncConfig, sync_config_of
from models import object_queries, storage_queries, sync_config_queries
from models.pagination import PageRequest


@strawberry.type(description="How much of one modality there is.")
class ModalityCount:
    """One modality's totals."""

    modality: Modality = strawberry.field(description="Which.")
    objects: BigInt = strawberry.field(description="How many objects.")
    bytes: BigInt = strawberry.field(description="Their size in bytes, where it is known.")


@strawberry.type(description="What a project has.")
class ProjectStats:
    """A project's totals."""

    objects: BigInt = strawberry.field(description="How many objects, without those MISSING and those STAGED.")
    bytes: BigInt = strawberry.field(description="Their size in bytes, where it is known.")
    missing: BigInt = strawberry.field(description="How many objects are no longer in their source.")
    by_modality: list[ModalityCount] = strawberry.field(description="The same by modality, without the missing ones.")


@strawberry.type(description="A dataset: what storages fill and exports read.")
class Project(RowView, Node):
    """A project's row."""

    row_kind: ClassVar[str] = "Project"

    name: str = strawberry.field(description="1 to 256 characters.")
    description: str = strawberry.field(description="For people.")
    created_at: datetime = strawberry.field(description="When it was made.")
    updated_at: datetime = strawberry.field(description="When it last changed.")
    object_schema: JSON | None = strawberry.field(
        description="A JSON Schema whose properties are the fields of the objects."
    )

    @strawberry.field(description="The tenant that it belongs to.")
    def namespace(self, info: Info) -> Namespace:
        """Rows are read in the viewer's namespace alone."""
        return Namespace.of(info.context.viewer.namespace)

    @strawberry.field(description="What it has. Counted when asked for.")
    async def stats(self, info: Info) -> ProjectStats:
        """The project's totals."""
        totals = await info.context.loaders.project_totals.load(self.row.id)
        return ProjectStats(
            objects=totals.objects,
            bytes=totals.size,
            missing=totals.missing,
            by_modality=[
                ModalityCount(modality=Modality(part.modality), objects=part.objects, bytes=part.size)
                for part in totals.modalities
            ],
        )

    @strawberry.field(description="What fills it, oldest first unless ordered.")
    async def storages(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: StorageFilterArgument = None,
        order_by: StorageOrders = None,
    ) -> Connection[Storage]:
        """A page of its storages."""
        request, criteria = PageRequest(first, after, last, before), storage_criteria(filter)
        keys = sort_keys(order_by, storage_queries.SORTS)
        return await nested(
            info.context.loaders,
            self.row.id,
            "project.storages",
            (request, criteria, keys),
            storage_of,
            partial(storage_queries.storages_of_projects, request=request, criteria=criteria, keys=keys),
            partial(storage_queries.count_storages_of_projects, criteria=criteria),
        )

    @strawberry.field(
        description="The sync configurations that fill it, oldest first unless ordered; archived ones only when the "
        "filter's status names ARCHIVED."
    )
    async def sync_configs(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: SyncConfigFilterArgument = None,
        order_by: SyncConfigOrders = None,
    ) -> Connection[SyncConfig]:
        """A page of its configurations."""
        request, criteria = PageRequest(first, after, last, before), sync_config_criteria(filter)
        keys = sort_keys(order_by, sync_config_queries.SORTS)
        return await nested(
            info.context.loaders,
            self.row.id,
            "project.syncConfigs",
            (request, criteria, keys),
            sync_config_of,
            partial(sync_config_queries.sync_configs_of_projects, request=request, criteria=criteria, keys=keys),
            partial(sync_config_queries.count_sync_configs_of_projects, criteria=criteria),
        )

    @strawberry.field(description="Its objects, in the order that they came in unless ordered.")
    async def objects(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: SyncedObjectFilterArgument = None,
        order_by: SyncedObjectOrders = None,
    ) -> Connection[SyncedObject]:
        """A page of its objects."""
        request, criteria = PageRequest(first, after, last, before), object_criteria(filter)
        keys = sort_keys(order_by, object_queries.SORTS)
        return await nested(
            info.context.loaders,
            self.row.id,
            "project.objects",
            (request, criteria, keys),
            SyncedObject.of,
            partial(object_queries.objects_of_projects, request=request, criteria=criteria, keys=keys),
            partial(object_queries.count_objects_of_projects, criteria=criteria),
        )
