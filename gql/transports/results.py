"""From a result to what is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphql import GraphQLSyntaxError
from strawberry.types.execution import PreExecutionError

from gql import errors

if TYPE_CHECKING:
    from graphql import GraphQLError
    from strawberry.types import ExecutionResult

    from gql.context import Context


@dataclass(frozen=True, slots=True)
class Answer:
    """A response's body. `refused`: nothing was executed (the document or its variables are wrong), so no `data`."""

    body: dict[str, Any]
    refused: bool


def answer_of(result: ExecutionResult, context: Context) -> Answer:
    """The body of a result, its errors masked and coded."""
    found = result.errors
    if not found:
        return Answer({"data": result.data}, refused=False)
    refused = _is_refused(result, found)
    formatted = errors.format_errors(
        found, context.request_id, code=_code(result, found) if refused else None, suggestions=_suggests(context)
    )
    body: dict[str, Any] = {"errors": formatted}
    if not refused:
        body["data"] = result.data
    return Answer(body, refused=refused)


def _is_refused(result: ExecutionResult, found: list[GraphQLError]) -> bool:
    # What fails while fields are resolved has a path; what coercion of variables refuses has none.
    return isinstance(result, PreExecutionError) or (result.data is None and all(each.path is None for each in found))


def _code(result: ExecutionResult, found: list[GraphQLError]) -> str:
    if isinstance(found[0], GraphQLSyntaxError):
        return errors.PARSE_FAILED
    return errors.VALIDATION_FAILED if isinstance(result, PreExecutionError) else errors.BAD_INPUT


def _suggests(context: Context) -> bool:
    return context.services.settings.introspection
