"""From types to a schema that runs behind limits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import strawberry
from strawberry.schema.config import StrawberryConfig

from gql.errors import log_errors
from gql.execution.executor import EventExecutor
from gql.execution.gate import gate
from gql.execution.limits import Limits
from gql.execution.timing import Timing
from gql.permissions import check_every_root_field
from gql.scalars import SCALARS

if TYPE_CHECKING:
    from graphql import GraphQLError
    from strawberry.types import ExecutionContext

__all__ = ["GatewaySchema", "Limits", "build_schema"]


class GatewaySchema(strawberry.Schema):
    """Logs only what callers do not get to see: their own mistakes are no news of ours."""

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Logs masked errors with the id of the request."""
        context = execution_context.context if execution_context is not None else None
        log_errors(errors, getattr(context, "request_id", None))


def build_schema(
    query: type,
    mutation: type | None = None,
    subscription: type | None = None,
    types: Iterable[type] = (),
    *,
    limits: Limits | None = None,
) -> strawberry.Schema:
    """The schema, with our scalars, executor, caches and limits.

    `types`: those that only interfaces refer to. Raises UndeclaredScopeError when a root field says no scope.
    """
    check_every_root_field(query, mutation, subscription)
    return GatewaySchema(
        query,
        mutation,
        subscription,
        types=list(types),
        extensions=[Timing, gate(limits or Limits())],
        execution_context_class=EventExecutor,
        config=StrawberryConfig(scalar_map=SCALARS),
    )
