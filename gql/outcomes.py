"""`/jobs/{id}/outcomes`: what became of each record of a run, as NDJSON, by a signed link or with an API key.

Nothing is buffered: the outcomes are read a page at a time, as fast as the client takes them.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, contextmanager

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import Message, Receive, Send
from starlette.types import Scope as AsgiScope

from gql import content_headers as headers
from gql.content import STALL_SECONDS, BusyError, StalledError, refusal
from resolvers import outcomes
from resolvers.access import authenticate
from resolvers.services import Services
from sluicegate.core import errors
from sluicegate.core.actors import Scope

logger = logging.getLogger(__name__)

NDJSON = "application/x-ndjson"
MAX_STREAMS = 16
"""Downloads under way at a time in this process."""


def routes(services: Services) -> list[BaseRoute]:
    """The one route."""
    return [Route("/jobs/{id}/outcomes", OutcomesEndpoint(services), methods=["GET"])]


class OutcomesEndpoint:
    """The ASGI application of the route."""

    def __init__(self, services: Services, *, stall_seconds: float = STALL_SECONDS) -> None:
        self._services = services
        self._stall_seconds = stall_seconds
        self.open_streams = 0

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Answers one GET or HEAD."""
        request = Request(scope, receive)
        started = False

        async def send_in_time(message: Message) -> None:
            nonlocal started
            started = True
            try:
                async with asyncio.timeout(self._stall_seconds):
                    await send(message)
            except TimeoutError:
                raise StalledError from None

        try:
            with self._place():
                grant = await self._grant(request)
                response = await self._answer(request, grant)
                await response(scope, receive, send_in_time)
        except StalledError:
            logger.info("A client read too slowly: its connection is cut.")
        except (errors.UserError, errors.UnauthenticatedError, BusyError) as error:
            if started:
                # The status is sent: an answer that breaks off is all that is left to say.
                logger.info("A download of outcomes was broken off: %s", error)
                return
            await refusal(error, request)(scope, receive, send)

    async def _grant(self, request: Request) -> outcomes.Grant:
        job_id = request.path_params["id"]
        link = request.query_params.get("link")
        if link is not None:
            return await outcomes.grant_by_link(self._services, job_id, link)
        viewer = await authenticate(
            self._services, request.headers.get("authorization"), request.headers.get("x-namespace")
        )
        if Scope.READ not in viewer.scopes:
            raise errors.ForbiddenError("The key lacks the scope READ.")
        return outcomes.grant_by_key(viewer, job_id)

    async def _answer(self, request: Request, grant: outcomes.Grant) -> Response:
        job = await outcomes.find_job(self._services, grant)
        fields = headers.ALWAYS | {
            "Content-Type": NDJSON,
            "Content-Disposition": f'attachment; filename="outcomes-{job.run_id}.ndjson"',
            "Cache-Control": "private, no-store",
            "Vary": "Accept-Encoding",
        }
        zipped = _takes_gzip(request.headers.get("accept-encoding", ""))
        if zipped:
            fields["Content-Encoding"] = "gzip"
        if request.method == "HEAD":
            return Response(headers=fields)
        body = outcomes.lines(self._services, grant)
        return StreamingResponse(_gzip(body) if zipped else body, headers=fields)

    @contextmanager
    def _place(self) -> Generator[None]:
        if self.open_streams >= MAX_STREAMS:
            raise BusyError
        self.open_streams += 1
        try:
            yield
        finally:
            self.open_streams -= 1


async def _gzip(body: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    async with aclosing(body) as pieces:
        async for piece in pieces:
            packed = packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH)
            yield packed
    yield packer.flush()


def _takes_gzip(header: str) -> bool:
    """Whether Accept-Encoding asks for gzip (RFC 9110, 12.5.3): named, and not with a weight of 0."""
    for item in header.lower().split(","):
        name, _, weight = item.partition(";")
        if name.strip() == "gzip":
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
