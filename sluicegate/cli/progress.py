"""A job's progress on the terminal: a line that moves, or on a pipe a line now and then."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from rich.console import Console

JOB_FIELDS = """
  id status progress revision durationSeconds
  error { type message providerCode hint }
  ... on SyncJob {
    sync {
      phase listingComplete stalled objectsFound objectsFiltered objectsUnchanged objectsSynced objectsFailed
      objectsMissing bytesFound objectsPerSecond etaSeconds currentObject
      lastErrors { path message }
    }
  }
"""
"""What `ProgressView` shows of a job."""

FINISHED = frozenset({"CANCELED", "FAILED", "COMPLETED", "COMPLETED_WITH_ERRORS"})
_PLAIN_SECONDS = 5.0
_PATH_WIDTH = 44
_ROOM_FOR_BAR, _ROOM_FOR_PATH = 100, 140  # columns of the terminal; the counts matter most


class ProgressView:
    """Shows the states of one job. Used with `with`; `show` takes each state as it comes."""

    def __init__(self, console: Console, title: str) -> None:
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.table import Column

        self._console = console
        self._title = title
        self._said = 0.0
        current = TextColumn("{task.fields[current]}", style="dim", markup=False, table_column=Column(no_wrap=True))
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", style="bold", markup=False, table_column=Column(no_wrap=True)),
            *([BarColumn(bar_width=20)] if console.width >= _ROOM_FOR_BAR else []),
            TextColumn("{task.fields[counts]}", markup=False, table_column=Column(no_wrap=True)),
            TimeElapsedColumn(),
            *([current] if console.width >= _ROOM_FOR_PATH else []),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task(title, total=None, counts="", current="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, job: dict[str, Any]) -> None:
        """The newest state."""
        counts = describe(job)
        done: float | None = job.get("progress")
        finished = job["status"] in FINISHED
        sync: dict[str, Any] = job.get("sync") or {}
        current = "" if finished else shorten(sync.get("currentObject") or "", _PATH_WIDTH)
        self._progress.update(
            self._task,
            total=1 if done is not None or finished else None,
            completed=1 if finished else done or 0,
            counts=counts,
            current=current,
        )
        if not self._console.is_terminal and (finished or time.monotonic() - self._said > _PLAIN_SECONDS):
            self._said = time.monotonic()
            self._console.print(f"{self._title}: {job['status']} {counts}", markup=False, highlight=False)


def describe(job: dict[str, Any]) -> str:
    """The counters of a job in few words."""
    sync = job.get("sync")
    if not sync:
        return job["status"].lower()
    parts = [sync["phase"].lower(), f"{int(sync['objectsSynced']):,} synced", f"{int(sync['objectsFound']):,} found"]
    for name in ("unchanged", "missing", "filtered", "failed"):
        number = int(sync[f"objects{name.capitalize()}"])
        if number:
            parts.append(f"{number:,} {name}")
    if sync.get("objectsPerSecond") and job["status"] not in FINISHED:
        parts.append(f"{sync['objectsPerSecond']:,.0f}/s")
    if sync["stalled"]:
        parts.append("stalled")
    return ", ".join(parts)


def shorten(path: str, width: int) -> str:
    """The end of a path, which tells more than its beginning."""
    printable = "".join(char if char.isprintable() else "?" for char in path)
    return printable if len(printable) <= width else "…" + printable[1 - width :]
