"""Filters and orders of runs as SQL."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, select, tuple_

from runwire.events.entry import storable_text
from runwire.runs.filters import (
    RunOrder,
    RunOrderField,
    RunPlace,
    RunsFilter,
    TagFilter,
    TimeRange,
)
from runwire.storages.sql.tables import run_tags, runs
from runwire.storages.sql.text import begins_with

_ORDER_COLUMNS = {
    RunOrderField.UPDATED_AT: runs.c.updated_at,
    RunOrderField.STARTED_AT: runs.c.started_at,
    RunOrderField.ENDED_AT: runs.c.ended_at,
}


def run_conditions(filter: RunsFilter | None) -> list[ColumnElement[bool]]:
    """The conditions, joined by and, under which a run matches."""
    if filter is None:
        return []
    conditions = [_has_tag(tag) for tag in filter.tags]
    if filter.run_ids is not None:
        conditions.append(runs.c.run_id.in_(_texts(filter.run_ids)))
    if filter.job_names is not None:
        conditions.append(runs.c.job_name.in_(_texts(filter.job_names)))
    if filter.statuses is not None:
        conditions.append(runs.c.status.in_(sorted(status.value for status in filter.statuses)))
    if filter.run_id_prefix is not None:
        conditions.append(begins_with(runs.c.run_id, filter.run_id_prefix))
    if filter.location_name is not None:
        conditions.append(runs.c.location_name == storable_text(filter.location_name))
    conditions += _in_range(runs.c.created_at, filter.created_at)
    conditions += _in_range(runs.c.updated_at, filter.updated_at)
    return conditions


def _texts(texts: Iterable[str]) -> list[str]:
    return sorted(map(storable_text, texts))


def _has_tag(tag: TagFilter) -> ColumnElement[bool]:
    tagged = select(run_tags.c.storage_id).where(run_tags.c.key == storable_text(tag.key))
    if tag.values is not None:
        tagged = tagged.where(run_tags.c.value.in_(_texts(tag.values)))
    return runs.c.storage_id.in_(tagged)


def _in_range(column: ColumnElement[float], span: TimeRange | None) -> list[ColumnElement[bool]]:
    if span is None:
        return []
    conditions: list[ColumnElement[bool]] = [column.is_not(None)]
    if span.after is not None:
        conditions.append(column > span.after)
    if span.before is not None:
        conditions.append(column < span.before)
    return conditions


@dataclass(frozen=True, slots=True)
class Section:
    """A part of an ordered list of runs: which, from where on, and in which order."""

    conditions: tuple[ColumnElement[bool], ...]
    order_by: tuple[ColumnElement[Any], ...]


def sections(order: RunOrder, after: RunPlace | None, *, backward: bool) -> list[Section]:
    """The parts of a list in the direction of reading, from a place on.

    Runs without the instant are a part of their own, the last of the list. Each part is one walk along an
    index.
    """
    descending = order.descending is not backward
    if order.field is RunOrderField.CREATED_AT:
        return [_by_making(after, descending, ())]
    column = _ORDER_COLUMNS[order.field]
    timeless = _by_making(
        after if after and after.value is None else None, descending, (column.is_(None),)
    )
    timed = _by_instant(column, after if after and after.value is not None else None, descending)
    parts = [timeless, timed] if backward else [timed, timeless]
    starts_in_second = after is not None and (after.value is None) is not backward
    return parts[1:] if starts_in_second else parts


def _by_making(
    after: RunPlace | None, descending: bool, conditions: tuple[ColumnElement[bool], ...]
) -> Section:
    column = runs.c.storage_id
    if after is not None:
        beyond = column < after.storage_id if descending else column > after.storage_id
        conditions = (*conditions, beyond)
    return Section(conditions, (column.desc() if descending else column.asc(),))


def _by_instant(column: ColumnElement[float], after: RunPlace | None, descending: bool) -> Section:
    conditions: tuple[ColumnElement[bool], ...] = (column.is_not(None),)
    if after is not None:
        here, place = tuple_(column, runs.c.storage_id), (after.value, after.storage_id)
        conditions = (*conditions, here < place if descending else here > place)
    keys = (column, runs.c.storage_id)
    return Section(conditions, tuple(key.desc() if descending else key.asc() for key in keys))
