"""The HTTP server of a gateway, and how it ends: readiness first, then the jobs, then the sockets, then the parts."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Generator
from types import FrameType
from typing import NoReturn

import uvicorn
from starlette.applications import Starlette

from sluicegate.app.parts import Gateway
from sluicegate.app.protocol import LimitedHttpProtocol
from sluicegate.core.errors import ConfigurationError

logger = logging.getLogger(__name__)

DRAIN_SECONDS = 6.0
"""How long running jobs have to come to a checkpoint and hand over."""

GRACE_SECONDS = 2
"""How long responses have to end once the sockets were told. With the parts' own closing, all is over within 10 s."""

END_SECONDS = 9.5
"""When a process that was told to end is ended by force."""

_WS_MESSAGE_BYTES = 1_048_576
_WS_QUEUE = 16
_INTERRUPTED = 130  # what a shell shows for a program that Ctrl-C ended


def bind(host: str, port: int) -> socket.socket:
    """A TCP socket for the server. Port 0: one that is free. Raises ConfigurationError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigurationError(f"The host {host!r} is not an address of this machine: {error.strerror}.") from None
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise ConfigurationError(
            f"Port {port} of {host} cannot be used: {error.strerror}.",
            hint="Give another with --port; --port 0 takes one that is free.",
        ) from None
    return bound


def base_url(bound: socket.socket) -> str:
    """The address of a bound socket for a browser on this machine."""
    host, port = bound.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared with, not listened on
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class GatewayServer(uvicorn.Server):
    """uvicorn with our way to end. `take_signals`: SIGINT and SIGTERM drain; without, only `drain` ends it.

    The first signal drains. A second Ctrl-C ends the process at once, and so does a drain that takes longer than it
    may: what was not saved is done again from the last checkpoint.
    """

    def __init__(self, app: Starlette, *, take_signals: bool = True) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                lifespan="off",
                http=LimitedHttpProtocol,
                ws="websockets-sansio",
                ws_per_message_deflate=False,
                ws_max_size=_WS_MESSAGE_BYTES,
                ws_max_queue=_WS_QUEUE,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self._gateway: Gateway = app.state.gateway
        self._take_signals = take_signals
        self._loop = asyncio.get_running_loop()
        self._draining: asyncio.Task[None] | None = None
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listens; `listening` is set from then on."""
        await super().startup(sockets)
        self.listening.set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """A signal came, between two steps of the interpreter: the loop does the rest."""
        if self._gateway.draining and sig == signal.SIGINT:
            _end_now("Ended at once, as asked by a second Ctrl-C.", _INTERRUPTED)
        if not self._gateway.draining:
            # A thread: it must work when the loop does not.
            watchdog = threading.Timer(END_SECONDS, _end_now, ("The gateway did not end in time.", 1))
            watchdog.daemon = True
            watchdog.start()
            self._gateway.draining = True
            self._loop.call_soon_threadsafe(self.drain)

    def drain(self) -> asyncio.Task[None]:
        """Begins to end; the task is done when the sockets are about to be told. Called again, it is the same task."""
        if self._draining is None:
            self._gateway.draining = True
            self._draining = self._loop.create_task(self._drain(), name="drain")
        return self._draining

    async def _drain(self) -> None:
        logger.info("Draining: no new jobs are taken, running ones hand over.")
        try:
            await self._gateway.services.jobs.close(within=DRAIN_SECONDS)
        finally:
            self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """As uvicorn's, but a signal that was obeyed is not raised again: a drained gateway exits with 0."""
        if not self._take_signals:
            yield
            return
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _end_now(message: str, code: int) -> NoReturn:
    os.write(2, f"{message}\n".encode())
    os._exit(code)
