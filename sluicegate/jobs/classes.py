"""Job classes: what a job does when it runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from models.jobs import JobStatus
from sluicegate.sync.run import RunHandle, Work


class Result(Protocol):
    """What a run returns."""

    @property
    def status(self) -> JobStatus | None:
        """COMPLETED, COMPLETED_WITH_ERRORS or FAILED; None: it stopped at a checkpoint because it was asked to."""
        ...

    @property
    def columns(self) -> Mapping[str, Any]:
        """Columns of the job's row, written as the run ends."""
        ...

    @property
    def also(self) -> Work | None:
        """What else is written as it ends, in the same transaction and under its fence; with a status only."""
        ...


class JobClass(Protocol):
    """One kind of job."""

    @property
    def name(self) -> str:
        """The row's `job_class`."""
        ...

    async def run(self, handle: RunHandle) -> Result:
        """Does the work. When `handle.stop` is set, returns at the next point from which another run can go on.

        Raises RunError (RetriableError: the run is tried again later), UserError, FencedError.
        """
        ...


def registry(classes: Iterable[JobClass]) -> dict[str, JobClass]:
    """Name → class. Raises ValueError for two of one name."""
    found: dict[str, JobClass] = {}
    for job_class in classes:
        if job_class.name in found:
            raise ValueError(f"Two job classes are called {job_class.name}.")
        found[job_class.name] = job_class
    return found
