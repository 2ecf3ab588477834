"""/graphql: POST, GET, server-sent events, WebSocket, and GraphiQL for browsers.

Nothing is answered without a key, and a key comes in a header (or in `connection_init`), which no page of another
origin can send unless CORS allows it: requests that a browser makes by itself (forms, images, links) carry none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket
from strawberry.http.websocket_origin import is_same_origin, normalize_origin
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types.graphql import OperationType

from gql import errors
from gql.context import Context
from gql.transports import negotiation
from gql.transports.encoding import encode
from gql.transports.requests import Operation, RequestError, operation_in_body, operation_in_query, request_id_of
from gql.transports.results import answer_of
from gql.transports.sse import serve_events
from gql.transports.websocket import Connection
from resolvers.access import Viewer, authenticate
from sluicegate.core.errors import InvalidError, UnauthenticatedError

if TYPE_CHECKING:
    import strawberry
    from starlette.types import ASGIApp, Receive, Scope, Send

    from resolvers.services import Services

PATH = "/graphql"
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="sluicegate"'}
_HEADERS = {"Cache-Control": "no-store", "Vary": "Accept", "X-Content-Type-Options": "nosniff"}
_BY_METHOD = {
    "GET": {OperationType.QUERY},
    "POST": {OperationType.QUERY, OperationType.MUTATION},
}
_STATUS = {errors.TIMEOUT: 503, errors.UNAVAILABLE: 503, errors.INTERNAL: 500}


def routes(services: Services, schema: strawberry.Schema | None = None) -> list[BaseRoute]:
    """The routes of the interface. `schema`: another than the gateway's own, for tests."""
    from gql.graphiql import static_routes

    if schema is None:
        from gql.schema import schema as own

        schema = own
    endpoint = GraphQLEndpoint(services, schema)
    return [
        Route(PATH, endpoint=endpoint),
        WebSocketRoute(PATH, endpoint=endpoint.websocket),
        *static_routes(),
    ]


class GraphQLEndpoint:
    """The ASGI application behind /graphql."""

    def __init__(self, services: Services, schema: strawberry.Schema) -> None:
        self._services = services
        self._schema = schema
        self._origins = _origins(services)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        request = Request(scope, receive)
        request_id = request_id_of(request)
        accept = negotiation.accepted(request.headers.get("accept"))
        try:
            response = await self._answer(request, request_id, accept)
        except RequestError as error:
            body = {"errors": [errors.plain_error(error.message, error.code, request_id)]}
            response = _json(body, accept, error.status, error.headers)
        await response(scope, receive, send)

    async def websocket(self, websocket: WebSocket) -> None:
        """Serves one WebSocket, unless it comes from a page that CORS does not allow either."""
        origin = websocket.headers.get("origin")
        if origin is not None and not self._is_allowed(origin, websocket.headers.get("host")):
            await websocket.close(1008)
            return
        await Connection(websocket, self._services, self._schema).run()

    async def _answer(self, request: Request, request_id: str, accept: str | None) -> ASGIApp:
        if request.method not in _BY_METHOD:
            raise RequestError(405, "Use POST, or GET for queries.", "METHOD_NOT_ALLOWED", {"Allow": "GET, POST"})
        if accept is None:
            raise RequestError(
                406, f"Accept one of {negotiation.GRAPHQL}, {negotiation.JSON}, {negotiation.EVENT_STREAM}."
            )
        if accept == negotiation.HTML:
            if request.method != "GET":
                raise RequestError(406, f"Accept one of {negotiation.GRAPHQL}, {negotiation.JSON}.")
            from gql.graphiql import graphiql_page

            return await graphiql_page(request)
        context = Context(self._services, await self._viewer(request), request, request_id)
        operation = await self._operation(request)
        if accept == negotiation.EVENT_STREAM:
            return await self._stream(operation, context, request.method)
        return await self._execute(operation, context, request.method, accept)

    async def _viewer(self, request: Request) -> Viewer:
        headers = request.headers
        try:
            return await authenticate(self._services, headers.get("authorization"), headers.get("x-namespace"))
        except UnauthenticatedError as error:
            raise RequestError(401, error.message, errors.UNAUTHENTICATED, _CHALLENGE) from None
        except InvalidError as error:
            raise RequestError(400, error.message, error.code.value) from None

    async def _operation(self, request: Request) -> Operation:
        if request.method == "GET":
            return operation_in_query(request)
        settings = self._services.settings
        return await operation_in_body(
            request, max_bytes=settings.max_body_bytes, seconds=settings.request_timeout_seconds
        )

    async def _execute(self, operation: Operation, context: Context, method: str, accept: str) -> Response:
        try:
            result = await self._schema.execute(
                operation.query,
                operation.variables,
                context,
                operation_name=operation.name,
                allowed_operation_types=_BY_METHOD[method],
                operation_extensions=operation.extensions,
            )
        except CannotGetOperationTypeError as error:
            raise RequestError(400, error.as_http_error_reason(), errors.VALIDATION_FAILED) from None
        except InvalidOperationTypeError as error:
            raise _not_allowed(error.operation_type) from None
        answer = answer_of(result, context)
        status = 200
        if answer.refused:
            code = answer.body["errors"][0]["extensions"]["code"]
            # A client of the older media type takes any answer but 200 for a failure of the network.
            status = _STATUS.get(code, 400 if accept == negotiation.GRAPHQL else 200)
        return _json(answer.body, accept, status)

    async def _stream(self, operation: Operation, context: Context, method: str) -> ASGIApp:
        results = await self._schema.stream(
            operation.query,
            operation.variables,
            context,
            operation_name=operation.name,
            operation_extensions=operation.extensions,
            allowed_operation_types=_BY_METHOD[method] | {OperationType.SUBSCRIPTION},
        )

        async def respond(_scope: Scope, receive: Receive, send: Send) -> None:
            await serve_events(results, context, receive, send)

        return respond

    def _is_allowed(self, origin: str, host: str | None) -> bool:
        return is_same_origin(origin, host) or "*" in self._origins or normalize_origin(origin) in self._origins


def _not_allowed(operation: OperationType) -> RequestError:
    if operation is OperationType.SUBSCRIPTION:
        return RequestError(
            406, f"Subscriptions need a WebSocket, or Accept: {negotiation.EVENT_STREAM}.", errors.BAD_INPUT
        )
    return RequestError(405, "A GET can only query.", "METHOD_NOT_ALLOWED", {"Allow": "POST"})


def _origins(services: Services) -> set[str | None]:
    settings = services.settings
    listed = [origin.strip() for origin in settings.cors_origins.split(",") if origin.strip()]
    if settings.public_url:
        parts = urlsplit(settings.public_url)
        listed.append(f"{parts.scheme}://{parts.netloc}")
    return {"*" if origin == "*" else normalize_origin(origin) for origin in listed} - {None}


def _json(body: dict[str, Any], accept: str | None, status: int, headers: dict[str, str] | None = None) -> Response:
    media_type = negotiation.GRAPHQL if accept == negotiation.GRAPHQL else negotiation.JSON
    return Response(
        encode(body), status, {**_HEADERS, **(headers or {}), "Content-Type": f"{media_type}; charset=utf-8"}
    )
