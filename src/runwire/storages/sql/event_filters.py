"""Filters of event records as SQL."""

from __future__ import annotations

from collections.abc import Callable, Collection

from sqlalchemy import ColumnElement, Table, and_, or_

from runwire.events.entry import storable_text
from runwire.events.filters import EventFilter, EventRecordsFilter
from runwire.storage.instance_log import InstanceEventKind
from runwire.storages.sql.rows import as_json
from runwire.storages.sql.tables import instance_log

HoldsText = Callable[[ColumnElement[str], str], ColumnElement[bool]]
"""Makes the condition that a column holds a text, given in lower case, in any case: a dialect's matter."""


def event_conditions(
    events: Table,
    filter: EventFilter | None,
    holds_text: HoldsText,
) -> list[ColumnElement[bool]]:
    """The conditions, joined by and, under which a record of a run's log, in this table, matches."""
    if filter is None:
        return []
    conditions: list[ColumnElement[bool]] = []
    if filter.event_types is not None:
        conditions.append(events.c.event_type.in_(sorted(t.value for t in filter.event_types)))
    if filter.typed is not None:
        is_typed = events.c.event_type.is_not(None)
        conditions.append(is_typed if filter.typed else events.c.event_type.is_(None))
    if filter.levels is not None:
        conditions.append(events.c.level.in_(sorted(int(level) for level in filter.levels)))
    if filter.step_keys is not None:
        conditions.append(events.c.step_key.in_(sorted(map(storable_text, filter.step_keys))))
    if filter.text is not None:
        conditions.append(holds_text(events.c.message, storable_text(filter.text).lower()))
    return conditions


def entry_conditions(
    filter: EventRecordsFilter | None, kinds: Collection[InstanceEventKind]
) -> list[ColumnElement[bool]]:
    """The conditions, joined by and, under which an entry of the instance-wide log matches."""
    columns = instance_log.c
    conditions: list[ColumnElement[bool]] = [columns.kind.in_(sorted(kind.value for kind in kinds))]
    if filter is None:
        return conditions
    if filter.job_names is not None:
        conditions.append(columns.job_name.in_(sorted(map(storable_text, filter.job_names))))
    if filter.after_timestamp is not None:
        conditions.append(columns.timestamp > filter.after_timestamp)
    if filter.before_timestamp is not None:
        conditions.append(columns.timestamp < filter.before_timestamp)
    return [*conditions, _is_event_wanted(filter, kinds)]


def _is_event_wanted(
    filter: EventRecordsFilter, kinds: Collection[InstanceEventKind]
) -> ColumnElement[bool]:
    """What concerns events only; run changes pass, unless assets are asked for."""
    columns = instance_log.c
    conditions: list[ColumnElement[bool]] = [
        columns.event_type.in_(sorted(t.value for t in filter.event_types))
    ]
    if filter.asset_keys is not None:
        keys = sorted(as_json(key) for key in filter.asset_keys)
        conditions.append(columns.asset_key.in_(keys))
        if filter.partitions is not None:
            conditions.append(columns.partition.in_(sorted(map(storable_text, filter.partitions))))
    elif set(kinds) != {InstanceEventKind.EVENT}:
        return or_(columns.kind != InstanceEventKind.EVENT.value, and_(*conditions))
    return and_(*conditions)
