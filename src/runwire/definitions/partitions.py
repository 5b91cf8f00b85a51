"""Partitions of jobs as users define them: by day, by hour, or by name."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from pydantic_core import PydanticSerializationError

from runwire.definitions.json_schema import as_json
from runwire.definitions.places import caller_place, place_of, refusal
from runwire.errors import InvalidDefinitionError, PartitionConfigError
from runwire.events.entry import storable_text
from runwire.partitions import (
    MAX_KEY_CHARS,
    MAX_KEYS,
    MAX_YEAR,
    MIN_YEAR,
    Partitions,
    PartitionsKind,
    PartitionsSnapshot,
    partitions_of,
    zone_of,
)

PartitionConfigFunction = Callable[[str], Any]
"""Gives the run config of the partition of a key."""


class PartitionsDefinition(ABC):
    """Which partitions a job has. `DailyPartitions`, `HourlyPartitions` and `StaticPartitions` are such."""

    @abstractmethod
    def snapshot(self) -> PartitionsSnapshot:
        """The partitions as data."""

    @property
    def partitions(self) -> Partitions:
        """The partitions in order."""
        return partitions_of(self.snapshot())


@dataclass(frozen=True, init=False)
class DailyPartitions(PartitionsDefinition):
    """A partition a day, from midnight to midnight in a time zone; its key is the day, as in ``2026-01-31``.

    Attributes:
        start: the first day.
        end: the first day after the last; None when there is no last.
        timezone: the name of an IANA time zone.
    """

    start: date
    end: date | None
    timezone: str

    def __init__(
        self, start: str | date, end: str | date | None = None, timezone: str = "UTC"
    ) -> None:
        """Defines them.

        Raises:
            InvalidDefinitionError: a value is refused; the message names place and mend.
        """
        reader = _Reader("DailyPartitions")
        reader.zone(timezone)
        object.__setattr__(self, "start", reader.day("start", start))
        object.__setattr__(self, "end", None if end is None else reader.day("end", end))
        object.__setattr__(self, "timezone", timezone)
        if self.end is not None and self.end <= self.start:
            raise reader.refusal(f"end {self.end} is not after start {self.start}", "swap them")

    def snapshot(self) -> PartitionsSnapshot:
        return PartitionsSnapshot(
            PartitionsKind.DAILY,
            start=self.start.isoformat(),
            end=None if self.end is None else self.end.isoformat(),
            timezone=self.timezone,
        )


@dataclass(frozen=True, init=False)
class HourlyPartitions(PartitionsDefinition):
    """A partition an hour; its key is when the hour begins in a time zone, as in ``2026-01-31T05:00``.

    Where a clock that is set back shows a time twice, both keys have their offset: ``2026-10-25T02:00+01:00``.

    Attributes:
        start: the beginning of the first hour.
        end: the end of the last; None when there is no last.
        timezone: the name of an IANA time zone.
    """

    start: datetime
    end: datetime | None
    timezone: str

    def __init__(
        self,
        start: str | date,
        end: str | date | None = None,
        timezone: str = "UTC",
    ) -> None:
        """Defines them. A start or end without an offset is a local time of the zone.

        Raises:
            InvalidDefinitionError: a value is refused; the message names place and mend.
        """
        reader = _Reader("HourlyPartitions")
        zone = reader.zone(timezone)
        object.__setattr__(self, "start", reader.hour("start", start, zone))
        object.__setattr__(self, "end", None if end is None else reader.hour("end", end, zone))
        object.__setattr__(self, "timezone", timezone)
        if self.end is not None and self.end.timestamp() <= self.start.timestamp():
            raise reader.refusal(f"end {self.end} is not after start {self.start}", "swap them")

    def snapshot(self) -> PartitionsSnapshot:
        return PartitionsSnapshot(
            PartitionsKind.HOURLY,
            start=self.start.isoformat(timespec="minutes"),
            end=None if self.end is None else self.end.isoformat(timespec="minutes"),
            timezone=self.timezone,
        )


@dataclass(frozen=True, init=False)
class StaticPartitions(PartitionsDefinition):
    """Partitions by name.

    Attributes:
        keys: their keys, in order.
    """

    keys: tuple[str, ...]

    def __init__(self, keys: list[str] | tuple[str, ...]) -> None:
        """Defines them.

        Raises:
            InvalidDefinitionError: a key is refused; the message names place and mend.
        """
        reader = _Reader("StaticPartitions")
        if not isinstance(keys, list | tuple):
            raise reader.refusal(f"keys is a {type(keys).__name__}", 'give a list, such as ["eu"]')
        for key in keys:
            reader.check_key(key)
        twice = (
            sorted({key for key in keys if keys.count(key) > 1})
            if len(set(keys)) < len(keys)
            else []
        )
        if twice:
            raise reader.refusal(f"key {twice[0]!r} is given twice", "give each key once")
        if not 1 <= len(keys) <= MAX_KEYS:
            raise reader.refusal(f"there are {len(keys)} keys", f"give 1 to {MAX_KEYS:,}")
        object.__setattr__(self, "keys", tuple(keys))

    def snapshot(self) -> PartitionsSnapshot:
        return PartitionsSnapshot(PartitionsKind.STATIC, keys=self.keys)


@dataclass(frozen=True)
class JobPartitions:
    """The partitions of a job, and how each is configured.

    Attributes:
        definition: which there are.
        config_fn: gives the run config of each; None when all have that of the job.
        owner: the place and the job, for messages.
    """

    definition: PartitionsDefinition
    config_fn: PartitionConfigFunction | None = field(default=None)
    owner: str = ""

    @cached_property
    def snapshot(self) -> PartitionsSnapshot:
        """The partitions as data."""
        made = self.definition.snapshot()
        return PartitionsSnapshot(
            made.kind,
            start=made.start,
            end=made.end,
            timezone=made.timezone,
            keys=made.keys,
            has_config=self.config_fn is not None,
        )

    def run_config(self, key: str) -> dict[str, Any]:
        """What the function gives for a key; nothing without one. Raises what the function raises.

        Raises:
            PartitionConfigError: it gave something else than a run config.
        """
        if self.config_fn is None:
            return {}
        given = self.config_fn(key)
        if given is None:
            return {}
        if not isinstance(given, Mapping):
            raise PartitionConfigError(
                f"{self.owner}: partition_config gave a {type(given).__name__} for {key!r};"
                ' return {"ops": {...}} or None'
            )
        try:
            plain: dict[str, Any] = as_json(given)
        except (PydanticSerializationError, ValueError) as error:
            raise PartitionConfigError(
                f"{self.owner}: what partition_config gave for {key!r} is not JSON: {error};"
                " use values that JSON can hold"
            ) from error
        return plain


def checked_partitions(
    partitions: object, config_fn: object, source: str, subject: str
) -> JobPartitions | None:
    """The partitions of a job; None when it has none.

    Raises:
        InvalidDefinitionError: what was given cannot be that.
    """
    if partitions is None:
        if config_fn is not None:
            raise refusal(
                source, subject, "it has partition_config and no partitions", "give partitions=..."
            )
        return None
    if not isinstance(partitions, PartitionsDefinition):
        raise refusal(
            source,
            subject,
            f"partitions is a {type(partitions).__name__}",
            "give DailyPartitions(...), HourlyPartitions(...) or StaticPartitions(...)",
        )
    owner = f"{source}: {subject}"
    if config_fn is None:
        return JobPartitions(partitions, None, owner)
    if not callable(config_fn) or inspect.isclass(config_fn):
        raise refusal(
            source,
            subject,
            f"partition_config is {config_fn!r}",
            "give a function that takes a key and returns a run config",
        )
    return JobPartitions(partitions, _checked_function(config_fn, subject), owner)


def _checked_function(fn: Callable[..., Any], subject: str) -> PartitionConfigFunction:
    mend = "write def partition_config(key): ..."
    if (
        inspect.iscoroutinefunction(fn)
        or inspect.isgeneratorfunction(fn)
        or inspect.isasyncgenfunction(fn)
    ):
        raise refusal(place_of(fn), subject, "partition_config is async or yields", mend)
    try:
        inspect.signature(fn).bind("key")
    except TypeError as error:
        raise refusal(
            place_of(fn), subject, f"partition_config cannot be called with a key: {error}", mend
        ) from None
    return fn


class _Reader:
    """Reads what partitions are defined by, and refuses what cannot be that."""

    def __init__(self, subject: str) -> None:
        self._place = caller_place()
        self._subject = subject

    def refusal(self, problem: str, mend: str) -> InvalidDefinitionError:
        """The error of a wrong value."""
        return refusal(self._place, self._subject, problem, mend)

    def zone(self, name: object) -> ZoneInfo:
        """The time zone of a name."""
        if not isinstance(name, str):
            raise self.refusal(f"timezone is {name!r}", "give a name, such as 'Europe/Berlin'")
        try:
            return zone_of(name)
        except ValueError as error:
            raise InvalidDefinitionError(f"{self._place}: {self._subject}: {error}") from None

    def day(self, name: str, given: object) -> date:
        """A day."""
        mend = "give a day, such as '2026-01-31'"
        if isinstance(given, str):
            try:
                found = date.fromisoformat(given)
            except ValueError:
                raise self.refusal(f"{name} is {given!r}", mend) from None
        elif isinstance(given, date) and not isinstance(given, datetime):
            found = given
        else:
            raise self.refusal(f"{name} is {given!r}", mend)
        self._check_year(name, found.year)
        return found

    def hour(self, name: str, given: object, zone: ZoneInfo) -> datetime:
        """The beginning of an hour, in the zone."""
        mend = "give the beginning of an hour, such as '2026-01-31T05:00'"
        if isinstance(given, str):
            try:
                found = datetime.fromisoformat(given)
            except ValueError:
                raise self.refusal(f"{name} is {given!r}", mend) from None
        elif isinstance(given, datetime):
            found = given
        elif isinstance(given, date):
            found = datetime(given.year, given.month, given.day)  # noqa: DTZ001 - local, as below
        else:
            raise self.refusal(f"{name} is {given!r}", mend)
        self._check_year(name, found.year)
        local = found.replace(tzinfo=zone) if found.tzinfo is None else found.astimezone(zone)
        if (local.minute, local.second, local.microsecond) != (0, 0, 0):
            raise self.refusal(f"{name} {given!r} is within an hour of {zone.key}", mend)
        return datetime.fromtimestamp(local.timestamp(), zone)

    def check_key(self, key: object) -> None:
        """Checks a static key."""
        if (
            not isinstance(key, str)
            or not 1 <= len(key) <= MAX_KEY_CHARS
            or storable_text(key) != key
            or key != key.strip()
        ):
            raise self.refusal(
                f"key {key!r} cannot be one",
                f"give a text of 1 to {MAX_KEY_CHARS} characters without blanks around it",
            )

    def _check_year(self, name: str, year: int) -> None:
        if not MIN_YEAR <= year <= MAX_YEAR:
            raise self.refusal(
                f"{name} is in the year {year}", f"give one from {MIN_YEAR} to {MAX_YEAR}"
            )
