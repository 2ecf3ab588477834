"""Ceilings that a storage's owner sets on requests and bytes a second: token buckets with a burst of one second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic


class Bucket:
    """`rate` tokens a second, at most one second's worth saved up; None: no ceiling.

    A take beyond what is there is granted at once and paid by the next ones, so a chunk larger than the bucket works.
    """

    def __init__(self, rate: float | None, clock: Callable[[], float] = monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._level = max(rate or 0.0, 1.0)
        self._seen = clock()

    def delay(self, amount: float) -> float:
        """Takes `amount` and says how many seconds to wait before going on."""
        if self._rate is None:
            return 0.0
        time = self._clock()
        self._level = min(max(self._rate, 1.0), self._level + (time - self._seen) * self._rate) - amount
        self._seen = time
        return max(0.0, -self._level / self._rate)


class Throttle:
    """The two ceilings of one open provider."""

    def __init__(self, requests_per_second: float | None = None, bytes_per_second: int | None = None) -> None:
        self._requests = Bucket(requests_per_second)
        self._bytes = Bucket(bytes_per_second)

    async def request(self) -> None:
        """Waits until one more request may be made."""
        if (delay := self._requests.delay(1)) > 0:
            await asyncio.sleep(delay)

    async def transferred(self, size: int) -> None:
        """Counts bytes that came, and waits as long as they should have taken."""
        if (delay := self._bytes.delay(size)) > 0:
            await asyncio.sleep(delay)
