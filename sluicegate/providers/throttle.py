"""Ceilings that a storage's owner sets on requests and bytes a second: token buckets with a burst of one second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from weakref import WeakValueDictionary


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
        self._fill(self._rate)
        self._level -= amount
        return max(0.0, -self._level / self._rate)

    def set_rate(self, rate: float | None) -> None:
        """Another ceiling from now on. What was taken beyond the old one is paid at the new rate."""
        if rate == self._rate:
            return
        if self._rate is not None:
            self._fill(self._rate)
        elif rate is not None:
            self._level, self._seen = max(rate, 1.0), self._clock()
        self._rate = rate

    def _fill(self, rate: float) -> None:
        time = self._clock()
        self._level = min(max(rate, 1.0), self._level + (time - self._seen) * rate)
        self._seen = time


class Throttle:
    """The two ceilings of one storage: requests, and bytes of bodies that come."""

    def __init__(
        self,
        requests_per_second: float | None = None,
        bytes_per_second: int | None = None,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._requests = Bucket(requests_per_second, clock)
        self._bytes = Bucket(bytes_per_second, clock)

    def set_rates(self, requests_per_second: float | None, bytes_per_second: int | None) -> None:
        """Other ceilings from now on, for whoever uses this."""
        self._requests.set_rate(requests_per_second)
        self._bytes.set_rate(bytes_per_second)

    async def request(self) -> None:
        """Waits until one more request may be made."""
        if (delay := self._requests.delay(1)) > 0:
            await asyncio.sleep(delay)

    async def transferred(self, size: int) -> None:
        """Counts bytes that came, and waits as long as they should have taken."""
        if (delay := self._bytes.delay(size)) > 0:
            await asyncio.sleep(delay)


class Throttles:
    """The throttles in use, one for each storage: all that this process has open of a storage is under its ceilings."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._in_use: WeakValueDictionary[int, Throttle] = WeakValueDictionary()

    def __len__(self) -> int:
        """How many storages are in use."""
        return len(self._in_use)

    def of(self, storage_id: int, requests_per_second: float | None, bytes_per_second: int | None) -> Throttle:
        """The storage's throttle, from now on with these ceilings. It is forgotten when nobody holds it any more."""
        throttle = self._in_use.get(storage_id)
        if throttle is None:
            throttle = self._in_use[storage_id] = Throttle(requests_per_second, bytes_per_second, clock=self._clock)
        else:
            throttle.set_rates(requests_per_second, bytes_per_second)
        return throttle
