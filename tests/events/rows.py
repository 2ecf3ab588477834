"""A table of counters to watch, and a channel that can be cut, made deaf or filled by hand."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from sluicegate.events import Hub, Topic
from sluicegate.events.messages import Kind, Message


@dataclass(frozen=True)
class Counter:
    """One state of one row."""

    id: int
    revision: int
    finished: bool = False
    label: str = ""


class Table:
    """The rows as a database would hold them, and how often they were read and decoded."""

    def __init__(self, *rows: Counter) -> None:
        self.rows = {row.id: row for row in rows}
        self.reads = 0
        self.decoded = 0
        self.before_read: Callable[[], Awaitable[None]] | None = None

    @property
    def topic(self) -> Topic[Counter]:
        return Topic(
            "counter", lambda state: vars(state).copy(), self._decode, self._read, lambda state: state.finished
        )

    def advance(self, number: int = 1, *, by: int = 1, finished: bool = False, label: str = "") -> Counter:
        """Commits the next state of a row."""
        row = self.rows[number]
        self.rows[number] = replace(row, revision=row.revision + by, finished=finished, label=label)
        return self.rows[number]

    def _decode(self, values: dict[str, Any]) -> Counter:
        self.decoded += 1
        return Counter(**values)

    async def _read(self, number: int) -> Counter | None:
        self.reads += 1
        row = self.rows.get(number)
        if self.before_read is not None:
            await self.before_read()
        return row


class Wire:
    """A channel for the process alone (or, with `local` off, as if others listened) whose faults the test decides."""

    def __init__(self, *, local: bool = True) -> None:
        self.local = local
        self.sent: list[str] = []
        self.deaf = False
        self.refuse = False
        self.hang = False
        self.stuck = False
        self.connections = 0
        self._queue: asyncio.Queue[str | None] | None = None

    async def publish(self, message: str) -> None:
        if self.refuse:
            raise ConnectionError("refused")
        if self.stuck:
            await asyncio.Event().wait()
        if f":{Kind.ECHO}:" not in message:
            self.sent.append(message)
        if self._queue is not None and not self.deaf:
            self._queue.put_nowait(message)

    @asynccontextmanager
    async def subscribe(self) -> AsyncGenerator[AsyncIterator[str]]:
        if self.refuse:
            raise ConnectionError("refused")
        if self.hang:
            await asyncio.Event().wait()
        self.connections += 1
        self._queue = asyncio.Queue()
        try:
            yield self._messages(self._queue)
        finally:
            self._queue = None

    async def _messages(self, queue: asyncio.Queue[str | None]) -> AsyncIterator[str]:
        while (message := await queue.get()) is not None:
            if message == "cut":
                raise ConnectionError("cut")
            yield message

    def inject(self, message: Message | str) -> None:
        """Delivers a message that some process sent. "cut" raises in the subscriber."""
        assert self._queue is not None
        self._queue.put_nowait(message if isinstance(message, str) else message.encoded())

    def end(self) -> None:
        """Ends the stream without an error."""
        assert self._queue is not None
        self._queue.put_nowait(None)


@asynccontextmanager
async def running_hub(
    table: Table, channel: Wire | None = None, *, poll_seconds: float = 0.01, echo_seconds: float = 0.2
) -> AsyncGenerator[Hub]:
    """A started hub over `memory://`, or over a channel of the test's own."""
    if channel is None:
        hub = Hub("memory://", [table.topic], poll_seconds=poll_seconds)
    else:
        wire = channel
        hub = Hub("test://", [table.topic], opener=lambda _: wire, poll_seconds=poll_seconds, echo_seconds=echo_seconds)
    await hub.start()
    try:
        yield hub
    finally:
        await hub.close()


async def until(condition: Callable[[], bool]) -> None:
    """Waits for something that no event tells of; the test's own time limit ends it."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


async def turns(count: int = 30) -> None:
    """Lets every ready task run, `count` times: enough for a message to go through sender, channel and receiver."""
    for _ in range(count):
        await asyncio.sleep(0)
