"""Cron expressions in time zones, on the days when the clocks change."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.config_slots import following_slot
from models.sync_configs import SyncConfig, SyncMode
from sluicegate.core import schedules
from sluicegate.core.errors import InvalidError
from sluicegate.core.schedules import check_cron, check_time_zone, next_cron
from tests.jobs.configs import utc

BERLIN = "Europe/Berlin"


def following(expression: str, zone: str, after: str, count: int) -> list[str]:
    """The next so many moments, as UTC."""
    moment, found = utc(after), []
    for _ in range(count):
        moment = next_cron(expression, zone, moment)
        found.append(moment.strftime("%m-%dT%H:%M"))
    return found


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        # On 2026-03-29 the clocks of Berlin go from 02:00 to 03:00, which is 01:00 UTC.
        ("30 2 * * *", "2026-03-27T12:00", ["03-28T01:30", "03-29T01:00", "03-30T00:30"]),
        ("0 3 * * *", "2026-03-27T12:00", ["03-28T02:00", "03-29T01:00", "03-30T01:00"]),
        ("*/30 * * * *", "2026-03-29T00:15", ["03-29T00:30", "03-29T01:00", "03-29T01:30"]),
        ("0,30 2 * * *", "2026-03-28T12:00", ["03-29T01:00", "03-30T00:00", "03-30T00:30"]),
        # On 2026-10-25 they go from 03:00 back to 02:00, which is 01:00 UTC.
        ("30 2 * * *", "2026-10-24T12:00", ["10-25T00:30", "10-26T01:30"]),
        ("0 3 * * *", "2026-10-24T12:00", ["10-25T02:00", "10-26T02:00"]),
        ("*/30 * * * *", "2026-10-25T00:15", ["10-25T00:30", "10-25T01:00", "10-25T01:30", "10-25T02:00"]),
        ("@hourly", "2026-10-24T23:30", ["10-25T00:00", "10-25T01:00", "10-25T02:00"]),
        ("0 12 1 * *", "2026-10-15T00:00", ["11-01T11:00", "12-01T11:00"]),
    ],
)
def test_the_days_on_which_the_clocks_of_berlin_change(expression: str, after: str, expected: list[str]) -> None:
    assert following(expression, BERLIN, after, len(expected)) == expected


def test_a_zone_whose_clocks_change_by_half_an_hour() -> None:
    # Lord Howe Island: 02:00 becomes 02:30 on 2026-10-04, 15:30 UTC of the day before.
    assert following("15 2 * * *", "Australia/Lord_Howe", "2026-10-02T20:00", 2) == ["10-03T15:30", "10-04T15:15"]


def test_a_zone_that_skipped_a_whole_day() -> None:
    # Samoa had no 2011-12-30: at the end of the 29th, 10:00 UTC, it became the 31st.
    assert following("0 12 * * *", "Pacific/Apia", "2011-12-29T00:00", 2) == ["12-29T22:00", "12-30T10:00"]


@pytest.mark.parametrize(("after", "most"), [("2026-05-05T10:01", 8), ("2026-10-25T00:15", 200)])
def test_the_next_of_many_moments_is_found_in_few_steps(after: str, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Every configuration's next start is looked for in a transaction: a day of minutes would be 1,500 steps each.
    steps = 0

    class Counting(schedules.croniter):
        def get_next(self, *args: Any, **options: Any) -> Any:
            nonlocal steps
            steps += 1
            return super().get_next(*args, **options)

    monkeypatch.setattr(schedules, "croniter", Counting)
    assert next_cron("* * * * *", BERLIN, utc(after)) == utc(after) + timedelta(minutes=1)
    assert 0 < steps <= most


@given(
    st.sampled_from(["30 2 * * *", "*/15 * * * *", "0 3 * * 7", "15,45 1-3 * 3,10 *", "@hourly"]),
    st.sampled_from([BERLIN, "UTC", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"]),
    st.integers(0, 400 * 24 * 60),
)
def test_the_next_moment_is_later_and_nothing_lies_before_it(expression: str, zone: str, minutes: int) -> None:
    after = utc("2026-01-01T00:00") + timedelta(minutes=minutes)
    moment = next_cron(expression, zone, after)
    assert moment > after
    middle = after + (moment - after) / 2
    assert next_cron(expression, zone, middle) == moment


@pytest.mark.parametrize(
    "expression", ["0 3 * * *", "*/5 * * * 1-5", "@daily", "0 0 29 2 *", "0 0 l * *", "5 4 * jan sun"]
)
def test_good_expressions(expression: str) -> None:
    check_cron(expression)


@pytest.mark.parametrize(
    "expression",
    ["", "* * * *", "* * * * * *", "60 * * * *", "0 0 30 2 *", "r r * * *", "h h * * *", "@reboot", "x",
     "0 3 * * *\x00", "0 " * 400, "*/0 * * * *"],
)  # fmt: skip
def test_bad_expressions_are_refused_where_they_are_given(expression: str) -> None:
    with pytest.raises(InvalidError) as caught:
        check_cron(expression)
    assert (caught.value.path, bool(caught.value.hint)) == (("cron",), True)


@pytest.mark.parametrize(
    "zone", ["", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "Europe/Berlin\x00", "a" * 5000]
)
def test_bad_time_zones_are_refused_where_they_are_given(zone: str) -> None:
    with pytest.raises(InvalidError) as caught:
        check_time_zone(zone)
    assert caught.value.path == ("timeZone",)
    check_time_zone("Europe/Berlin")


def config(**columns: object) -> SyncConfig:
    return SyncConfig(**{"mode": SyncMode.SCHEDULED, "polling_interval_seconds": 60, "time_zone": "UTC", **columns})


def test_cron_wins_over_the_interval() -> None:
    slot = utc("2026-01-01T10:00:00")
    assert following_slot(config(cron="0 3 * * *"), slot, slot) == utc("2026-01-02T03:00:00")
    assert following_slot(config(cron=None), slot, slot) == utc("2026-01-01T10:01:00")
    # It is the schedule's alone: a configuration that polls keeps its interval.
    assert following_slot(config(cron="0 3 * * *", mode=SyncMode.CONTINUOUS), slot, slot) == utc("2026-01-01T10:01:00")


def test_slots_that_passed_are_left_out() -> None:
    slot, at = utc("2026-01-01T10:00:00"), utc("2026-01-05T10:00:30")
    assert following_slot(config(cron="0 3 * * *"), slot, at) == utc("2026-01-06T03:00:00")
    assert following_slot(config(cron=None), slot, at) == utc("2026-01-05T10:01:00")
    assert following_slot(config(cron=None), slot, utc("2026-01-01T10:01:00")) == utc("2026-01-01T10:02:00")
