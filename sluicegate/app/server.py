"""The HTTP server of a gateway, and how it ends: readiness first, then the jobs, then the sockets, then the parts."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Collection, Generator
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from sluicegate.app.ending import Ending
from sluicegate.app.parts import Gateway
from sluicegate.app.protocol import LimitedHttpProtocol
from sluicegate.core.errors import ConfigurationError

GRACE_SECONDS = 2
"""How long responses have to end once the sockets were told. With the parts' own closing, all is over within 10 s."""

_WS_MESSAGE_BYTES = 1_048_576
_WS_QUEUE = 16


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

    `at_once`: the signals of which a second one ends the process at once.
    """

    def __init__(
        self, app: Starlette, *, take_signals: bool = True, at_once: Collection[int] = (signal.SIGINT,)
    ) -> None:
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
        gateway: Gateway = app.state.gateway
        self._ending = Ending(gateway, at_once=at_once, drained=self._exit)
        self._take_signals = take_signals
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listens; `listening` is set from then on."""
        await super().startup(sockets)
        self.listening.set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal came."""
        self._ending.told(sig, frame)

    def drain(self) -> asyncio.Task[None]:
        """Begins to end; the task is done when the sockets are about to be told. Called again, it is the same task."""
        return self._ending.drain()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """As uvicorn's, but a signal that was obeyed is not raised again: a drained gateway exits with 0."""
        with self._ending.signals() if self._take_signals else contextlib.nullcontext():
            yield

    def _exit(self) -> None:
        self.should_exit = True
