"""How many sources a namespace may have tried at a time while its callers wait.

A source that does not answer holds its connection for half a minute, and the gateway has a hundred of them for all
tenants: without this one tenant's slow sources would stand in the way of everybody's syncs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

from sluicegate.core.errors import LimitError

PLACES = 8


class Places:
    """One a process. Nothing waits: a ninth attempt is refused."""

    def __init__(self) -> None:
        self._taken: Counter[int] = Counter()

    @contextmanager
    def take(self, namespace_id: int) -> Generator[None]:
        """A place while the block runs. Raises LimitError."""
        if self._taken[namespace_id] >= PLACES:
            raise LimitError(
                f"At most {PLACES} sources are tried at a time.", hint="Wait until others of your requests have ended."
            )
        self._taken[namespace_id] += 1
        try:
            yield
        finally:
            self._taken[namespace_id] -= 1
            if not self._taken[namespace_id]:
                del self._taken[namespace_id]
