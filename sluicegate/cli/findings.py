"""What the doctor finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """OK, WARNING: works but will surprise, ERROR: does not work."""

    OK = "OK"
    WARNING = "WARNING"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `hint`: how to mend it."""

    part: str
    level: Level
    detail: str
    hint: str | None = None


def good(part: str, detail: str) -> Finding:
    """Nothing to mend."""
    return Finding(part, Level.OK, detail)


def warning(part: str, detail: str, hint: str | None = None) -> Finding:
    """Works, but will surprise."""
    return Finding(part, Level.WARNING, detail, hint)


def bad(part: str, detail: str, hint: str | None = None) -> Finding:
    """Does not work."""
    return Finding(part, Level.ERROR, detail, hint)
