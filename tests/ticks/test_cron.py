"""Cron lines: when they are due, above all where clocks are put forward and back."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from runwire.ticks.cron import CronLineError, CronSchedule, TimezoneError

CHICAGO, SYDNEY, APIA = "America/Chicago", "Australia/Sydney", "Pacific/Apia"


def utc(text: str) -> float:
    return datetime.fromisoformat(f"{text}+00:00").timestamp()


def dues(line: str, zone: str, after: str, count: int) -> list[str]:
    """The next due times, as UTC; `after` is local."""
    begin = datetime.fromisoformat(after).replace(tzinfo=ZoneInfo(zone)).timestamp()
    found = CronSchedule(line, zone).next_after(begin, count)
    return [f"{datetime.fromtimestamp(due, ZoneInfo('UTC')):%m-%d %H:%M}" for due in found]


@pytest.mark.parametrize(
    ("line", "zone", "after", "expected"),
    [
        (
            "0 * * * *",
            CHICAGO,
            "2019-11-03T00:30",
            ["11-03 06:00", "11-03 07:00", "11-03 08:00", "11-03 09:00"],
        ),
        (
            "0 0-23 * * *",
            CHICAGO,
            "2019-11-03T00:30",
            ["11-03 06:00", "11-03 07:00", "11-03 08:00"],
        ),
        ("0 0 * * *", CHICAGO, "2019-11-02T12:00", ["11-03 05:00", "11-04 06:00"]),
        ("30 1 * * *", CHICAGO, "2019-11-02T12:00", ["11-03 07:30", "11-04 07:30"]),
        ("30 2 * * *", CHICAGO, "2019-03-09T12:00", ["03-10 08:00", "03-11 07:30"]),
        (
            "0,30 2,3 * * *",
            CHICAGO,
            "2019-03-09T12:00",
            ["03-10 08:00", "03-10 08:30", "03-11 07:00"],
        ),
        ("0 */2 * * *", CHICAGO, "2019-03-10T00:30", ["03-10 08:00", "03-10 09:00"]),
        (
            "*/15 * * * *",
            SYDNEY,
            "2021-10-03T01:30:01",
            [
                "10-02 15:45",
                "10-02 16:00",
                "10-02 16:15",
                "10-02 16:30",
                "10-02 16:45",
                "10-02 17:00",
            ],
        ),
        ("0 12 30 * *", APIA, "2011-12-01T00:00", ["12-30 10:00", "01-29 22:00"]),
        ("@monthly", "UTC", "2026-01-15T00:00", ["02-01 00:00", "03-01 00:00"]),
        ("0 6 * * MON-FRI", "UTC", "2026-11-20T07:00", ["11-23 06:00", "11-24 06:00"]),
    ],
)
def test_each_due_time_comes_once_where_clocks_change(
    line: str, zone: str, after: str, expected: list[str]
) -> None:
    assert dues(line, zone, after, len(expected)) == expected


@pytest.mark.parametrize("line", ["30 1 * * *", "15 2 * * *", "*/20 * * * *", "0 0,1,2,3 * * *"])
@pytest.mark.parametrize("zone", [CHICAGO, "Australia/Lord_Howe", "America/Santiago", "UTC"])
def test_going_on_from_any_due_time_finds_the_same_ones(line: str, zone: str) -> None:
    schedule = CronSchedule(line, zone)
    found = schedule.next_after(utc("2026-03-01T00:00"), 1000)
    assert all(early < late for early, late in pairwise(found))
    assert [schedule.next_after(early, 1)[0] for early in found[:-1]] == found[1:]


@pytest.mark.parametrize("line", ["* * * * *", "30 1 * * *", "0 0 29 2 *"])
def test_the_latest_due_time_of_a_span(line: str) -> None:
    schedule = CronSchedule(line, CHICAGO)
    begin, end = utc("2020-01-01T00:00"), utc("2024-06-30T12:00:30")
    latest = schedule.latest(begin, end)
    assert latest is not None
    assert begin < latest <= end < schedule.next_after(latest, 1)[0]
    assert schedule.latest(latest - 1, latest) == latest
    assert schedule.latest(latest, end) is None


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("", "has 0 fields"),
        ("* * * *", "has 4 fields"),
        ("0 0 0 * * *", "has 6 fields"),
        ("60 * * * *", "bad minute"),
        ("0 25 * * *", "bad hour"),
        ("@reboot", "has 1 fields"),
        ("0 0 31 2 *", "bad day-of-month"),
    ],
)
def test_a_wrong_line_is_refused_with_the_mend(line: str, problem: str) -> None:
    with pytest.raises(CronLineError, match=problem) as refused:
        CronSchedule(line).check()
    assert "write" in str(refused.value)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc", "Europe"])
def test_an_unknown_time_zone_is_refused(zone: str) -> None:
    with pytest.raises(TimezoneError, match="IANA"):
        CronSchedule("@daily", zone).check()
