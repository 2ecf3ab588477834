"""The public schema, put together. `schema.graphql` is printed from it."""

from __future__ import annotations

import strawberry

from gql.execution import build_schema
from gql.mutations.root import Mutation
from gql.queries import Query
from gql.subscriptions import Subscription
from gql.types.errors import ERROR_TYPES
from gql.types.jobs import MaintenanceJob, SyncJob
from gql.types.storages import LocalStorage, S3Storage

schema: strawberry.Schema = build_schema(
    Query, Mutation, Subscription, types=[*ERROR_TYPES, SyncJob, MaintenanceJob, S3Storage, LocalStorage]
)
