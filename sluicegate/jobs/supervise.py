"""Keeps a loop of the process going."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

logger = logging.getLogger(__name__)

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0


async def supervise(
    name: str, loop: Callable[[], Awaitable[None]], closing: asyncio.Event, restarted: asyncio.Event
) -> None:
    """Runs `loop` until `closing`. When it ends before, again, after a wait that doubles up to 30 s.

    `restarted` is set each time: whoever lost something with the loop that failed looks again.
    """
    wait = FIRST_WAIT_SECONDS
    clock = asyncio.get_running_loop().time
    while not closing.is_set():
        began = clock()
        try:
            await loop()
        except Exception:
            logger.exception("The jobs' %s failed and is started again", name)
        if clock() - began > 2 * LONGEST_WAIT_SECONDS:
            wait = FIRST_WAIT_SECONDS
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await closing.wait()
        wait = min(LONGEST_WAIT_SECONDS, wait * 2)
        restarted.set()
