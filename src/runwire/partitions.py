"""Partitions of jobs: which there are at an instant, and which span of time each stands for.

A day goes from midnight to midnight in its time zone, so where clocks are changed it has 23 or 25 hours; a day that
a zone has left out does not exist. An hour is 60 minutes from the last one on, whatever clocks show. So each instant
after the start lies in one partition. A partition of time exists once its window has ended.

Whoever has a `PartitionsSnapshot` computes all of it, without user code. Instants are epoch seconds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from enum import Enum
from functools import cache, lru_cache
from typing import ClassVar, Self
from zoneinfo import ZoneInfo

import msgspec

HOUR = 3600
MAX_KEYS = 10_000
"""The most keys that static partitions have, and that a list of keys names."""

MAX_KEY_CHARS = 256
MIN_YEAR, MAX_YEAR = 1970, 2999
"""The years in which partitions of time may begin and end."""


class PartitionsKind(Enum):
    """What the partitions of a job stand for."""

    DAILY = "DAILY"
    HOURLY = "HOURLY"
    STATIC = "STATIC"


class PartitionsSnapshot(msgspec.Struct, frozen=True):
    """The partitions of a job as data.

    Attributes:
        kind: what they stand for.
        start: where the first begins, as local ISO text: a date, or a date and a time; empty for static ones.
        end: where the last ends at the latest, as `start`; None for never.
        timezone: the name of the IANA time zone of both.
        keys: the keys of static ones, in order.
        has_config: whether a function of the job gives the run config of each.
    """

    kind: PartitionsKind
    start: str = ""
    end: str | None = None
    timezone: str = "UTC"
    keys: tuple[str, ...] = ()
    has_config: bool = False


@dataclass(frozen=True, slots=True)
class PartitionWindow:
    """The span of time that a partition stands for; `end` is the first instant after it.

    Both are local times of the partitions' zone with the offset that holds then, so their difference is the time that
    has passed, also where clocks are changed between.
    """

    start: datetime
    end: datetime

    @classmethod
    def between(cls, start: float, end: float, zone: ZoneInfo) -> Self:
        """The window between two instants."""
        return cls(_with_offset(start, zone), _with_offset(end, zone))


class Partitions(ABC):
    """The partitions of a job, in order, by index. Indexes never change: later ones are added at the end.

    Attributes:
        have_windows: whether each stands for a span of time.
    """

    have_windows: ClassVar[bool] = True

    @abstractmethod
    def count(self, now: float) -> int:
        """How many there are at an instant."""

    @abstractmethod
    def key_at(self, index: int) -> str:
        """The key of an index, whether its partition exists yet or not."""

    @abstractmethod
    def find_index(self, key: str) -> int | None:
        """The index of a key, whether its partition exists yet or not; None when there never is such a one."""

    def window_at(self, index: int) -> PartitionWindow | None:
        """The window of an index; None where partitions stand for no time."""
        return None

    def has(self, key: str, now: float) -> bool:
        """Whether the partition of a key exists at an instant."""
        index = self.find_index(key)
        return index is not None and index < self.count(now)

    def find_window(self, key: str) -> PartitionWindow | None:
        """The window of a key; None when there is no such partition, or it stands for no time."""
        index = self.find_index(key)
        return None if index is None else self.window_at(index)


@lru_cache(maxsize=256)
def partitions_of(snapshot: PartitionsSnapshot) -> Partitions:
    """The partitions that a snapshot tells of.

    Raises:
        ValueError: it tells of none that this version knows.
    """
    zone = zone_of(snapshot.timezone)
    match snapshot.kind:
        case PartitionsKind.DAILY:
            end = None if snapshot.end is None else date.fromisoformat(snapshot.end)
            return _Daily(date.fromisoformat(snapshot.start), end, zone)
        case PartitionsKind.HOURLY:
            last = None if snapshot.end is None else instant_of(snapshot.end, zone)
            return _Hourly(instant_of(snapshot.start, zone), last, zone)
        case PartitionsKind.STATIC:
            return _Static(snapshot.keys)


@cache
def zone_of(name: str) -> ZoneInfo:
    """A time zone; raises ValueError when there is none of the name."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):  # ZoneInfoNotFoundError is a KeyError
        raise ValueError(
            f"there is no time zone {name!r}; give an IANA name, such as 'Europe/Berlin'"
        ) from None


def instant_of(text: str, zone: ZoneInfo) -> float:
    """The instant of a local ISO date, or date and time; the first of two that the clock shows so.

    Raises:
        ValueError: it is no such text.
    """
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()


class _Static(Partitions):
    have_windows = False

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._keys = keys
        self._indexes = {key: index for index, key in enumerate(keys)}

    def count(self, now: float) -> int:
        return len(self._keys)

    def key_at(self, index: int) -> str:
        return self._keys[index]

    def find_index(self, key: str) -> int | None:
        return self._indexes.get(key)


class _Daily(Partitions):
    def __init__(self, start: date, end: date | None, zone: ZoneInfo) -> None:
        self._start = start
        self._end = end
        self._zone = zone

    def count(self, now: float) -> int:
        latest = datetime.fromtimestamp(now, self._zone).date() + timedelta(days=1)
        while _midnight(latest, self._zone) > now:
            latest -= timedelta(days=1)
        if self._end is not None:
            latest = min(latest, self._end)
        return max(0, self._number(latest))

    def key_at(self, index: int) -> str:
        return self._day(index).isoformat()

    def find_index(self, key: str) -> int | None:
        try:
            day = date.fromisoformat(key)
        except ValueError:
            return None
        is_named_so = day.isoformat() == key and MIN_YEAR <= day.year <= MAX_YEAR
        is_inside = is_named_so and self._start <= day and (self._end is None or day < self._end)
        if not is_inside or day in _left_out(self._zone, day.year):
            return None
        return self._number(day)

    def window_at(self, index: int) -> PartitionWindow:
        begin, end = (_midnight(self._day(each), self._zone) for each in (index, index + 1))
        return PartitionWindow.between(begin, end, self._zone)

    def _number(self, day: date) -> int:
        """How many days there are from the start up to a day, which is not counted."""
        return (day - self._start).days - self._left_out_before(day)

    def _day(self, index: int) -> date:
        """The day of an index: those that are left out are passed over."""
        day = self._start + timedelta(days=index)
        while (missing := index - self._number(day)) or day in _left_out(self._zone, day.year):
            day += timedelta(days=missing or 1)
        return day

    def _left_out_before(self, day: date) -> int:
        return sum(
            self._start <= each < day
            for year in range(self._start.year, day.year + 1)
            for each in _left_out(self._zone, year)
        )


class _Hourly(Partitions):
    def __init__(self, start: float, end: float | None, zone: ZoneInfo) -> None:
        self._start = start
        self._end = end
        self._zone = zone

    def count(self, now: float) -> int:
        until = now if self._end is None else min(now, self._end)
        return max(0, int((until - self._start) // HOUR))

    def key_at(self, index: int) -> str:
        moment = datetime.fromtimestamp(self._start + index * HOUR, self._zone)
        other = moment.replace(fold=1 - moment.fold)
        precision = (
            "seconds" if moment.second else "minutes"
        )  # the offsets of a few zones once had some
        text = moment.replace(tzinfo=None).isoformat(timespec=precision)
        if other.utcoffset() == moment.utcoffset():
            return text
        return text + moment.isoformat(timespec=precision)[len(text) :]

    def find_index(self, key: str) -> int | None:
        if len(key) > MAX_KEY_CHARS:
            return None
        try:
            hours = (instant_of(key, self._zone) - self._start) / HOUR
            index = round(hours)
            is_inside = index >= 0 and (self._end is None or index < self.count(self._end))
            return index if is_inside and self.key_at(index) == key else None
        except (ValueError, OverflowError):
            return None

    def window_at(self, index: int) -> PartitionWindow:
        begin = self._start + index * HOUR
        return PartitionWindow.between(begin, begin + HOUR, self._zone)


def _with_offset(instant: float, zone: ZoneInfo) -> datetime:
    """A local time with its offset, not its zone: by that, Python would take differences of what clocks show."""
    local = datetime.fromtimestamp(instant, zone)
    return local.replace(tzinfo=timezone(local.utcoffset() or timedelta()))


def _midnight(day: date, zone: ZoneInfo) -> float:
    """When a day begins: the first midnight where there are two, the end of the gap where there is none."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()


@cache
def _left_out(zone: ZoneInfo, year: int) -> frozenset[date]:
    """The days of a year that a zone does not have, as Samoa when it moved across the date line."""
    first, following = date(year, 1, 1), date(year + 1, 1, 1)
    days = [first + timedelta(days=n) for n in range((following - first).days + 1)]
    begins = [_midnight(day, zone) for day in days]
    return frozenset(
        day
        for day, begin, end in zip(days, begins, begins[1:], strict=False)
        if begin == end  # it begins where the next one does
    )


# --------------------------------------------------------------------------------------- choosing some


class PartitionRange(msgspec.Struct, frozen=True):
    """Partitions of time from one to another, both included, of those that a job had when they were chosen."""

    partitions: PartitionsSnapshot
    first: str
    last: str


class PartitionSelection(msgspec.Struct, frozen=True):
    """Chosen partitions in order, which stay the same whatever becomes of the job: a range, or else keys."""

    keys: tuple[str, ...] = ()
    range: PartitionRange | None = None

    @property
    def count(self) -> int:
        """How many there are."""
        if self.range is None:
            return len(self.keys)
        first, last = self._ends(self.range)
        return last - first + 1

    def key_at(self, position: int) -> str:
        """The key of a place; the first is 0."""
        if self.range is None:
            return self.keys[position]
        first, _ = self._ends(self.range)
        return partitions_of(self.range.partitions).key_at(first + position)

    def keys_between(self, first: int, end: int) -> list[str]:
        """The keys of the places from one up to another, which is not included."""
        return [self.key_at(position) for position in range(first, min(end, self.count))]

    def _ends(self, chosen: PartitionRange) -> tuple[int, int]:
        partitions = partitions_of(chosen.partitions)
        first, last = map(partitions.find_index, (chosen.first, chosen.last))
        if first is None or last is None:
            raise ValueError(f"{chosen.first!r} or {chosen.last!r} is none of {chosen.partitions}")
        return first, last
