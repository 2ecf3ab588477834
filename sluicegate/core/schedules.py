"""Cron expressions in a time zone, as a person means them.

Five fields (minute, hour, day, month, weekday) or @hourly, @daily, @weekly, @monthly, @yearly. When the clocks go
forward, a time that does not exist is the moment at which they do. When they go back, a time that occurs twice is the
first of the two; an expression whose hour is `*` or `*/n` goes on through both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from croniter import CroniterError, croniter

from sluicegate.core.errors import InvalidError

MAX_CRON = 256
"""Characters of an expression."""
_ALIASES = {"@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"}
# What the library knows besides, a random or hashed time, would be another one each time it is asked.
_NAMES = {
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    "mon", "tue", "wed", "thu", "fri", "sat", "sun", "l",
}  # fmt: skip
_FORMAT = "Five fields, for example 30 2 * * 1-5: minute, hour, day of the month, month, weekday; or @hourly, @daily."
# The clocks of no zone are put forward or back by more.
_SHIFT = timedelta(hours=25)
_NO_SHIFT = timedelta()


def check_cron(expression: str, path: tuple[str, ...] = ("cron",)) -> None:
    """Raises InvalidError for what is no cron expression, or one that no day ever matches."""
    text = expression.strip()
    words = set(re.findall("[a-z]+", text.lower()))
    known = text.lower() in _ALIASES if text.startswith("@") else len(text.split()) == 5 and words <= _NAMES
    if not known or len(text) > MAX_CRON:
        raise InvalidError("This is no cron expression.", path=path, hint=_FORMAT)
    try:
        next_cron(text, "UTC", datetime(2026, 1, 1, tzinfo=UTC))
    except (CroniterError, ValueError, KeyError, OverflowError):
        raise InvalidError("This is no cron expression that ever comes true.", path=path, hint=_FORMAT) from None


def check_time_zone(name: str, path: tuple[str, ...] = ("timeZone",)) -> None:
    """Raises InvalidError for what is no name of the IANA time zone database."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError
        pass
    except KeyError:
        pass
    else:
        return
    raise InvalidError("This is no time zone.", path=path, hint="A name like UTC, Europe/Berlin or America/New_York.")


def next_cron(expression: str, zone: str, after: datetime) -> datetime:
    """The first moment after `after` at which the expression comes true in the zone; UTC.

    Raises CroniterError for what `check_cron` refuses, ZoneInfoNotFoundError for a zone that there is none of.
    """
    info = ZoneInfo(zone)
    first = next(moment for moment in _moments(expression, info, after, fold=0) if moment > after)
    if not _goes_on(expression):
        return first
    for moment in _moments(expression, info, after, fold=1):
        if moment > after:
            return min(first, moment)
    raise AssertionError


def _goes_on(expression: str) -> bool:
    """Whether the hour is open, so that people count in elapsed time."""
    return expression.strip().lower() == "@hourly" or (expression.split()[1:2] or [""])[0].startswith("*")


def _moments(expression: str, zone: ZoneInfo, after: datetime, *, fold: int) -> Iterator[datetime]:
    """The moments of the local times that match, in order: all that are later than `after`, and few before."""
    local = after.astimezone(zone).replace(tzinfo=None) - _shift_around(after, zone)
    matches = croniter(expression, local, ret_type=datetime)
    while True:
        wall: datetime = matches.get_next(datetime)
        yield _moment(wall, zone, fold)


def _shift_around(moment: datetime, zone: ZoneInfo) -> timedelta:
    """By how much clocks are put forward or back within a day of a moment; mostly not at all.

    A local time that much earlier may come after the moment. Going back further would cost: an expression of every
    minute has 1,500 times in a day, and every configuration's next start is looked for in a transaction.
    """
    offsets = [(moment + by).astimezone(zone).utcoffset() or _NO_SHIFT for by in (-_SHIFT, _NO_SHIFT, _SHIFT)]
    return max(offsets) - min(offsets)


def _moment(wall: datetime, zone: ZoneInfo, fold: int) -> datetime:
    """The moment at which the zone's clocks show a local time; of one that they skip, when they do."""
    moment = wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == wall:
        return moment
    before = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    later = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    return _shift_between(before, later, zone)


def _shift_between(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """The moment in a range at which the zone's offset changes, to the second."""
    offset = low.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) // 2
        if middle.astimezone(zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)
