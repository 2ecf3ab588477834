"""How a process ends that was told to: not ready any more, then its jobs hand over, then the rest."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Collection, Generator
from types import FrameType
from typing import NoReturn

from sluicegate.app.parts import Gateway

logger = logging.getLogger(__name__)

DRAIN_SECONDS = 6.0
"""How long running jobs have to come to a checkpoint and hand over."""

END_SECONDS = 9.5
"""When a process that was told to end is ended by force."""

_OF_A_SIGNAL = 128  # what a shell shows for a program that a signal ended, less the signal's number


class Ending:
    """The first signal drains; `drained` is called in the loop when the jobs have handed over.

    A second one of `at_once` ends the process at once, and so does a drain that takes longer than it may: what was not
    saved is done again from the last checkpoint.
    """

    def __init__(self, gateway: Gateway, *, at_once: Collection[int], drained: Callable[[], None]) -> None:
        self._gateway = gateway
        self._at_once = frozenset(at_once)
        self._drained = drained
        self._loop = asyncio.get_running_loop()
        self._draining: asyncio.Task[None] | None = None

    def told(self, number: int, _frame: FrameType | None = None) -> None:
        """A signal came, between two steps of the interpreter: the loop does the rest."""
        if self._gateway.draining and number in self._at_once:
            name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
            _end_now(f"Ended at once, as asked by a second {name}.", _OF_A_SIGNAL + number)
        if not self._gateway.draining:
            # A thread: it must work when the loop does not.
            watchdog = threading.Timer(END_SECONDS, _end_now, ("The process did not end in time.", 1))
            watchdog.daemon = True
            watchdog.start()
            self._gateway.draining = True
            self._loop.call_soon_threadsafe(self.drain)

    def drain(self) -> asyncio.Task[None]:
        """Begins to end; the task is done when `drained` was called. Called again, it is the same task."""
        if self._draining is None:
            self._gateway.draining = True
            self._draining = self._loop.create_task(self._drain(), name="drain")
        return self._draining

    @contextlib.contextmanager
    def signals(self) -> Generator[None]:
        """Obeys SIGINT and SIGTERM meanwhile."""
        before = {number: signal.signal(number, self.told) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def _drain(self) -> None:
        logger.info("Draining: no new jobs are taken, running ones hand over.")
        try:
            await self._gateway.services.jobs.close(within=DRAIN_SECONDS)
        finally:
            self._drained()


def _end_now(message: str, code: int) -> NoReturn:
    os.write(2, f"{message}\n".encode())
    os._exit(code)
