"""The events of a bucket from its queue, until whoever listens stops."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from functools import partial
from time import monotonic

from sluicegate.providers.base import EventBatch, ObjectEvent
from sluicegate.providers.s3.notices import read_message
from sluicegate.providers.s3.queue import Queue

logger = logging.getLogger(__name__)

WAIT_SECONDS = 20
"""The longest that SQS waits for a message."""
PAUSE_SECONDS = 1.0
"""Between two empty answers of a queue that does not wait."""


async def listen(queue: Queue, bucket: str, prefix: bytes) -> AsyncGenerator[EventBatch, None]:
    """A batch for each answer with messages, also when none of them is an event. Raises RunError."""
    while True:
        asked = monotonic()
        messages = await queue.receive(WAIT_SECONDS)
        if not messages:
            if monotonic() - asked < PAUSE_SECONDS:
                await asyncio.sleep(PAUSE_SECONDS)
            continue
        events: list[ObjectEvent] = []
        malformed = 0
        for message in messages:
            found, understood = read_message(message.body, bucket, prefix)
            events += found
            malformed += not understood
        if malformed:
            logger.warning("%d of %d messages of the queue of %s are no events of S3", malformed, len(messages), bucket)
        yield EventBatch(events, partial(_acknowledge, queue, [message.receipt for message in messages]), malformed)


async def _acknowledge(queue: Queue, receipts: list[str]) -> None:
    if left := await queue.delete(receipts):
        logger.warning("%d of %d messages were not deleted, and will come again", left, len(receipts))
