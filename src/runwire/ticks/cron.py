"""When a schedule is due: cron lines, and what they mean where clocks are put forward and back.

A line whose hours are all hours counts absolute time: it is due at each instant whose minute matches, so in the
hour that a change of the clocks repeats twice, and never in one that it leaves out. Any other line names times of
the day, each of which is due once a day: one that a day has twice at the second of them, one that it does not have
at the first instant after the gap. Times that fall on one instant by that are due once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}

_FIELDS = 5
_HOUR = 1
_ALL_HOURS = frozenset(range(24))
_LONGEST_GAP = timedelta(hours=25)
"""More than any change of the clocks: Samoa left out a day."""

_FIRST_WINDOW_SECONDS = 2 * 60 * 60.0
_WINDOW_FACTOR = 24


class CronLineError(ValueError):
    """A cron line cannot be read, or is never due."""


class TimezoneError(ValueError):
    """There is no such time zone."""


@dataclass(frozen=True, slots=True)
class CronSchedule:
    """A cron line in a time zone. Instants are epoch seconds.

    Attributes:
        line: five fields (minute, hour, day of the month, month, day of the week), or one of `ALIASES`.
        timezone: the name of an IANA time zone, such as ``Europe/Berlin``.
    """

    line: str
    timezone: str = "UTC"

    @property
    def zone(self) -> ZoneInfo:
        """Its time zone."""
        return _zone(self.timezone)

    def check(self) -> None:
        """Checks that it can be read and is due at all.

        Raises:
            CronLineError, TimezoneError: the message names the problem and the mend.
        """
        _zone(self.timezone)
        _fields(self.line)
        if next(self.after(0.0), None) is None:
            raise CronLineError(f"{self.line!r} is never due; name a day that its months have")

    def after(self, instant: float) -> Iterator[float]:
        """The instants after one at which it is due, in order; without end, as a rule.

        Raises:
            CronLineError, TimezoneError: as `check`.
        """
        fields, zone = _fields(self.line), _zone(self.timezone)
        last = instant
        begin = datetime.fromtimestamp(instant, zone)
        found = _absolute(fields, begin) if _is_absolute(fields) else _by_day(fields, begin)
        for due in found:
            if due > last:
                yield due
                last = due

    def latest(self, after: float, until: float) -> float | None:
        """The last instant in (`after`, `until`] at which it is due; None when there is none."""
        found = self.last_until(after, until, 1)
        return found[0] if found else None

    def last_until(self, after: float, until: float, count: int) -> list[float]:
        """The last instants, at most `count`, in (`after`, `until`] at which it is due, in order."""
        window = _FIRST_WINDOW_SECONDS
        while True:
            begin = max(after, until - window)
            passed = takewhile(lambda due: due <= until, self.after(begin))
            found = list(deque(passed, maxlen=count))
            if len(found) == count or begin <= after:
                return found
            window *= _WINDOW_FACTOR

    def next_after(self, instant: float, count: int) -> list[float]:
        """The first instants after one at which it is due."""
        return list(islice(self.after(instant), count))


def _absolute(fields: tuple[str, ...], begin: datetime) -> Iterator[float]:
    for due in CronSim(" ".join((fields[0], "*", *fields[2:])), begin):
        yield due.timestamp()


def _by_day(fields: tuple[str, ...], begin: datetime) -> Iterator[float]:
    zone = begin.tzinfo
    for wall in CronSim(" ".join(fields), begin.replace(tzinfo=None) - _LONGEST_GAP):
        yield _instant_of(wall.replace(tzinfo=zone))


def _instant_of(wall: datetime) -> float:
    """When a clock on the wall shows a time: the second time, if it does twice; if never, right after the gap."""
    early, late = wall.replace(fold=0).timestamp(), wall.replace(fold=1).timestamp()
    if early <= late:
        return late
    return _end_of_gap(wall, late, early)


def _end_of_gap(wall: datetime, before: float, after: float) -> float:
    """The first whole second of (`before`, `after`] with the offset that holds after a gap."""
    target = datetime.fromtimestamp(after, wall.tzinfo).utcoffset()
    low, high = int(before), int(after)
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, wall.tzinfo).utcoffset() == target:
            high = middle
        else:
            low = middle
    return float(high)


def _is_absolute(fields: tuple[str, ...]) -> bool:
    return (
        frozenset(CronSim(" ".join(fields), datetime(2000, 1, 1, tzinfo=UTC)).hours) == _ALL_HOURS
    )


@cache
def _fields(line: str) -> tuple[str, ...]:
    fields = tuple(ALIASES.get(line.strip().lower(), line).split())
    if len(fields) != _FIELDS:
        raise CronLineError(
            f"{line!r} has {len(fields)} fields; write five: minute, hour, day of the month, month and day of"
            f" the week, such as '0 6 * * 1-5', or one of {', '.join(ALIASES)}"
        )
    try:
        CronSim(" ".join(fields), datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise CronLineError(
            f"{line!r} cannot be read ({str(error).lower()}); write minute (0-59), hour (0-23), day of the"
            " month (1-31), month (1-12) and day of the week (0-7, Sunday is 0), such as '0 6 * * 1-5'"
        ) from None
    return fields


@cache
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # a missing zone is a KeyError, a folder an OSError
        raise TimezoneError(
            f"there is no time zone {name!r}; give the name of an IANA time zone, such as 'Europe/Berlin'"
        ) from None
