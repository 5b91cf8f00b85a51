"""What makes ticks, a schedule or a sensor: how it is told from others, and what is kept about it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum

import msgspec

from runwire.events.entry import storable_text


class TickSourceType(Enum):
    """What makes ticks."""

    SCHEDULE = "SCHEDULE"
    SENSOR = "SENSOR"


class TickSourceStatus(Enum):
    """Whether a schedule or sensor makes ticks."""

    RUNNING = "RUNNING"
    STOPPED = "STOPPED"


@dataclass(frozen=True, slots=True, kw_only=True)
class TickSourceOrigin:
    """Where a schedule or sensor is defined. It stays the same whatever becomes of its code.

    Attributes:
        source_type: whether it is a schedule or a sensor; the two have names of their own.
        location_name: the code location that serves it.
        repository_name: the repository that defines it.
        name: its name, unique in its repository among those of its type.
    """

    source_type: TickSourceType
    location_name: str
    repository_name: str
    name: str

    @property
    def source_id(self) -> str:
        """The id that follows from all of it: 32 hexadecimal digits."""
        names = (self.location_name, self.repository_name, self.name)
        parts = (self.source_type.value, *map(storable_text, names))
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class TickSourceState:
    """What is kept about a schedule or sensor that was ever started. Instants are epoch seconds.

    Attributes:
        origin: where it is defined.
        status: whether it makes ticks.
        by_default: whether the default status of its definition has started it, and nobody else has started or
            stopped it since.
        running_since: when it was last started; None while stopped.
        cursor: what its function goes on from; None before its first.
        cursor_version: how often the cursor was set. Who moves the cursor tells the version that he has read, so
            that of two who do so at once one is refused.
        last_due_at: the latest instant that a tick was made for; ticks that were purged count as well.
        updated_at: when its status or its cursor was last set.
    """

    origin: TickSourceOrigin
    status: TickSourceStatus
    by_default: bool = False
    running_since: float | None = None
    cursor: str | None = None
    cursor_version: int = 0
    last_due_at: float | None = None
    updated_at: float

    @property
    def source_id(self) -> str:
        """The id of the schedule or sensor."""
        return self.origin.source_id

    @property
    def is_running(self) -> bool:
        """Whether it makes ticks."""
        return self.status is TickSourceStatus.RUNNING
