"""From a request to an operation: body, parameters, the request's id."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from starlette.requests import ClientDisconnect

from gql.transports.encoding import BadJsonError, decode
from gql.transports.negotiation import is_json

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection, Request

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)


class RequestError(Exception):
    """A request that is no operation: answered with `status` and one error."""

    def __init__(
        self, status: int, message: str, code: str = "BAD_REQUEST", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True)
class Operation:
    """What is to be executed, as the client wrote it; `variables` are not coerced yet."""

    query: str
    variables: dict[str, Any] | None
    name: str | None
    extensions: dict[str, Any] | None


def request_id_of(connection: HTTPConnection) -> str:
    """The id that a proxy or our own middleware gave to the request, else a new one."""
    given = connection.scope.get("state", {}).get("request_id") or connection.headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def operation_of(parameters: Any) -> Operation:
    """The operation of a JSON body or message payload. Raises RequestError (400)."""
    if isinstance(parameters, list):
        raise RequestError(400, "Several operations in one request are not supported.")
    if not isinstance(parameters, dict):
        raise RequestError(400, "The body must be a JSON object.")
    parameters = cast("dict[str, Any]", parameters)
    query = parameters.get("query")
    if not isinstance(query, str) or not query.strip():
        raise RequestError(400, "The parameter query must be a GraphQL document.")
    name = parameters.get("operationName")
    if name is not None and not isinstance(name, str):
        raise RequestError(400, "The parameter operationName must be a string.")
    return Operation(query, _map(parameters, "variables"), name or None, _map(parameters, "extensions"))


def operation_in_query(request: Request) -> Operation:
    """The operation of a GET. Raises RequestError (400)."""
    parameters: dict[str, Any] = dict(request.query_params)
    for name in ("variables", "extensions"):
        if parameters.get(name):
            try:
                parameters[name] = decode(parameters[name])
            except BadJsonError:
                raise RequestError(400, f"The parameter {name} is not JSON.") from None
        else:
            parameters.pop(name, None)
    return operation_of(parameters)


async def operation_in_body(request: Request, *, max_bytes: int, seconds: float) -> Operation:
    """The operation of a POST. Raises RequestError: 415, 413, 408 or 400."""
    if not is_json(request.headers.get("content-type")):
        raise RequestError(415, "Send the operation as application/json in UTF-8.")
    try:
        async with asyncio.timeout(seconds):
            body = await _read(request, max_bytes)
    except TimeoutError:
        raise RequestError(408, "The body took too long to arrive.", headers={"Connection": "close"}) from None
    try:
        return operation_of(decode(body))
    except BadJsonError as error:
        raise RequestError(400, str(error)) from None


async def _read(request: Request, max_bytes: int) -> bytes:
    """The body. `Content-Length` may lie or be absent (chunked), so what arrives is counted."""
    declared = request.headers.get("content-length", "0")
    body = bytearray()
    if not (declared.isdecimal() and int(declared) > max_bytes):
        try:
            async for chunk in request.stream():
                body += chunk
                if len(body) > max_bytes:
                    break
            else:
                return bytes(body)
        except ClientDisconnect:
            raise RequestError(400, "The body ended before it was complete.") from None
    raise RequestError(413, f"The body is larger than {max_bytes:,} bytes.", "LIMIT", {"Connection": "close"})


def _map(parameters: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    value = parameters.get(name)
    if value is not None and not isinstance(value, dict):
        raise RequestError(400, f"The parameter {name} must be a map.")
    return cast("dict[str, Any] | None", value)
