"""Errors of payloads: what a caller can act on, each with its place in the input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import strawberry

from gql.types.enums import ProviderType
from sluicegate.core.errors import ErrorCode

if TYPE_CHECKING:
    from gql.types.jobs import Job

_CODES = {
    "INVALID": "A value is not allowed.",
    "NOT_FOUND": "No such thing in this namespace.",
    "FORBIDDEN": "The key does not allow it.",
    "CONFLICT": "The thing is in a state in which this cannot be done.",
    "ALREADY_RUNNING": "The same work is waiting or running already.",
    "NOT_SYNCHRONIZABLE": "The storage is marked as not synchronizable.",
    "PROVIDER_AUTH": "The provider refused the credentials, or they do not allow this.",
    "PROVIDER_NOT_FOUND": "The provider has no such bucket, folder, table or object.",
    "PROVIDER_UNAVAILABLE": "The provider did not answer, or asked to come back later.",
    "PROVIDER_REFUSED": "The provider answered, but not with what was asked for; or its address is not allowed.",
    "LIMIT": "A limit of this installation would be passed.",
}
strawberry.enum(ErrorCode, description="What a caller can act on.")
for _value in ErrorCode.__dict__["__strawberry_definition__"].values:
    _value.description = _CODES[_value.name]


@strawberry.interface(description="An error that the caller can act on.")
class UserError:
    """Base of the errors in payloads."""

    code: ErrorCode = strawberry.field(description="What kind of error it is.")
    message: str = strawberry.field(description="For people.")
    path: list[str] = strawberry.field(description='Where in the input, e.g. ["provider", "s3", "bucket"].')


@strawberry.type(description="A value that is not allowed, or an action that is not.")
class InputError(UserError):
    """INVALID, FORBIDDEN and LIMIT."""


@strawberry.type(description="No such thing in this namespace.")
class NotFoundError(UserError):
    """NOT_FOUND."""


@strawberry.type(description="The thing is in a state in which this cannot be done.")
class ConflictError(UserError):
    """CONFLICT and NOT_SYNCHRONIZABLE."""


@strawberry.type(description="The same work is waiting or running already: here it is.")
class AlreadyRunningError(UserError):
    """ALREADY_RUNNING."""

    row: strawberry.Private[Any]

    @strawberry.field(description="The job that is in the way.")
    def job(self) -> Annotated[Job, strawberry.lazy("gql.types.jobs")]:
        """The unfinished job of the same kind."""
        from gql.types.jobs import job_of

        return job_of(self.row)


@strawberry.type(description="The provider did not do what was asked of it.")
class ProviderError(UserError):
    """The PROVIDER_ codes."""

    provider: ProviderType = strawberry.field(description="Which kind of provider.")
    provider_code: str | None = strawberry.field(
        default=None, description="The provider's own code, e.g. NoSuchBucket."
    )
    hint: str | None = strawberry.field(default=None, description="What may help.")


ERROR_TYPES: list[type] = [InputError, NotFoundError, ConflictError, AlreadyRunningError, ProviderError]
"""To be given to the schema: nothing else refers to them by name."""
