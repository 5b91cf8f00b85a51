"""Cursors of run lists: opaque places in one order.

A cursor packs a version, ``runs``, the order's field and direction, the value there, and the storage id. It
names a place, not a run, so it outlives the run's deletion.
"""

from __future__ import annotations

from typing import Any

from runwire.api.opaque import pack, shown, unpack
from runwire.errors import CursorInvalidError
from runwire.runs.filters import RunOrder, RunOrderField, RunPlace

_VERSION = 1
_LIST = "runs"


def format_place(place: RunPlace, order: RunOrder) -> str:
    """The cursor of a place."""
    return pack(*_head(order), place.value, place.storage_id)


def parse_place(cursor: str, order: RunOrder) -> RunPlace:
    """The place that a cursor names in an order.

    Raises:
        CursorInvalidError: it is malformed, or belongs to another list or another order.
    """
    match unpack(cursor):
        case [int(version), str(listed), str(field), bool(descending), value, int(storage_id)] if (
            version == _VERSION
            and listed == _LIST
            and _is_instant(value)
            and (value is not None or order.field is not RunOrderField.CREATED_AT)
            and not isinstance(storage_id, bool)
            and 0 <= storage_id < 2**63
        ):
            if [version, listed, field, descending] != _head(order):
                raise CursorInvalidError("the cursor belongs to another order of runs")
            return RunPlace(value, storage_id)
        case _:
            raise CursorInvalidError(f"{shown(cursor)} is not a cursor of a list of runs")


def lies_before(place: RunPlace, other: RunPlace, order: RunOrder) -> bool:
    """Whether a place comes before another one in an order."""
    return _rank(place, order) < _rank(other, order)


def _head(order: RunOrder) -> list[Any]:
    return [_VERSION, _LIST, order.field.name, order.descending]


def _is_instant(value: Any) -> bool:
    if value is None:
        return True
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) < 2**53


def _rank(place: RunPlace, order: RunOrder) -> tuple[bool, float, int]:
    sign = -1 if order.descending else 1
    return place.value is None, sign * (place.value or 0.0), sign * place.storage_id
