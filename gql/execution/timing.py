"""How long operations take, for `/metrics`."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter

from graphql import GraphQLError
from strawberry.extensions import SchemaExtension

from sluicegate.core import tracing
from sluicegate.core.metrics import GRAPHQL_SECONDS


class Timing(SchemaExtension):
    """The outermost extension: from the arrival of an operation to its result; of a subscription, to its end."""

    def on_operation(self) -> Iterator[None]:
        """Measures what happens inside."""
        began = perf_counter()
        try:
            yield
        finally:
            kind, failed = self._operation(), self._failed()
            GRAPHQL_SECONDS.labels(kind, "error" if failed else "ok").observe(perf_counter() - began)
            tracing.note(graphql_operation_type=kind, failed=failed)

    def _operation(self) -> str:
        try:
            return self.execution_context.operation_type.value
        except (RuntimeError, GraphQLError, ValueError):
            return "invalid"

    def _failed(self) -> bool:
        operation = self.execution_context
        return bool(operation.pre_execution_errors or getattr(operation.result, "errors", None))
