"""Which event records somebody wants."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from runwire.errors import InputInvalidError
from runwire.events.entry import EventLogRecord
from runwire.events.types import MIRRORED_EVENTS, EventType, LogLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which event records of a run. Fields are joined by and, the values of one field by or.

    Attributes:
        event_types: records of one of these types; an empty set matches nothing.
        typed: records with a type (True), or lines that user code logged (False).
        levels: records of one of these levels.
        step_keys: records of one of these steps.
        text: records whose message holds this text, in any case (as `str.lower` compares).
    """

    event_types: frozenset[EventType] | None = None
    typed: bool | None = None
    levels: frozenset[LogLevel] | None = None
    step_keys: frozenset[str] | None = None
    text: str | None = None

    def matches(self, record: EventLogRecord) -> bool:
        """Whether the record is wanted."""
        return (
            (self.event_types is None or record.event_type in self.event_types)
            and (self.typed is None or (record.stored_type is not None) == self.typed)
            and (self.levels is None or record.level in self.levels)
            and (self.step_keys is None or record.step_key in self.step_keys)
            and (self.text is None or self.text.lower() in record.message.lower())
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecordsFilter:
    """Which event records of all runs, from the instance-wide log (mirrored events only).

    Attributes:
        event_types: records of one of these types; each one is mirrored.
        job_names: records of runs of one of these jobs.
        asset_keys: records of one of these assets.
        partitions: records of one of these partitions; needs `asset_keys`.
        after_timestamp, before_timestamp: records later or earlier than this, in epoch seconds, exclusive.

    Raises:
        InputInvalidError: a type is not mirrored, or partitions are given without assets.
    """

    event_types: frozenset[EventType]
    job_names: frozenset[str] | None = None
    asset_keys: frozenset[tuple[str, ...]] | None = None
    partitions: frozenset[str] | None = None
    after_timestamp: float | None = None
    before_timestamp: float | None = None

    def __post_init__(self) -> None:
        check_mirrored(self.event_types, ["event_types"])
        if self.partitions is not None and self.asset_keys is None:
            raise InputInvalidError(
                "partitions are given without assets; name the assets that they are of",
                ["partitions"],
            )


def check_mirrored(event_types: Iterable[EventType], path: Sequence[str]) -> None:
    """Checks that the instance-wide log has events of these types.

    Raises:
        InputInvalidError: it has not; names them, at this path.
    """
    outside = sorted(each.value for each in event_types if each not in MIRRORED_EVENTS)
    if outside:
        raise InputInvalidError(
            f"{', '.join(outside)} {'is' if len(outside) == 1 else 'are'} not in the instance-wide log, which"
            " has the events of runs themselves, STEP_FAILURE and asset events; ask the log of a run",
            path,
        )
