"""uvicorn's HTTP protocol with limits on a request's head, which it reads without any: anybody could fill the memory.

Before a request is a request nothing else looks at it: no key, no route, no limit of the body.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 65_536
"""Of the request line and the headers together, and of what is behind a chunked body."""

HEAD_SECONDS = 15.0
"""From the connection, or a request's first byte, to the end of its head."""

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-type: text/plain; charset=utf-8\r\ncontent-length: 32\r\nconnection: close\r\n\r\n"
    b"The request's head is too large."
)


class _HeadTooLargeError(Exception):
    """The head passes its limit."""


class LimitedHttpProtocol(HttpToolsProtocol):
    """Ends connections whose request's head is larger than 64 KiB (431) or takes longer than 15 s."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._size = 0  # of the head so far, as the parser gave it
        self._held = 0  # received since the parser last finished something: it keeps an unfinished header itself
        self._finished = False
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """A client is here."""
        super().connection_made(transport)
        self._start_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes came in."""
        self._finished = False
        super().data_received(data)
        self._held = 0 if self._finished else self._held + len(data)
        if self._held > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse()

    def send_400_response(self, msg: str) -> None:
        """The parser refused the bytes, or one of the limits did."""
        if self._size > MAX_HEAD_BYTES:
            self._refuse()
        else:
            super().send_400_response(msg)

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._size = 0
        if self._deadline is None:
            self._start_clock()

    def on_url(self, url: bytes) -> None:
        """A piece of the request line."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer behind a chunked body."""
        self._count(len(name) + len(value) + 4)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The end of the head."""
        self._finished = True
        self._stop_clock()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of the body; its own limits are the routes'."""
        self._finished = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The end of a request."""
        self._finished = True
        super().on_message_complete()

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > MAX_HEAD_BYTES:
            raise _HeadTooLargeError

    def _refuse(self) -> None:
        self.transport.write(_TOO_LARGE)
        self.transport.close()

    def _start_clock(self) -> None:
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()
