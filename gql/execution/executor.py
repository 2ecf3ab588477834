"""Runs operations; one place differs from Strawberry's executor: what a subscription shares between its events."""

from __future__ import annotations

from typing import Any

from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext


class EventExecutor(StrawberryGraphQLCoreExecutionContext):
    """Gives each event of a subscription its own memory and its own context.

    graphql-core 3.3 copies the executor for each event but lets the copies share the dict that remembers collected
    sub-fields, under keys that no later event asks for again: an open subscription grows by kilobytes with every event.
    """

    def build_per_event_executor(self, payload: Any) -> EventExecutor:
        """The executor of one event: nothing that it remembers outlives it."""
        stock: Any = super()  # generic over what we do not use
        executor = stock.build_per_event_executor(payload)
        assert isinstance(executor, EventExecutor)
        executor._relevant_sub_fields = {}  # noqa: SLF001 - the dict that leaks
        if executor.context_value is not None:
            executor.context_value = executor.context_value.fork()
        return executor
