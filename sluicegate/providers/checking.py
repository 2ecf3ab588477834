"""How `validate` runs its steps, the same for every provider: timed, in order, none after a failed one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from time import perf_counter
from typing import NamedTuple

from sluicegate.core.errors import ErrorCode, RunError
from sluicegate.providers.base import Check, CheckStatus


class Finding(NamedTuple):
    """What a step that did not fail found."""

    detail: str
    status: CheckStatus = CheckStatus.PASSED
    provider_code: str | None = None
    hint: str | None = None
    code: ErrorCode | None = None


Step = tuple[str, Callable[[], Awaitable[Finding]]]


async def run_steps(steps: Sequence[Step]) -> AsyncIterator[Check]:
    """A check for each step; a RunError is its failure."""
    failed: str | None = None
    for name, step in steps:
        if failed is not None:
            yield Check(name, CheckStatus.SKIPPED, f"Not tried, because the step {failed!r} failed.", 0.0)
            continue
        started = perf_counter()
        try:
            found = await step()
        except RunError as error:
            failed = name
            found = Finding(error.message, CheckStatus.FAILED, error.provider_code, error.hint, error.code)
        milliseconds = (perf_counter() - started) * 1000
        yield Check(name, found.status, found.detail, milliseconds, found.provider_code, found.hint, found.code)
