"""What stands between a request and its execution: known documents, limits, introspection, the time limit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress

from graphql import GraphQLError
from strawberry.extensions import SchemaExtension

from gql.errors import LIMIT, TIMEOUT
from gql.execution.documents import Document, DocumentCache
from gql.execution.limits import Limits


class Gate(SchemaExtension):
    """Made anew for each operation, as Strawberry does it; what is to be remembered is in `documents`."""

    def __init__(self, documents: DocumentCache, limits: Limits) -> None:
        self._documents = documents
        self._limits = limits
        self._document: Document | None = None

    def on_parse(self) -> Iterator[None]:
        """Takes the document from the cache, or parses it."""
        operation = self.execution_context
        operation.parse_options["max_tokens"] = self._limits.tokens
        # What cannot be parsed is left to Strawberry, which makes a result of the error; out of a hook it would break
        # the stream of a subscription.
        with suppress(GraphQLError):
            self._document = self._documents.get(operation.query or "", max_tokens=self._limits.tokens)
            operation.graphql_document = self._document.tree
        yield

    def on_validate(self) -> Iterator[None]:
        """Leaves errors in the execution context; then nothing is executed."""
        operation = self.execution_context
        document = self._document
        assert document is not None
        schema = operation.schema._schema  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - it has no public name
        errors = document.errors(schema, self._limits, introspection=_may_introspect(operation.context))
        if not errors:
            cost = document.plan(schema, operation.operation_name).cost(operation.variables or {})
            errors = self._too_costly(cost) if cost > self._limits.cost else []
        operation.pre_execution_errors = errors
        yield

    async def on_execute(self) -> AsyncIterator[None]:
        """Ends a query or mutation after `request_timeout_seconds`; of a subscription, only its start."""
        seconds = _seconds(self.execution_context.context)
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                yield
        except TimeoutError:
            if not limit.expired():
                raise
            raise GraphQLError(
                f"The operation took longer than {seconds:g} s and was stopped; part of it may be done.",
                extensions={"code": TIMEOUT},
            ) from None

    def _too_costly(self, cost: int) -> list[GraphQLError]:
        return [
            GraphQLError(
                f"The response could hold {cost:,} fields; at most {self._limits.cost:,} are allowed."
                " Ask for smaller pages (first), or for fewer lists at once.",
                extensions={"code": LIMIT, "cost": cost, "limit": self._limits.cost},
            )
        ]


def gate(limits: Limits) -> Callable[[], SchemaExtension]:
    """The extension of one schema, as `strawberry.Schema` wants it: a factory."""
    documents = DocumentCache()
    return lambda: Gate(documents, limits)


def _seconds(context: object) -> float | None:
    services = getattr(context, "services", None)
    return None if services is None else services.settings.request_timeout_seconds


def _may_introspect(context: object) -> bool:
    services = getattr(context, "services", None)
    return services is None or services.settings.introspection
