"""Each request gets an id, a line in the access log and a place in the metrics."""

from __future__ import annotations

import logging
import re
import time
from urllib.parse import quote
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sluicegate.core import metrics, tracing
from sluicegate.core.logging import bind

logger = logging.getLogger("sluicegate.access")

REQUEST_ID = "X-Request-ID"
_GIVEN_ID = re.compile(r"[A-Za-z0-9_.:-]{8,64}")
_METHODS = frozenset({"GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"})
_ROUTES = frozenset({"graphql", "objects", "exports", "static", "healthz", "readyz", "metrics"})
_PROBES = frozenset({"healthz", "readyz", "metrics"})
_NO_RESPONSE = 499  # nginx's number for a client that went away before it had an answer


class Observe:
    """The outermost middleware. Paths are logged without their query: signatures and keys may be in it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes requests and WebSockets on, observed."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = given if _GIVEN_ID.fullmatch(given) else uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        with bind(request_id=request_id):
            exchange = _Exchange(scope, send, request_id)
            if scope["type"] == "websocket":  # open for hours: what is asked over one is no part of it
                await exchange.run(self._app, receive)
                return
            method, route = exchange.kind
            parent = Headers(scope=scope).get(tracing.TRACEPARENT)
            with tracing.span(f"{method} /{route}", "SERVER", parent=parent, http_request_method=method):
                await exchange.run(self._app, receive)


class _Exchange:
    """One request and its response, or one WebSocket from its opening to its end."""

    def __init__(self, scope: Scope, send: Send, request_id: str) -> None:
        self._scope = scope
        self._send = send
        self._request_id = request_id
        self._status = _NO_RESPONSE
        self._started = time.perf_counter()

    @property
    def kind(self) -> tuple[str, str]:
        """(method, first segment of the path), each of a short fixed list."""
        method, path = self._scope.get("method", ""), self._scope["path"]
        first = path.split("/", 2)[1] if path.startswith("/") else ""
        return method if method in _METHODS else "OTHER", first if first in _ROUTES else "other"

    async def run(self, app: ASGIApp, receive: Receive) -> None:
        try:
            await app(self._scope, receive, self._observe)
        except Exception:
            self._status = 500
            raise
        finally:
            self._finish()

    async def _observe(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            self._status = message["status"]
            MutableHeaders(scope=message)[REQUEST_ID] = self._request_id
        elif kind == "websocket.accept":
            self._status = 101
            metrics.WEBSOCKETS.inc()
        elif kind == "websocket.close" and self._status == _NO_RESPONSE:
            self._status = 403
        await self._send(message)

    def _finish(self) -> None:
        seconds = time.perf_counter() - self._started
        path: str = self._scope["path"]
        # Decoded, it may hold line feeds and a terminal's escapes: lines of a log that nobody wrote.
        shown = quote(path[:512], safe="/:@!$&'()*+,;=~-._")[:512]
        websocket = self._scope["type"] == "websocket"
        method = "WEBSOCKET" if websocket else self._scope["method"]
        known, route = self.kind
        if not websocket:
            metrics.HTTP_SECONDS.labels(known, route, f"{self._status // 100}xx").observe(seconds)
        client = self._scope.get("client")
        logger.log(
            logging.DEBUG if route in _PROBES and self._status < 400 else logging.INFO,
            "%s %s",
            method,
            shown,
            extra={
                "method": method,
                "path": shown,
                "status": self._status,
                "milliseconds": round(seconds * 1000, 1),
                "client": client[0] if client else None,
            },
        )
