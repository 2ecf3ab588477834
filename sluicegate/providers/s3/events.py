"""The events of a bucket from its queue, until whoever listens stops."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from time import monotonic
from weakref import WeakKeyDictionary

from sluicegate.core.net import Connector
from sluicegate.providers.base import EventBatch, ObjectEvent
from sluicegate.providers.s3.notices import read_message
from sluicegate.providers.s3.queue import Queue

logger = logging.getLogger(__name__)

WAIT_SECONDS = 20
"""The longest that SQS waits for a message."""
BRIEF_SECONDS = 1
"""How long it waits while other queues of this process are to be asked too."""
PAUSE_SECONDS = 1.0
"""Between two empty answers of a queue that does not wait; the most after one in which nothing is the bucket's."""
MAX_WAITING = 32
"""Requests of this process that wait for messages: each holds a connection, of which it has 100 for all it does."""


class Turns:
    """Lets so many wait for messages at a time, in the order in which they came."""

    def __init__(self, size: int = MAX_WAITING) -> None:
        self._free = asyncio.Semaphore(size)
        self._next = 0

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[int, None]:
        """Gives how many seconds to wait for messages in this turn."""
        self._next += 1
        try:
            await self._free.acquire()
        finally:
            self._next -= 1
        try:
            yield BRIEF_SECONDS if self._next else WAIT_SECONDS
        finally:
            self._free.release()


_turns: WeakKeyDictionary[Connector, Turns] = WeakKeyDictionary()


def turns_of(connector: Connector) -> Turns:
    """The turns of all that goes through one connector."""
    return _turns.setdefault(connector, Turns())


async def listen(queue: Queue, turns: Turns, bucket: str, prefix: bytes) -> AsyncGenerator[EventBatch, None]:
    """A batch for each answer with messages, also when none of them is an event. Raises RunError."""
    while True:
        await queue.pace()  # before its turn: a low ceiling must not hold up the other queues
        async with turns.turn() as seconds:
            asked = monotonic()
            messages = await queue.receive(seconds)
        if not messages:
            if monotonic() - asked < PAUSE_SECONDS:
                await asyncio.sleep(PAUSE_SECONDS)
            continue
        began = monotonic()
        events: list[ObjectEvent] = []
        malformed = 0
        for message in messages:
            found, understood = read_message(message.body, bucket, prefix)
            events += found
            malformed += not understood
        if malformed:
            logger.warning("%d of %d messages of the queue of %s are no events of S3", malformed, len(messages), bucket)
        yield EventBatch(events, partial(_acknowledge, queue, [message.receipt for message in messages]), malformed)
        if not events:
            # A queue of many other messages takes no more than half of the time; an event is never waited for so.
            await asyncio.sleep(min(PAUSE_SECONDS, monotonic() - began))


async def _acknowledge(queue: Queue, receipts: list[str]) -> None:
    if left := await queue.delete(receipts):
        logger.warning("%d of %d messages were not deleted, and will come again", left, len(receipts))
