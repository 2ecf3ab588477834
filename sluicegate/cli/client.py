"""A small GraphQL client for the commands that act on a running gateway: HTTP, and graphql-transport-ws to watch."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Self

import aiohttp

from sluicegate.cli.output import CommandFailedError, UnreachableError

PROTOCOL = "graphql-transport-ws"
"""https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md"""

ANSWER_SECONDS = 60.0
HEARTBEAT_SECONDS = 15.0
OUTAGE_SECONDS = 30.0
"""How long a watched gateway may be away before we give up: it restarts in seconds and tells the state again."""

_MAX_MESSAGE = 4 * 1024 * 1024
_REFUSED = range(4400, 4500)


class GatewayClient:
    """One gateway, one key. Used with `async with`."""

    def __init__(self, url: str, key: str | None, namespace: str | None = None) -> None:
        self._url = url.rstrip("/").removesuffix("/graphql") + "/graphql"
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        if namespace:
            self._headers["X-Namespace"] = namespace
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS, connect=5))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def execute(self, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The data of an operation. Raises UnreachableError, and CommandFailedError for the errors in the answer."""
        body = {"query": query, "variables": dict(variables or {})}
        headers = {**self._headers, "Accept": "application/graphql-response+json, application/json;q=0.9"}
        try:
            async with self._open.post(self._url, json=body, headers=headers) as response:
                answer = json.loads(await response.text())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreachable(error) from None
        except ValueError:
            raise UnreachableError(
                f"{self._url} does not answer as a Sluicegate gateway does.", hint="Check --url or SLUICEGATE_URL."
            ) from None
        return _data(answer)

    async def subscribe(self, query: str, variables: Mapping[str, Any] | None = None) -> AsyncGenerator[dict[str, Any]]:
        """The data of each event until the subscription completes, across restarts of the gateway.

        Raises UnreachableError when it is away for more than 30 s.
        """
        payload = {"query": query, "variables": dict(variables or {})}
        loop = asyncio.get_running_loop()
        seen = loop.time()
        while True:
            try:
                async for data in self._subscribe_once(payload):
                    seen = loop.time()
                    yield data
            except (aiohttp.ClientError, TimeoutError, OSError, _LostError) as error:
                if loop.time() - seen > OUTAGE_SECONDS:
                    raise self._unreachable(error) from None
                await asyncio.sleep(0.5)
            else:
                return

    async def _subscribe_once(self, payload: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        async with self._open.ws_connect(
            self._url, protocols=(PROTOCOL,), heartbeat=HEARTBEAT_SECONDS, max_msg_size=_MAX_MESSAGE
        ) as socket:
            await socket.send_json({"type": "connection_init", "payload": self._headers})
            while (await _receive(socket))["type"] != "connection_ack":
                pass
            await socket.send_json({"type": "subscribe", "id": "1", "payload": payload})
            while True:
                message = await _receive(socket)
                match message["type"]:
                    case "next":
                        yield _data(message["payload"])
                    case "error":
                        raise _failure(message["payload"])
                    case "complete":
                        return
                    case "ping":
                        await socket.send_json({"type": "pong"})
                    case _:
                        pass

    @property
    def _open(self) -> aiohttp.ClientSession:
        assert self._session is not None
        return self._session

    def _unreachable(self, error: BaseException) -> UnreachableError:
        detail = str(error) or type(error).__name__
        return UnreachableError(
            f"No gateway answers at {self._url}: {detail}.",
            hint="Is it running? Give its address with --url or SLUICEGATE_URL.",
        )


class _LostError(Exception):
    """The socket ended before the subscription did."""


async def _receive(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    message = await socket.receive()
    if message.type is aiohttp.WSMsgType.TEXT:
        return json.loads(message.data)
    if socket.close_code in _REFUSED:
        raise CommandFailedError(
            f"The gateway closed the connection: {message.extra or socket.close_code}.",
            hint="Is the key valid? Give it with --key or SLUICEGATE_KEY.",
        )
    raise _LostError("The connection was lost.")


def _data(answer: Mapping[str, Any]) -> dict[str, Any]:
    if answer.get("errors"):
        raise _failure(answer["errors"])
    return answer["data"]


def _failure(errors: Sequence[Mapping[str, Any]]) -> CommandFailedError:
    first = errors[0]
    extensions: Mapping[str, Any] = first.get("extensions") or {}
    hint = extensions.get("hint")
    if extensions.get("code") == "UNAUTHENTICATED":
        hint = hint or "Give a key with --key or SLUICEGATE_KEY; `sluicegate keys create` makes one."
    return CommandFailedError(str(first.get("message", "The gateway refused the operation.")), hint=hint)
