"""When a message is tried again, and whose turn it is."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping

from models.delivery_attempts import Waiting

AT_A_TIME = 16
PER_CONFIG = 4
IN_TROUBLE = AT_A_TIME // 2
"""Of the places, so many at most for configurations in trouble: dead receivers hold up only each other."""

WAITS_SECONDS = (5.0, 30.0, 120.0, 600.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0)
"""Before the second attempt, the third, …: nine attempts in 18 hours and a half. Near the specification's example."""
MAX_ATTEMPTS = len(WAITS_SECONDS) + 1
_MAX_REMEMBERED = 10_000


def wait_after(attempts: int, retry_after: float | None) -> float | None:
    """Seconds until the next attempt after so many, or None: there is none. Never less than the receiver asked for.

    Spread by a fifth: what failed together is not tried again together.
    """
    if attempts >= MAX_ATTEMPTS:
        return None
    wait = WAITS_SECONDS[attempts - 1] * random.uniform(1.0, 1.2)  # noqa: S311 - jitter, not a secret
    return max(wait, retry_after or 0.0)


class Turns:
    """Who has how many of the places, and who gets the free ones."""

    def __init__(self) -> None:
        self._busy: dict[int, int] = {}
        self._troubled: dict[int, None] = {}

    @property
    def busy(self) -> int:
        """Attempts under way."""
        return sum(self._busy.values())

    def begin(self, config_id: int) -> None:
        """An attempt takes a place."""
        self._busy[config_id] = self._busy.get(config_id, 0) + 1

    def end(self, config_id: int, *, well: bool) -> None:
        """It gives it back. `well`: its receiver answered as it should, in good time."""
        self._busy[config_id] -= 1
        if not self._busy[config_id]:
            del self._busy[config_id]
        self._troubled.pop(config_id, None)
        if not well:
            self._troubled[config_id] = None
            if len(self._troubled) > _MAX_REMEMBERED:
                del self._troubled[next(iter(self._troubled))]

    def share(self, due: Iterable[Waiting]) -> dict[int, int]:
        """Of the free places, how many each configuration may take now: the longest waiting first, one each in turn.

        A configuration in trouble (its last attempt did not go well) gets one, and all such together `IN_TROUBLE`.
        """
        queue = [item.config_id for item in sorted(due, key=lambda item: item.due_at)]
        shares: dict[int, int] = {}
        for place in range(PER_CONFIG):
            for config_id in queue:
                if shares.get(config_id, 0) == place and self._has_room(config_id, shares):
                    shares[config_id] = place + 1
        return shares

    def _has_room(self, config_id: int, shares: Mapping[int, int]) -> bool:
        """Whether the configuration may have one place more, besides what is busy and already shared out."""
        taken = {one: self._busy.get(one, 0) + shares.get(one, 0) for one in {*self._busy, *shares, config_id}}
        if sum(taken.values()) >= AT_A_TIME:
            return False
        if config_id not in self._troubled:
            return taken[config_id] < PER_CONFIG
        return taken[config_id] < 1 and sum(taken[one] for one in taken if one in self._troubled) < IN_TROUBLE
