"""`/objects/{id}/content`: an object's bytes through the gateway, by a signed link or with an API key.

For storages with `presign: false` and providers without links of their own. Nothing is buffered: the source is read as
fast as the client reads, and closed when it goes away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from time import time

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import Message, Receive, Send
from starlette.types import Scope as AsgiScope

from gql import content_headers as headers
from gql.errors import UNAUTHENTICATED, plain_error
from resolvers import content
from resolvers.access import authenticate
from resolvers.services import Services
from sluicegate.core import errors
from sluicegate.core.actors import Scope
from sluicegate.core.errors import ErrorCode, RunError
from sluicegate.providers.base import Content

logger = logging.getLogger(__name__)

STALL_SECONDS = 60.0
"""How long a client may take for one piece (at most 1 MiB) before its connection is cut, so that its place is free."""

RETRY_SECONDS = 5


def routes(services: Services) -> list[BaseRoute]:
    """The one route. It limits the streams that are open at a time to `content_streams` of the settings."""
    return [Route("/objects/{id}/content", ContentEndpoint(services), methods=["GET"])]


def base_url(services: Services, connection: HTTPConnection) -> str:
    """What links to the gateway begin with, without a last slash: the setting, or where the request came to."""
    if services.settings.public_url:
        return services.settings.public_url.rstrip("/")
    url = str(connection.base_url).rstrip("/")
    return f"http{url[2:]}" if url.startswith("ws") else url


class StalledError(Exception):
    """The client reads too slowly."""


class BusyError(Exception):
    """All places are taken."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What to send: from `start` up to `end` of `size` bytes; all of it where `end` is None."""

    fingerprint: str | None
    size: int | None = None
    start: int = 0
    end: int | None = None


class ContentEndpoint:
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
            async with self._answer(request) as response:
                await response(scope, receive, send_in_time)
        except StalledError:
            logger.info("A client read too slowly: its connection is cut.")
        except (
            errors.UserError,
            errors.UnauthenticatedError,
            RunError,
            BusyError,
            headers.UnsatisfiableRangeError,
        ) as error:
            if started:
                # The status is sent. An answer that ends before its announced length is all that is left to say.
                logger.warning("The source failed while an object was sent.", exc_info=error)
                return
            await refusal(error, request)(scope, receive, send)

    @asynccontextmanager
    async def _answer(self, request: Request) -> AsyncGenerator[Response]:
        grant = await self._grant(request)
        with self._place():
            source = await content.find_source(self._services, grant)
            fields = _fields(grant, source)
            tag = headers.etag(source.fingerprint) if source.fingerprint is not None else None
            if tag is not None and headers.none_match(request.headers.get("if-none-match"), tag):
                yield Response(status_code=304, headers=_without_body(fields) | {"ETag": tag})
                return
            part = await self._part(request, source, tag)
            async with content.open_source(
                self._services, source, start=part.start, end=part.end, fingerprint=part.fingerprint
            ) as opened:
                yield _response(request.method, opened, part, fields)

    async def _grant(self, request: Request) -> content.Grant:
        object_id = request.path_params["id"]
        link = request.query_params.get("link")
        if link is not None:
            return await content.grant_by_link(self._services, object_id, link)
        viewer = await authenticate(
            self._services, request.headers.get("authorization"), request.headers.get("x-namespace")
        )
        if Scope.READ not in viewer.scopes:
            raise errors.ForbiddenError("The key lacks the scope READ.")
        return content.grant_by_key(viewer, object_id)

    async def _part(self, request: Request, source: content.Source, tag: str | None) -> _Part:
        wanted = request.headers.get("range")
        if wanted is None or request.method != "GET":
            return _Part(source.fingerprint)
        part = _Part(source.fingerprint, source.size)
        if part.fingerprint is None or part.size is None:
            async with content.open_source(self._services, source, fingerprint=part.fingerprint) as opened:
                part = _Part(opened.fingerprint, opened.total_size)
            tag = headers.etag(part.fingerprint) if part.fingerprint is not None else None
        condition = request.headers.get("if-range")
        if part.size is None or (condition is not None and condition.strip() != tag):
            return _Part(part.fingerprint)
        request.state.size = part.size
        span = headers.parse_range(wanted, part.size)
        return part if span is None else _Part(part.fingerprint, part.size, *span)

    @contextmanager
    def _place(self) -> Generator[None]:
        if self.open_streams >= self._services.settings.content_streams:
            raise BusyError
        self.open_streams += 1
        try:
            yield
        finally:
            self.open_streams -= 1


def _fields(grant: content.Grant, source: content.Source) -> dict[str, str]:
    kind = headers.content_type(source.mime_type)
    remaining = int(grant.link.expires - time()) if grant.link is not None else 0
    return headers.ALWAYS | {
        "Content-Type": kind,
        "Content-Disposition": headers.disposition(kind, source.path, f"object-{grant.object_id}"),
        "Cache-Control": f"private, max-age={remaining}" if remaining > 0 else "private, no-store",
        "Accept-Ranges": "bytes",
    }


def _without_body(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in fields.items() if name not in ("Content-Type", "Content-Disposition")}


def _response(method: str, opened: Content, part: _Part, fields: dict[str, str]) -> Response:
    if opened.fingerprint is not None:
        fields["ETag"] = headers.etag(opened.fingerprint)
    if part.end is not None:
        if opened.total_size not in (None, part.size):
            raise errors.ConflictError("The object has changed since it was synced.")
        fields["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{part.size}"
    if opened.size is not None:
        fields["Content-Length"] = str(opened.size)
    body = _nothing() if method == "HEAD" else opened.chunks()
    return StreamingResponse(body, 200 if part.end is None else 206, fields)


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""


def refusal(error: Exception, request: Request) -> Response:
    """The answer to a request that cannot be answered; what a source said is logged."""
    fields = headers.ALWAYS | {"Cache-Control": "no-store"}
    status, code, message = 502, ErrorCode.PROVIDER_UNAVAILABLE.value, "The source of this object cannot be read now."
    if isinstance(error, headers.UnsatisfiableRangeError):
        status, code, message = 416, ErrorCode.INVALID.value, "The range lies beyond the end of the object."
        fields["Content-Range"] = f"bytes */{request.state.size}"
    elif isinstance(error, BusyError):
        status, code, message = 503, ErrorCode.LIMIT.value, "Too many objects are being sent; try again in a moment."
        fields["Retry-After"] = str(RETRY_SECONDS)
    elif isinstance(error, errors.UnauthenticatedError):
        status, code, message = 401, UNAUTHENTICATED, error.message
        fields["WWW-Authenticate"] = "Bearer"
    elif isinstance(error, RunError):
        # What exactly the source said is for the owner of the storage (`validateStorage`), not for who has a link.
        logger.warning("An object's source cannot be read.", exc_info=error)
        code = error.code.value
        if isinstance(error, errors.RetriableError):
            status = 503
            fields["Retry-After"] = str(max(RETRY_SECONDS, int(error.retry_after or 0)))
    elif isinstance(error, errors.UserError):
        status, code, message = _STATUS.get(error.code, 400), error.code.value, error.message
    body = {"errors": [plain_error(message, code, getattr(request.state, "request_id", ""))]}
    return JSONResponse(body, status, headers=fields)


_STATUS = {ErrorCode.FORBIDDEN: 403, errors.NotFoundError.code: 404, errors.ConflictError.code: 412}
