"""One watcher of a list: the rows that its source selects, then what becomes of them, however slow its reader."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Generic, NamedTuple, Protocol, Self

from sluicegate.events.messages import StateT, Topic, Update
from sluicegate.events.watch import End, HubStats

MAX_KNOWN = 1_000
"""So many rows of a list are remembered; of those that were told of before them, it is not told when they leave."""
MAX_PENDING = 1_000
"""So many rows may have changed before a slow reader takes them; of more, the list is read anew."""


REREAD_SECONDS = 1.0
"""A list is read anew at most so often: whoever changes many rows again and again makes it late, not costly."""


class ChangeKind(StrEnum):
    """What a change says; as in the public schema."""

    SNAPSHOT = "SNAPSHOT"
    SNAPSHOT_END = "SNAPSHOT_END"
    CREATED = "CREATED"
    UPDATED = "UPDATED"
    FINISHED = "FINISHED"
    LEFT = "LEFT"
    DELETED = "DELETED"


class Change(NamedTuple):
    """One change of a list. `state`: the row as it is; None for SNAPSHOT_END and DELETED."""

    kind: ChangeKind
    id: int
    state: Any


class ListSource(Protocol[StateT]):
    """What a list is of. It alone decides what its reader may see."""

    def selects(self, state: StateT, /) -> bool:
        """Whether the row belongs to the list now."""
        ...

    async def first(self) -> Sequence[StateT]:
        """The rows to begin with, the oldest first; at most MAX_KNOWN."""
        ...

    async def read(self, ids: Sequence[int]) -> Sequence[StateT]:
        """Those of these rows (at most MAX_KNOWN) that exist."""
        ...


class ListWatch(Generic[StateT]):
    """An async iterator over the changes of one list, for one reader.

    First the rows as SNAPSHOT and a SNAPSHOT_END, then changes. Of a row that changed more often than its reader could
    take, the newest state alone. When changes were lost the rows are read again and told as changes. States are
    shared: never change one.
    """

    def __init__(
        self, topic: Topic[StateT], source: ListSource[StateT], stats: HubStats, *, scope: int | None = None
    ) -> None:
        self.end: End | None = None
        self._topic, self._source, self._stats, self._scope = topic, source, stats, scope
        self._known: dict[int, int] = {}
        self._pending: dict[int, StateT | None] = {}
        self._ready: deque[Change] = deque()
        self._begun = False
        self._stale = True
        self._read_at = -math.inf
        self._waiter: asyncio.Future[None] | None = None

    def offer(self, number: int, update: Update[StateT] | None) -> None:
        """Takes a state of a row, None when it was deleted, in place of the one that waits."""
        if self.end is not None or self._stale:
            return
        try:
            state = None if update is None else update.state()
        except (ValueError, TypeError, KeyError, AttributeError):
            self.lose()  # sent by another version of Sluicegate, it seems: the rows themselves are read
            return
        if number in self._pending:
            waiting = self._pending.pop(number)
            self._stats.coalesced += 1
            if waiting is None or (state is not None and self._revision(state) < self._revision(waiting)):
                state = waiting
        elif number not in self._known and (state is None or not self._source.selects(state)):
            return
        self._pending[number] = state
        if len(self._pending) > MAX_PENDING:
            self.lose()
        self._wake()

    def concerns(self, scope: int) -> bool:
        """Whether rows of this scope may be in the list; 0 stands for those of all."""
        return self._scope is None or scope in (0, self._scope)

    def lose(self) -> None:
        """Changes may have been lost: the rows are read again."""
        self._stale = True
        self._pending.clear()
        self._wake()

    def finish(self, end: End) -> None:
        """Ends the iteration once what waits is taken."""
        if self.end is None:
            self.end = end
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        """The next change, waiting for it without limit. Raises what the source raises."""
        while True:
            if self._ready:
                self._stats.delivered += 1
                return self._ready.popleft()
            if self.end is not None and not self._pending:
                raise StopAsyncIteration
            if self._stale and (pause := self._read_at + REREAD_SECONDS - asyncio.get_running_loop().time()) > 0:
                await self._wait(pause)
            elif self._stale:
                await self._read()
            elif self._pending:
                number = next(iter(self._pending))
                self._tell(number, self._pending.pop(number))
            else:
                await self._wait()

    async def _wait(self, seconds: float | None = None) -> None:
        """Until something comes, but no longer than `seconds`."""
        if self._waiter is not None:
            raise RuntimeError("A watch has one reader.")
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait((self._waiter,), timeout=seconds)
        finally:
            self._waiter = None

    async def _read(self) -> None:
        """Reads the rows: as a snapshot the first time, as changes after that. What comes meanwhile is kept."""
        self._stale = False
        self._pending.clear()
        self._read_at = asyncio.get_running_loop().time()
        try:
            rows = await self._source.first()
            unseen = list(self._known.keys() - {self._id(row) for row in rows})
            rest: Sequence[StateT] = await self._source.read(unseen) if unseen else ()
        except BaseException:
            self._stale = True
            raise
        if not self._begun:
            self._begun = True
            for row in rows:
                self._remember(row)
                self._ready.append(Change(ChangeKind.SNAPSHOT, self._id(row), row))
            self._ready.append(Change(ChangeKind.SNAPSHOT_END, 0, None))
            return
        for row in (*rest, *rows):
            self._tell(self._id(row), row)
        for number in set(unseen) - {self._id(row) for row in rest}:
            self._tell(number, None)

    def _tell(self, number: int, state: StateT | None) -> None:
        """Makes a row's state a change, when it is one for the reader."""
        known = self._known.get(number)
        if state is None:
            if self._known.pop(number, None) is not None:
                self._ready.append(Change(ChangeKind.DELETED, number, None))
            return
        if known is not None and self._revision(state) <= known:
            return
        if self._source.selects(state):
            kind = ChangeKind.CREATED if known is None else ChangeKind.UPDATED
            self._remember(state)
            self._ready.append(Change(ChangeKind.FINISHED if self._topic.is_last(state) else kind, number, state))
        elif self._known.pop(number, None) is not None:
            self._ready.append(Change(ChangeKind.LEFT, number, state))

    def _remember(self, state: StateT) -> None:
        number = self._id(state)
        self._known.pop(number, None)
        self._known[number] = self._revision(state)
        if len(self._known) > MAX_KNOWN:
            del self._known[next(iter(self._known))]

    @staticmethod
    def _id(state: Any) -> int:
        return state.id

    @staticmethod
    def _revision(state: Any) -> int:
        return state.revision
