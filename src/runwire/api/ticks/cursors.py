"""Cursors of the lists of schedules and of ticks: opaque places, which outlive what lies there."""

from __future__ import annotations

from typing import TypeAlias

from runwire.api.opaque import pack, shown, unpack
from runwire.control import TickSourceRecord
from runwire.errors import CursorInvalidError
from runwire.events.entry import storable_text
from runwire.ticks import Tick, TickPlace, TickSourceType

_VERSION = 1

SourcePlace: TypeAlias = tuple[str, str, str]
"""The place of a schedule or sensor in a list: its name, code location and repository."""


def source_place(record: TickSourceRecord) -> SourcePlace:
    """The place of a schedule or sensor."""
    origin = record.origin
    return origin.name, origin.location_name, origin.repository_name


def format_source_place(record: TickSourceRecord) -> str:
    """The cursor of a schedule or sensor."""
    return pack(_VERSION, record.origin.source_type.value, *source_place(record))


def parse_source_place(cursor: str, source_type: TickSourceType) -> SourcePlace:
    """The place that a cursor names.

    Raises:
        CursorInvalidError: it is malformed, or belongs to another list.
    """
    match unpack(cursor):
        case [int(version), source_type.value, str(name), str(location), str(repository)] if (
            version == _VERSION
        ):
            return storable_text(name), storable_text(location), storable_text(repository)
        case _:
            what = source_type.value.lower()
            raise CursorInvalidError(f"{shown(cursor)} is not a cursor of a list of {what}s")


def format_tick_place(tick: Tick) -> str:
    """The cursor of a tick in the list of its schedule or sensor."""
    return pack(_VERSION, "ticks", tick.source_id, tick.due_at, tick.tick_id)


def parse_tick_place(cursor: str, source_id: str) -> TickPlace:
    """The place that a cursor names among the ticks of a schedule or sensor.

    Raises:
        CursorInvalidError: it is malformed, or belongs to another list.
    """
    match unpack(cursor):
        case [int(version), "ticks", str(source), int() | float() as due_at, int(tick_id)] if (
            version == _VERSION
            and not isinstance(due_at, bool)
            and abs(due_at) < 2**53
            and not isinstance(tick_id, bool)
            and 0 <= tick_id < 2**63
        ):
            if source != source_id:
                raise CursorInvalidError("the cursor belongs to the ticks of something else")
            return TickPlace(float(due_at), tick_id)
        case _:
            raise CursorInvalidError(f"{shown(cursor)} is not a cursor of a list of ticks")
