"""How errors leave the gateway.

In a payload: what the caller can act on, typed (`to_user_errors`, `payload`). Beside `data`: GraphQL's own errors and
ours, with a code; everything else is masked as INTERNAL, or as UNAVAILABLE when the database is out of reach, and
logged under the request's id (`format_errors`, `log_errors`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import wraps
from logging import getLogger
from typing import Any, ParamSpec, TypeVar, cast

from graphql import GraphQLError, GraphQLFormattedError
from strawberry.exceptions import MissingQueryError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError

from gql.types import errors as types
from models.outages import is_outage
from sluicegate.core import errors

P = ParamSpec("P")
T = TypeVar("T")

PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"
BAD_INPUT = "BAD_USER_INPUT"
INTERNAL = "INTERNAL"
UNAVAILABLE = "UNAVAILABLE"
UNAUTHENTICATED = "UNAUTHENTICATED"
TIMEOUT = "TIMEOUT"
LIMIT = errors.ErrorCode.LIMIT.value

_REFUSALS = (CannotGetOperationTypeError, InvalidOperationTypeError, MissingQueryError)
"""What Strawberry raises for an operation that is not there or not allowed here."""

_log = getLogger(__name__)

_SHAPES: list[tuple[type[errors.UserError], type[types.UserError]]] = [
    (errors.NotFoundError, types.NotFoundError),
    (errors.ConflictError, types.ConflictError),
    (errors.UserError, types.InputError),
]


def to_user_errors(
    error: errors.UserError | errors.RunError, *, provider: str | None = None, path: Sequence[str] = ()
) -> list[types.UserError]:
    """The errors of a payload for one of ours. `provider`: the type of the storage's provider, for run errors."""
    if isinstance(error, errors.RunError):
        if provider is None:
            return [types.InputError(code=error.code, message=_with_hint(error), path=list(path))]
        return [
            types.ProviderError(
                code=error.code,
                message=error.message,
                path=list(path),
                provider=types.ProviderType(provider),
                provider_code=error.provider_code,
                hint=error.hint,
            )
        ]
    where = list(error.path or path)
    if isinstance(error, errors.AlreadyRunningError):
        return [types.AlreadyRunningError(code=error.code, message=_with_hint(error), path=where, row=error.job)]
    shape = next(public for ours, public in _SHAPES if isinstance(error, ours))
    return [shape(code=error.code, message=_with_hint(error), path=where)]


def payload(shape: Callable[..., T]) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Awaitable[T]]]:
    """For a mutation: what it raises and the caller can act on becomes `shape(errors=[…])`. All else passes through."""

    def decorate(resolve: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        @wraps(resolve)
        async def resolve_or_tell(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return await resolve(*args, **kwargs)
            except (errors.UserError, errors.RunError) as error:
                return shape(errors=to_user_errors(error, provider=getattr(error, "provider", None)))

        return resolve_or_tell

    return decorate


def is_shown(error: GraphQLError) -> bool:
    """Whether the message may leave the gateway: GraphQL's own errors and those that we raise for callers."""
    cause = _cause(error)
    return cause is None or (
        isinstance(cause, errors.SluicegateError) and not isinstance(cause, errors.ConfigurationError)
    )


def format_errors(
    found: Iterable[GraphQLError], request_id: str, *, code: str | None = None, suggestions: bool = True
) -> list[GraphQLFormattedError]:
    """The `errors` of a response. `code`: of errors that have none of their own; masked ones are INTERNAL.

    `suggestions`: whether "Did you mean …" stays; without introspection it would tell the schema name by name.
    """
    return [_format(error, request_id, code, suggestions) for error in found]


def plain_error(message: str, code: str, request_id: str) -> GraphQLFormattedError:
    """One formatted error that comes from no operation."""
    return {"message": message, "extensions": {"code": code, "requestId": request_id}}


def log_errors(found: Iterable[GraphQLError], request_id: str | None) -> None:
    """Logs, with the traceback, the errors whose text the caller does not get to see."""
    for error in found:
        if not is_shown(error):
            cause = _cause(error)
            _log.error(
                "An operation met an internal error.",
                extra={"request_id": request_id, "path": error.path},
                exc_info=cause,
            )


def _format(error: GraphQLError, request_id: str, code: str | None, suggestions: bool) -> GraphQLFormattedError:
    formatted = error.formatted
    cause = _cause(error)
    extensions: dict[str, Any] = dict(error.extensions or {})
    if cause is not None and is_outage(cause):
        formatted["message"] = "The gateway's database could not be read or written."
        extensions = {"code": UNAVAILABLE, "hint": "Try again. The gateway's log says why, under the request's id."}
    elif not is_shown(error):
        formatted["message"] = "Internal error"
        extensions = {"code": INTERNAL}
    elif cause is not None:
        ours = cast("errors.SluicegateError", cause)
        formatted["message"] = ours.message
        extensions = {"code": _code(ours)}
        if ours.hint:
            extensions["hint"] = ours.hint
    else:
        if not suggestions:
            formatted["message"] = error.message.partition(" Did you mean")[0]
        extensions.setdefault("code", code or BAD_INPUT)
    extensions["requestId"] = request_id
    formatted["extensions"] = extensions
    return formatted


def _cause(error: GraphQLError) -> Exception | None:
    """What a resolver raised, under as many layers of GraphQLError as there are; None where GraphQL itself found it."""
    cause = error.original_error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    return None if isinstance(cause, _REFUSALS) else cause


def _code(error: errors.SluicegateError) -> str:
    return UNAUTHENTICATED if isinstance(error, errors.UnauthenticatedError) else error.code.value


def _with_hint(error: errors.SluicegateError) -> str:
    return f"{error.message} {error.hint}" if error.hint else error.message
