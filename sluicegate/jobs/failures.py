"""What a run's exception means for its job: try again, and when, or fail; and what people are told."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from models.outages import is_outage
from sluicegate.core.errors import RetriableError, RunError, SluicegateError, ThrottledError
from sluicegate.core.redact import redact

MAX_DELAY_SECONDS = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Seconds to wait before retry n (from 0): `first` · `factor`ⁿ, at most `longest`, times a random 0.5 to 1."""

    first: float = 2.0
    factor: float = 3.0
    longest: float = 300.0
    throttled: float = 30.0
    outage: float = 5.0

    def delay(self, retry: int) -> float:
        """The wait before retry `retry`."""
        return self._jitter(min(self.longest, self.first * self.factor ** min(retry, 32)))

    def throttled_delay(self) -> float:
        """The wait after a run that was told to slow down for longer than it would itself."""
        return self._jitter(self.throttled)

    @staticmethod
    def _jitter(seconds: float) -> float:
        return seconds * random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries, hides nothing


@dataclass(frozen=True, slots=True)
class Verdict:
    """`delay`: seconds until the next try; None: the job has failed. `counted`: the try uses up one of its retries."""

    error: dict[str, Any]
    delay: float | None = None
    counted: bool = True
    unexpected: bool = False


def judge(error: BaseException, *, retry_count: int, max_retries: int, policy: RetryPolicy) -> Verdict:
    """What becomes of a job whose run raised `error` after `retry_count` of `max_retries`."""
    if is_outage(error):
        return Verdict(_OUTAGE, policy.outage, counted=False)
    asked = min(MAX_DELAY_SECONDS, (error.retry_after or 0.0)) if isinstance(error, RunError) else 0.0
    if isinstance(error, ThrottledError):
        return Verdict(describe(error), max(asked, policy.throttled_delay()), counted=False)
    unexpected = not isinstance(error, SluicegateError)
    if (unexpected or isinstance(error, RetriableError)) and retry_count < max_retries:
        return Verdict(describe(error), max(asked, policy.delay(retry_count)), unexpected=unexpected)
    return Verdict(describe(error), unexpected=unexpected)


def describe(error: BaseException) -> dict[str, Any]:
    """The row's `error`. An unexpected exception shows nothing of itself: its words may hold anything."""
    if not isinstance(error, SluicegateError):
        return dict(_INTERNAL)
    return {
        "type": error.code.value,
        "message": redact(error.message),
        "providerCode": error.provider_code if isinstance(error, RunError) else None,
        "hint": redact(error.hint) if error.hint else None,
        "causes": [_cause(cause) for cause in _chain(error)],
    }


_INTERNAL = {
    "type": "InternalError",
    "message": "The gateway met an error that it did not expect.",
    "hint": "The gateway's log has the details, under this job's id.",
}
_OUTAGE: dict[str, Any] = {
    "type": "DatabaseUnavailable",
    "message": "The gateway's database could not be read or written.",
    "hint": "Check that it runs and that its disk is not full. The job goes on by itself.",
}


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen = {id(error)}
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def _cause(error: BaseException) -> str:
    """Our own errors say what they say; others only what they are."""
    return f"{error.code}: {redact(error.message)}" if isinstance(error, SluicegateError) else type(error).__name__
