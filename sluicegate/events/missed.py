"""What this process has to read because no message tells it: single rows, or everything that is watched."""

from __future__ import annotations

import asyncio

MAX_ROWS = 1_000
"""Of more rows than this it is not kept which: everything is read."""

Row = tuple[str, int]


class Missed:
    """A memory of rows, by topic and id, and an alarm for the one who reads them."""

    def __init__(self) -> None:
        self._rows: set[Row] = set()
        self._everything = False
        self._alarm = asyncio.Event()

    def everything(self) -> None:
        """Anything may have been missed."""
        self._everything = True
        self._alarm.set()

    def row(self, topic: str, number: int) -> None:
        """This row has changed, and nobody said how."""
        self._rows.add((topic, number))
        if len(self._rows) > MAX_ROWS:
            self._everything = True
        self._alarm.set()

    async def wait(self, seconds: float | None) -> bool:
        """Until there is something; False when there is nothing after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                return await self._alarm.wait()
        except TimeoutError:
            return False

    def take(self) -> set[Row] | None:
        """What to read, None for everything; it is forgotten here."""
        rows = None if self._everything else self._rows
        self._rows, self._everything = set(), False
        self._alarm.clear()
        return rows
