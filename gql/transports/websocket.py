"""graphql-transport-ws, the protocol of the npm package graphql-ws.

A connection is one task that reads, one for each running operation, and one that watches the key. Sending waits for the
client: an operation whose client does not read stands still at its newest result, and after 30 s the connection ends.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from logging import getLogger
from typing import TYPE_CHECKING, Any, cast

from starlette.websockets import WebSocketDisconnect
from strawberry.types.execution import PreExecutionError

from gql.context import Context
from gql.errors import INTERNAL, LIMIT, UNAUTHENTICATED, plain_error
from gql.transports.encoding import BadJsonError, decode, encode_text
from gql.transports.requests import Operation, RequestError, operation_of, request_id_of
from gql.transports.results import answer_of
from gql.transports.validity import until_invalid
from resolvers.access import authenticate
from sluicegate.core.errors import InvalidError, UnauthenticatedError

if TYPE_CHECKING:
    import strawberry
    from starlette.websockets import WebSocket

    from resolvers.access import Viewer
    from resolvers.services import Services

PROTOCOL = "graphql-transport-ws"
INIT_SECONDS = 10.0
SEND_SECONDS = 30.0
MAX_OPERATIONS = 100
_MAX_ID = 128
_MAX_REASON = 123
"""Bytes that a close frame has for its reason (RFC 6455, section 5.5.1)."""

_log = getLogger(__name__)


class Closing(Exception):  # noqa: N818 - not an error: how a connection ends
    """The connection is to be closed with this code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason.encode()[:_MAX_REASON].decode(errors="ignore")


class _GoneError(Exception):
    """The client has gone, or takes nothing any more."""


class Connection:
    """One WebSocket from its opening to its end."""

    def __init__(self, websocket: WebSocket, services: Services, schema: strawberry.Schema) -> None:
        self._websocket = websocket
        self._services = services
        self._schema = schema
        self._request_id = request_id_of(websocket)
        self._viewer: Viewer | None = None
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._broken = asyncio.Event()

    async def run(self) -> None:
        """Serves the connection. Ends when either side closes it."""
        offered = PROTOCOL in self._websocket.scope.get("subprotocols", [])
        await self._websocket.accept(PROTOCOL if offered else None)
        try:
            if not offered:
                raise Closing(4406, f"Subprotocol not acceptable: use {PROTOCOL}")
            try:
                async with asyncio.timeout(INIT_SECONDS):
                    viewer = await self._initialise()
            except TimeoutError:
                raise Closing(4408, "Connection initialisation timeout") from None
            await self._serve(viewer)
        except Closing as closing:
            await self._end_operations()
            with suppress(TimeoutError, RuntimeError, WebSocketDisconnect, OSError):
                async with asyncio.timeout(SEND_SECONDS):
                    await self._websocket.close(closing.code, closing.reason)
        except (WebSocketDisconnect, _GoneError):
            return
        finally:
            await self._end_operations()

    async def _initialise(self) -> Viewer:
        while True:
            message = await self._receive()
            kind = message.get("type")
            if kind == "ping":
                await self._send({"type": "pong"})
            elif kind == "connection_init":
                viewer = await self._authenticate(message.get("payload"))
                await self._send({"type": "connection_ack"})
                return viewer
            elif kind == "subscribe":
                raise Closing(4401, "Unauthorized")
            elif kind != "pong":
                raise Closing(4400, "Expected connection_init")

    async def _authenticate(self, payload: object) -> Viewer:
        if payload is None:
            payload = {}
        if not isinstance(payload, dict):
            raise Closing(4400, "The payload of connection_init must be a map")
        entries = cast("dict[str, Any]", payload).items()
        given = {name.lower(): value for name, value in entries if isinstance(value, str)}
        try:
            return await authenticate(self._services, given.get("authorization"), given.get("x-namespace"))
        except (UnauthenticatedError, InvalidError) as error:
            raise Closing(4403, f"Forbidden: {error.message}") from None

    async def _serve(self, viewer: Viewer) -> None:
        """Reads until the client goes, its key ends or it stops taking what is sent."""
        self._viewer = viewer
        reading = asyncio.create_task(self._read())
        ended = asyncio.create_task(until_invalid(self._services, viewer))
        broken = asyncio.create_task(self._broken.wait())
        try:
            done, _ = await asyncio.wait({reading, ended, broken}, return_when=asyncio.FIRST_COMPLETED)
            if reading in done:
                reading.result()
            elif ended in done:
                await self._end_for(ended.result())
        finally:
            for task in (reading, ended, broken):
                task.cancel()
            await asyncio.gather(reading, ended, broken, return_exceptions=True)

    async def _read(self) -> None:
        while True:
            await self._handle(await self._receive())

    async def _handle(self, message: dict[str, Any]) -> None:
        kind = message.get("type")
        if kind == "ping":
            await self._send({"type": "pong"})
        elif kind == "subscribe":
            await self._subscribe(_id_of(message), message.get("payload"))
        elif kind == "complete":
            task = self._operations.pop(_id_of(message), None)
            if task is not None:
                task.cancel()
        elif kind == "connection_init":
            raise Closing(4429, "Too many initialisation requests")
        elif kind != "pong":
            raise Closing(4400, "Unknown message type")

    async def _subscribe(self, number: str, payload: object) -> None:
        if number in self._operations:
            raise Closing(4409, f"Subscriber for {number} already exists")
        if len(self._tasks) >= MAX_OPERATIONS:
            text = f"A connection has at most {MAX_OPERATIONS} operations at a time."
            await self._send_error(number, [plain_error(text, LIMIT, self._request_id)])
            return
        try:
            operation = operation_of(payload)
        except RequestError as error:
            raise Closing(4400, error.message) from None
        task = asyncio.create_task(self._run(number, operation))
        self._operations[number] = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, number: str, operation: Operation) -> None:
        try:
            await self._stream(number, operation)
        except _GoneError:
            self._broken.set()
        except Exception:  # noqa: BLE001 - logged, and told to the client as what it is
            _log.exception("An operation ended with an internal error.", extra={"request_id": self._request_id})
            self._forget(number)
            await self._send_error(number, [plain_error("Internal error", INTERNAL, self._request_id)])
        finally:
            self._forget(number)

    async def _stream(self, number: str, operation: Operation) -> None:
        assert self._viewer is not None
        context = Context(self._services, self._viewer, self._websocket, self._request_id)
        results = await self._schema.stream(
            operation.query, operation.variables, context, operation_name=operation.name
        )
        async with aclosing(results):
            async for result in results:
                body = answer_of(result, context).body  # type: ignore[arg-type]  # no incremental delivery: it is off
                if isinstance(result, PreExecutionError):
                    self._forget(number)
                    await self._send_error(number, body["errors"])
                    return
                await self._send({"id": number, "type": "next", "payload": body})
                await asyncio.sleep(0)  # a generator that is always ready would keep the loop from everyone else
        self._forget(number)  # the id is free again as soon as the client reads `complete`
        await self._send({"id": number, "type": "complete"})

    def _forget(self, number: str) -> None:
        if self._operations.get(number) is asyncio.current_task():
            del self._operations[number]

    async def _end_for(self, error: UnauthenticatedError) -> None:
        """Tells every operation that the key has ended, then closes."""
        numbers = list(self._operations)
        await self._end_operations()
        for number in numbers:
            await self._send_error(number, [plain_error(error.message, UNAUTHENTICATED, self._request_id)])
        raise Closing(4403, f"Forbidden: {error.message}")

    async def _end_operations(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._operations.clear()

    async def _receive(self) -> dict[str, Any]:
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code") or 1005)
        text = message.get("text")
        if text is None:
            raise Closing(4400, "Messages must be text")
        if len(text) > self._services.settings.max_body_bytes:
            raise Closing(1009, "The message is too large")
        try:
            value = decode(text)
        except BadJsonError:
            raise Closing(4400, "Messages must be JSON") from None
        if not isinstance(value, dict):
            raise Closing(4400, "Messages must be JSON objects")
        return cast("dict[str, Any]", value)

    async def _send_error(self, number: str, errors: list[Any]) -> None:
        await self._send({"id": number, "type": "error", "payload": errors})

    async def _send(self, message: dict[str, Any]) -> None:
        text = encode_text(message)
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._websocket.send_text(text)
        except (WebSocketDisconnect, TimeoutError, OSError, RuntimeError):
            # RuntimeError is Starlette's: the socket was closed by us meanwhile.
            raise _GoneError from None


def _id_of(message: dict[str, Any]) -> str:
    number = message.get("id")
    if not isinstance(number, str) or not 1 <= len(number) <= _MAX_ID:
        raise Closing(4400, f"An operation's id is a string of 1 to {_MAX_ID} characters")
    return number
