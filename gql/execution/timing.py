"""How long operations take, for `/metrics`."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter

from graphql import GraphQLError
from strawberry.extensions import SchemaExtension

from sluicegate.core.metrics import GRAPHQL_SECONDS


class Timing(SchemaExtension):
    """The outermost extension: from the arrival of an operation to its result; of a subscription, to its end."""

    def on_operation(self) -> Iterator[None]:
        """Measures what happens inside."""
        began = perf_counter()
        try:
            yield
        finally:
            outcome = "error" if self._failed() else "ok"
            GRAPHQL_SECONDS.labels(self._operation(), outcome).observe(perf_counter() - began)

    def _operation(self) -> str:
        try:
            return self.execution_context.operation_type.value
        except (RuntimeError, GraphQLError, ValueError):
            return "invalid"

    def _failed(self) -> bool:
        operation = self.execution_context
        return bool(operation.pre_execution_errors or getattr(operation.result, "errors", None))
