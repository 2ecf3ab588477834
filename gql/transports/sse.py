"""Results as server-sent events: graphql-sse, distinct connections mode.

Every result is `event: next`, the end `event: complete`; errors found before execution come as a result, with status
200. A comment now and then keeps proxies from closing a quiet stream. What the client does not take waits: at most one
result is in memory here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from gql.errors import UNAUTHENTICATED, plain_error
from gql.transports.encoding import encode
from gql.transports.results import answer_of
from gql.transports.validity import until_invalid

if TYPE_CHECKING:
    from starlette.types import Receive, Send

    from gql.context import Context

KEEP_ALIVE_SECONDS = 12.0
SEND_SECONDS = 30.0
"""A client that takes nothing for so long is gone."""

HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),  # nginx would hold events back
    (b"x-content-type-options", b"nosniff"),
]
_KEEP_ALIVE = b":\n\n"
_COMPLETE = b"event: complete\ndata:\n\n"


async def serve_events(results: AsyncIterator[Any], context: Context, receive: Receive, send: Send) -> None:
    """Sends results until they end, the client goes, or its key ends; then closes the generator behind them."""
    # The client closing its connection is all that can still come in.
    gone = asyncio.create_task(_until_disconnect(receive))
    ended = asyncio.create_task(until_invalid(context.services, context.viewer))
    upcoming: asyncio.Task[Any] | None = None
    try:
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await _send(send, _KEEP_ALIVE)  # headers reach the client now, not with the first result
        while True:
            upcoming = upcoming or asyncio.ensure_future(_next(results))
            done, _ = await asyncio.wait(
                {gone, ended, upcoming}, timeout=KEEP_ALIVE_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            if gone in done:
                return
            if ended in done:
                error = plain_error(ended.result().message, UNAUTHENTICATED, context.request_id)
                await _send(send, _event({"errors": [error]}))
                break
            if not done:
                await _send(send, _KEEP_ALIVE)
                continue
            result, upcoming = upcoming.result(), None
            if result is None:
                break
            await _send(send, _event(answer_of(result, context).body))
        await _send(send, _COMPLETE)
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    except (TimeoutError, OSError):
        return  # the client takes nothing any more
    finally:
        await _stop([gone, ended, upcoming])
        close = getattr(results, "aclose", None)
        if close is not None:
            await close()


async def _next(results: AsyncIterator[Any]) -> Any | None:
    return await anext(results, None)


async def _send(send: Send, data: bytes) -> None:
    async with asyncio.timeout(SEND_SECONDS):
        await send({"type": "http.response.body", "body": data, "more_body": True})


async def _until_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _stop(tasks: list[asyncio.Task[Any] | None]) -> None:
    running = [task for task in tasks if task is not None]
    for task in running:
        task.cancel()
    for task in running:
        with suppress(asyncio.CancelledError, Exception):
            await task


def _event(body: dict[str, Any]) -> bytes:
    return b"event: next\ndata: " + encode(body) + b"\n\n"
