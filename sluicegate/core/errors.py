"""Every error Sluicegate raises on purpose, classed by what happens next.

`UserError`: the caller can mend it; it becomes a typed error of a GraphQL payload.
`RunError`: something outside failed; its subclass says what a run does about it: retry, skip the object, or end.
Messages are shown to callers as they are: never put a secret, a path of the server or another tenant's data in one.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any


class ErrorCode(StrEnum):
    """What a caller can act on; the same names as in the public schema."""

    INVALID = "INVALID"
    NOT_FOUND = "NOT_FOUND"
    FORBIDDEN = "FORBIDDEN"
    CONFLICT = "CONFLICT"
    ALREADY_RUNNING = "ALREADY_RUNNING"
    NOT_SYNCHRONIZABLE = "NOT_SYNCHRONIZABLE"
    PROVIDER_AUTH = "PROVIDER_AUTH"
    PROVIDER_NOT_FOUND = "PROVIDER_NOT_FOUND"
    PROVIDER_UNAVAILABLE = "PROVIDER_UNAVAILABLE"
    PROVIDER_REFUSED = "PROVIDER_REFUSED"
    LIMIT = "LIMIT"


class SluicegateError(Exception):
    """Base of all; `message` is safe to show."""

    code: ErrorCode = ErrorCode.INVALID

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigurationError(SluicegateError):
    """The installation is set up wrongly; the command ends with the message and the hint."""


class UnauthenticatedError(SluicegateError):
    """No key, or one that opens nothing (any more). The message never says which keys exist."""


class UserError(SluicegateError):
    """Input that cannot be done. `path` leads to the place in the input, e.g. ("provider", "s3", "bucket")."""

    def __init__(self, message: str, *, path: Sequence[str] = (), hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.path = tuple(path)


class InvalidError(UserError):
    """A value that is not allowed."""

    code = ErrorCode.INVALID


class NotFoundError(UserError):
    """No such thing, or one of another tenant: the two answers are the same."""

    code = ErrorCode.NOT_FOUND


class ForbiddenError(UserError):
    """The key lacks the scope."""

    code = ErrorCode.FORBIDDEN


class ConflictError(UserError):
    """The thing is in a state in which this cannot be done."""

    code = ErrorCode.CONFLICT


class NotSynchronizableError(ConflictError):
    """The storage has `synchronizable: false`."""

    code = ErrorCode.NOT_SYNCHRONIZABLE


class LimitError(UserError):
    """A limit of the installation would be passed."""

    code = ErrorCode.LIMIT


class AlreadyRunningError(UserError):
    """An unfinished job of the same unicity exists: `job` is its row."""

    code = ErrorCode.ALREADY_RUNNING

    def __init__(self, message: str, *, job: Any, path: Sequence[str] = (), hint: str | None = None) -> None:
        super().__init__(message, path=path, hint=hint)
        self.job = job


class RunError(SluicegateError):
    """Something outside failed. `provider_code` is the provider's own, e.g. NoSuchBucket; `retry_after` is in seconds.

    `provider`: the type of the storage's provider, set by use cases that answer a caller.
    """

    def __init__(
        self,
        message: str,
        *,
        code: ErrorCode = ErrorCode.PROVIDER_UNAVAILABLE,
        provider_code: str | None = None,
        hint: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.provider_code = provider_code
        self.retry_after = retry_after
        self.provider: str | None = None


class RetriableError(RunError):
    """May pass: try again after a back-off (at least `retry_after` seconds where given)."""


class ThrottledError(RetriableError):
    """The provider asked to slow down (429, 503, SlowDown): slow the run, count it, never fail it."""


class SkippableError(RunError):
    """This object fails, the run goes on."""


class FatalError(RunError):
    """The run ends: trying again as it is cannot help."""
