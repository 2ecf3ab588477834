"""What stands between a request and its execution: caches that hit, limits, introspection by setting.

Strawberry makes extensions anew for each operation; all state here is at module level, in caches of bounded size.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from functools import lru_cache

from graphql import DocumentNode, GraphQLError, NoSchemaIntrospectionCustomRule
from strawberry.extensions import ParserCache, SchemaExtension, ValidationCache

from gql.errors import LIMIT, TIMEOUT
from gql.execution.cost import plan_of
from gql.execution.limits import Limits, check_document
from gql.execution.timing import Timing

DOCUMENTS_KEPT = 256
"""How many documents are remembered as parsed, and as many as validated. Front ends send few, again and again."""


class CachedParser(ParserCache):
    """Parses a document once; at most `limits.tokens` tokens of it."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(maxsize=DOCUMENTS_KEPT)
        self._tokens = limits.tokens

    def on_parse(self) -> Iterator[None]:
        """Takes the document from the cache, or parses it."""
        operation = self.execution_context
        operation.parse_options["max_tokens"] = self._tokens
        # What cannot be parsed is left to Strawberry, which makes a result of the error; out of a hook it would break
        # the stream of a subscription.
        with suppress(GraphQLError):
            operation.graphql_document = self.cached_parse_document(operation.query, **operation.parse_options)
        yield


class CachedValidation(ValidationCache):
    """Holds a document against limits and schema once, then each operation against the cost limit.

    `introspection` comes from the settings, through the context: there are two sets of rules, each made once.
    """

    def __init__(self, limits: Limits) -> None:
        super().__init__(maxsize=DOCUMENTS_KEPT)
        self._limits = limits

    def on_validate(self) -> Iterator[None]:
        """Leaves errors in the execution context; then nothing is executed."""
        operation = self.execution_context
        document = operation.graphql_document
        assert document is not None
        too_much = _check_document(document, self._limits)
        if too_much:
            operation.pre_execution_errors = too_much
            yield
            return
        if not _may_introspect(operation.context):
            operation.validation_rules = (*operation.validation_rules, NoSchemaIntrospectionCustomRule)
        hook = super().on_validate()
        next(hook)
        if not operation.pre_execution_errors:
            self._check_cost(document)
        yield

    def _check_cost(self, document: DocumentNode) -> None:
        operation = self.execution_context
        plan = plan_of(operation.schema._schema, document, operation.operation_name)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - it has no public name
        cost = plan.cost(operation.variables or {})
        if cost > self._limits.cost:
            operation.pre_execution_errors = [
                GraphQLError(
                    f"The response could hold {cost:,} fields; at most {self._limits.cost:,} are allowed."
                    " Ask for smaller pages (first), or for fewer lists at once.",
                    extensions={"code": LIMIT, "cost": cost, "limit": self._limits.cost},
                )
            ]


class TimeLimit(SchemaExtension):
    """Ends a query or mutation after `request_timeout_seconds`; of a subscription, only its start."""

    async def on_execute(self) -> AsyncIterator[None]:
        """Cancels what still runs then."""
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


def extensions(limits: Limits) -> list[Callable[[], SchemaExtension]]:
    """For `strawberry.Schema`: factories, in the order in which they act."""

    def parser() -> CachedParser:
        return CachedParser(limits)

    def validation() -> CachedValidation:
        return CachedValidation(limits)

    return [Timing, parser, validation, TimeLimit]


@lru_cache(maxsize=DOCUMENTS_KEPT)
def _check_document(document: DocumentNode, limits: Limits) -> list[GraphQLError]:
    return check_document(document, limits)


def _seconds(context: object) -> float | None:
    services = getattr(context, "services", None)
    return None if services is None else services.settings.request_timeout_seconds


def _may_introspect(context: object) -> bool:
    services = getattr(context, "services", None)
    return services is None or services.settings.introspection
