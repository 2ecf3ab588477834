"""How fast a run asks its source: together as fast as it lets us, and silent together when it says so."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import TypeVar

from sluicegate.core.errors import RetriableError, ThrottledError

T = TypeVar("T")

MAX_CONCURRENT = 16
ATTEMPTS = 4
"""The first try and 3 retries. Being told to slow down uses none of them up."""
MAX_WAIT_SECONDS = 60.0
GROW_AFTER = 8
"""So many answers in a row allow one request more at once."""
_SHORT_SECONDS = 0.1


class Pace:
    """The requests of one run.

    A source that says "slow down" is left alone by all of the run until the time that it asks for is over, and is then
    asked half as much at once; what succeeds brings that back, one by one. `wait`: waits so many seconds, and raises
    when the run is to end instead; `hit`: counts a word of the source.
    """

    def __init__(self, wait: Callable[[float], Awaitable[None]], hit: Callable[[], None]) -> None:
        self._wait = wait
        self._hit = hit
        self._limit = MAX_CONCURRENT
        self._busy = 0
        self._row = 0
        self._quiet_until = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def limit(self) -> int:
        """How many requests may be under way at once."""
        return self._limit

    @asynccontextmanager
    async def slot(self) -> AsyncGenerator[None]:
        """For one request and all that comes of it. A ThrottledError that leaves it slows the run."""
        await self._take()
        try:
            yield
        except ThrottledError as error:
            self.slow_down(error)
            raise
        else:
            self._succeed()
        finally:
            self._busy -= 1
            self._wake()

    async def back_off(self, attempt: int, error: RetriableError) -> None:
        """The wait before attempt `attempt` + 1 (from 0): exponential with jitter, and what the source asked for."""
        wait = min(MAX_WAIT_SECONDS, 0.5 * 2**attempt) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret
        wait = min(MAX_WAIT_SECONDS, max(wait, error.retry_after or 0.0))
        if isinstance(error, ThrottledError):
            self._quiet_until = max(self._quiet_until, monotonic() + wait)
        await self._wait(wait)

    async def call(self, request: Callable[[], Awaitable[T]]) -> T:
        """What the request answers. Raises what it raises, RetriableError after ATTEMPTS."""
        attempt = throttled = 0
        while True:
            try:
                async with self.slot():
                    return await request()
            except ThrottledError as error:
                await self.back_off(min(throttled, 7), error)
                throttled += 1
            except RetriableError as error:
                attempt += 1
                if attempt >= ATTEMPTS:
                    raise
                await self.back_off(attempt - 1, error)

    def slow_down(self, error: ThrottledError) -> None:
        """The source said so: counted, and heard by all."""
        self._hit()
        self._row = 0
        # Those that were under way together are told together: that halves once, not ten times.
        if monotonic() >= self._quiet_until:
            self._limit = max(1, self._limit // 2)
        wait = min(MAX_WAIT_SECONDS, error.retry_after or _SHORT_SECONDS)
        self._quiet_until = max(self._quiet_until, monotonic() + wait)

    def _succeed(self) -> None:
        self._row += 1
        if self._row >= GROW_AFTER and self._limit < MAX_CONCURRENT:
            self._limit, self._row = self._limit + 1, 0

    async def _take(self) -> None:
        while True:
            while self._busy >= self._limit:
                turn = asyncio.get_running_loop().create_future()
                self._waiting.append(turn)
                try:
                    await turn
                except asyncio.CancelledError:
                    self._wake()
                    raise
            left = self._quiet_until - monotonic()
            if left <= 0:
                self._busy += 1
                return
            await self._wait(left)

    def _wake(self) -> None:
        for _ in range(self._limit - self._busy):
            while self._waiting:
                turn = self._waiting.popleft()
                if not turn.done():
                    turn.set_result(None)
                    break
