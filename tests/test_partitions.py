"""Partitions of time where clocks are put forward and back, and partitions by name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from runwire.partitions import (
    Partitions,
    PartitionsKind,
    PartitionsSnapshot,
    PartitionWindow,
    partitions_of,
)

HOUR = 3600.0


def daily(start: str, end: str | None = None, timezone: str = "UTC") -> Partitions:
    return partitions_of(PartitionsSnapshot(PartitionsKind.DAILY, start, end, timezone))


def hourly(start: str, end: str | None = None, timezone: str = "UTC") -> Partitions:
    return partitions_of(PartitionsSnapshot(PartitionsKind.HOURLY, start, end, timezone))


def at(text: str, timezone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(timezone)).timestamp()


def keys(partitions: Partitions, now: float) -> list[str]:
    return [partitions.key_at(index) for index in range(partitions.count(now))]


def hours_of(window: PartitionWindow | None) -> float:
    assert window is not None
    return (window.end - window.start).total_seconds() / HOUR


def test_a_day_is_a_partition_once_it_has_ended() -> None:
    days = daily("2026-01-30", timezone="Europe/Berlin")
    ends = at("2026-02-01T00:00", "Europe/Berlin")
    assert keys(days, ends - 1) == ["2026-01-30"]
    assert keys(days, ends) == ["2026-01-30", "2026-01-31"]
    assert keys(days, at("2025-06-01T00:00")) == []
    assert (days.has("2026-01-31", ends), days.has("2026-01-31", ends - 1)) == (True, False)


def test_the_end_is_no_partition_any_more() -> None:
    assert keys(daily("2026-01-01", "2026-01-03"), at("2030-01-01T00:00")) == [
        "2026-01-01",
        "2026-01-02",
    ]
    assert keys(hourly("2026-01-01T00:00", "2026-01-01T02:00"), at("2030-01-01T00:00")) == [
        "2026-01-01T00:00",
        "2026-01-01T01:00",
    ]
    assert daily("2026-01-01", "2026-01-03").find_index("2026-01-03") is None
    assert hourly("2026-01-01T00:00", "2026-01-01T02:00").find_index("2026-01-01T02:00") is None


@pytest.mark.parametrize(
    ("timezone", "day", "hours"),
    [
        ("Europe/Berlin", "2026-03-29", 23),
        ("Europe/Berlin", "2026-10-25", 25),
        ("Europe/Berlin", "2026-06-01", 24),
        ("America/Sao_Paulo", "2018-11-04", 23),  # it has no midnight
        ("America/Sao_Paulo", "2019-02-16", 25),  # its last hour is there twice
        ("America/Havana", "2025-11-02", 25),  # its midnight is there twice
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
        ("Pacific/Apia", "2011-12-29", 24),
        ("Pacific/Apia", "2011-12-31", 24),
    ],
)
def test_a_day_goes_from_midnight_to_midnight_in_its_zone(
    timezone: str, day: str, hours: float
) -> None:
    days = daily("2011-01-01", timezone=timezone)
    assert hours_of(days.find_window(day)) == hours


@pytest.mark.parametrize(
    ("timezone", "start"),
    [
        ("Europe/Berlin", "2026-03-28"),
        ("Europe/Berlin", "2026-10-24"),
        ("America/Sao_Paulo", "2018-11-03"),
        ("America/Sao_Paulo", "2019-02-15"),
        ("America/Havana", "2025-11-01"),
        ("Australia/Lord_Howe", "2026-04-04"),
        ("Australia/Lord_Howe", "2026-10-03"),
        ("Pacific/Apia", "2011-12-28"),
        ("Africa/Monrovia", "1972-01-06"),
        ("America/New_York", "2026-11-01"),
    ],
)
@pytest.mark.parametrize("make", [daily, hourly])
def test_no_instant_is_skipped_or_doubled_and_no_key_is_there_twice(
    make: Callable[..., Partitions], timezone: str, start: str
) -> None:
    partitions = make(start, timezone=timezone)
    windows = [partitions.window_at(index) for index in range(60)]
    found = [partitions.key_at(index) for index in range(60)]
    assert all(
        one is not None and other is not None and one.end == other.start and one.start < one.end
        for one, other in pairwise(windows)
    )
    assert len(set(found)) == 60
    assert [partitions.find_index(key) for key in found] == list(range(60))
    last = windows[-1]
    assert last is not None
    assert partitions.count(last.end.timestamp()) == 60
    assert partitions.count(last.end.timestamp() - 1) == 59


def test_an_hour_that_clocks_show_twice_has_its_offset() -> None:
    hours = hourly("2026-10-25T01:00", timezone="Europe/Berlin")
    assert [hours.key_at(index) for index in range(4)] == [
        "2026-10-25T01:00",
        "2026-10-25T02:00+02:00",
        "2026-10-25T02:00+01:00",
        "2026-10-25T03:00",
    ]
    assert hours.find_index("2026-10-25T02:00") is None
    assert hours.find_index("2026-10-25T01:00+02:00") is None


def test_an_hour_that_clocks_leave_out_does_not_exist() -> None:
    hours = hourly("2026-03-29T01:00", timezone="Europe/Berlin")
    assert [hours.key_at(index) for index in range(2)] == ["2026-03-29T01:00", "2026-03-29T03:00"]
    assert hours.find_index("2026-03-29T02:00") is None


def test_a_day_that_a_zone_leaves_out_does_not_exist() -> None:
    days = daily("2011-12-29", timezone="Pacific/Apia")
    assert [days.key_at(index) for index in range(3)] == ["2011-12-29", "2011-12-31", "2012-01-01"]
    assert days.find_index("2011-12-30") is None


@pytest.mark.parametrize(
    "key",
    ["", "x", "2026-1-5", "20260105", "2026-01-05T00:00", "2025-12-31", "9999-12-31", "2026-W01-1"],
)
def test_what_is_no_day_is_no_key(key: str) -> None:
    assert daily("2026-01-01").find_index(key) is None


@pytest.mark.parametrize(
    "key",
    ["", "x", "2026-01-05", "2026-01-05T00:30", "2026-01-05 00:00", "0001-01-01T00:00", "9" * 300],
)
def test_what_is_no_hour_is_no_key(key: str) -> None:
    assert hourly("2026-01-01T00:00").find_index(key) is None


def test_static_partitions_are_there_always_in_their_order() -> None:
    found = partitions_of(PartitionsSnapshot(PartitionsKind.STATIC, keys=("us", "eu")))
    assert keys(found, 0.0) == ["us", "eu"]
    assert (found.find_index("eu"), found.find_index("asia"), found.window_at(0)) == (1, None, None)


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no time zone 'Europe/Nowhere'"):
        daily("2026-01-01", timezone="Europe/Nowhere")
