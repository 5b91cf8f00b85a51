"""Filters and orders of runs as SQL."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, func, literal, select, tuple_

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
    RunOrderField.CREATED_AT: runs.c.created_at,
    RunOrderField.UPDATED_AT: runs.c.updated_at,
    RunOrderField.STARTED_AT: runs.c.started_at,
    RunOrderField.ENDED_AT: runs.c.ended_at,
}


def run_conditions(filter: RunsFilter | None) -> list[ColumnElement[bool]]:
    """The conditions, joined by and, under which a run matches."""
    if filter is None:
        return []
    tagged = [_is_among_those_with(tag) for tag in filter.tags]
    return [*tagged, *_plain_conditions(filter), *_in_range(runs.c.created_at, filter.created_at)]


def _plain_conditions(filter: RunsFilter) -> list[ColumnElement[bool]]:
    """All but those of tags and of the creation."""
    conditions: list[ColumnElement[bool]] = []
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
    return conditions + _in_range(runs.c.updated_at, filter.updated_at)


def _texts(texts: Iterable[str]) -> list[str]:
    return sorted(map(storable_text, texts))


def _is_among_those_with(tag: TagFilter) -> ColumnElement[bool]:
    """Whether a run has a tag, by way of all that have it: right for tags that few runs have."""
    return runs.c.storage_id.in_(_rows_of(tag, run_tags))


def _carries(tag: TagFilter) -> ColumnElement[bool]:
    """Whether a run has a tag, by a look at the run's own tags."""
    own = run_tags.alias()
    return _rows_of(tag, own).where(own.c.storage_id == runs.c.storage_id).exists()


def _rows_of(tag: TagFilter, table: FromClause) -> Select[Any]:
    rows = select(table.c.storage_id).where(table.c.key == storable_text(tag.key))
    return rows if tag.values is None else rows.where(table.c.value.in_(_texts(tag.values)))


def _in_range(column: ColumnElement[float], span: TimeRange | None) -> list[ColumnElement[bool]]:
    if span is None:
        return []
    conditions: list[ColumnElement[bool]] = [column.is_not(None)]
    if span.after is not None:
        conditions.append(column > span.after)
    if span.before is not None:
        conditions.append(column < span.before)
    return conditions


def is_span(filter: RunsFilter | None) -> bool:
    """Whether the runs that match are all of a span of time: a stretch of the index that has them in order."""
    return filter is None or replace(filter, created_at=None) == RunsFilter()


# --------------------------------------------------------- ways to runs in the order of creation

MAX_WALKS = 16
"""How many values of one field are walked to one by one."""


@dataclass(frozen=True, slots=True)
class Walk:
    """A walk along an index that has the runs of one status, job or tag in the order of their creation.

    Attributes:
        source: what to select from.
        index: the table whose index it is.
        here: the conditions that the index serves.
        others: those that each run on the way is asked.
    """

    source: FromClause
    index: FromClause
    here: tuple[ColumnElement[bool], ...]
    others: tuple[ColumnElement[bool], ...]

    def count(self, limit: int) -> Select[Any]:
        """How long the walk is, counted no further than a limit, whatever the others say."""
        steps = select(literal(1)).select_from(self.index).where(*self.here).limit(limit)
        return select(func.count()).select_from(steps.subquery())

    def matching(self, limit: int | None) -> Select[Any]:
        """How many runs match, counted no further than a limit."""
        found = (
            select(literal(1)).select_from(self.source).where(*self.here, *self.others).limit(limit)
        )
        return select(func.count()).select_from(found.subquery())

    def runs(self, after: RunPlace | None, limit: int, *, descending: bool) -> Select[Any]:
        """Runs that match, in order, from a place on."""
        columns = self.index.c
        section = _by_instant(columns.created_at, columns.storage_id, after, descending)
        return (
            select(runs)
            .select_from(self.source)
            .where(*self.here, *self.others, *section.conditions)
            .order_by(*section.order_by)
            .limit(limit)
        )


def ways(filter: RunsFilter | None) -> list[list[Walk]]:
    """The ways to the runs that match: each a list of walks that together meet every match, once."""
    if filter is None:
        return []
    found = [
        [_walk_of_tag(filter, tag, value) for value in sorted(tag.values)]
        for tag in filter.tags
        if tag.values is not None
    ]
    if filter.statuses is not None:
        rest = replace(filter, statuses=None)
        statuses = sorted(status.value for status in filter.statuses)
        found.append([_walk_of_runs(rest, runs.c.status == status) for status in statuses])
    if filter.job_names is not None:
        rest = replace(filter, job_names=None)
        found.append(
            [_walk_of_runs(rest, runs.c.job_name == name) for name in _texts(filter.job_names)]
        )
    return [way for way in found if len(way) <= MAX_WALKS]


def _walk_of_tag(filter: RunsFilter, tag: TagFilter, value: str) -> Walk:
    columns = run_tags.c
    others = [_carries(other) for other in filter.tags if other is not tag]
    return Walk(
        source=run_tags.join(runs, runs.c.storage_id == columns.storage_id),
        index=run_tags,
        here=(
            columns.key == storable_text(tag.key),
            columns.value == storable_text(value),
            *_in_range(columns.created_at, filter.created_at),
        ),
        others=(*others, *_plain_conditions(filter)),
    )


def _walk_of_runs(rest: RunsFilter, choice: ColumnElement[bool]) -> Walk:
    return Walk(
        source=runs,
        index=runs,
        here=(choice, *_in_range(runs.c.created_at, rest.created_at)),
        others=(*map(_carries, rest.tags), *_plain_conditions(rest)),
    )


# --------------------------------------------------------------------------------------- orders


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
    column = _ORDER_COLUMNS[order.field]
    if not column.nullable:
        return [_by_instant(column, runs.c.storage_id, after, descending)]
    timeless = _by_making(
        after if after and after.value is None else None, descending, (column.is_(None),)
    )
    timed_after = after if after and after.value is not None else None
    timed = _by_instant(column, runs.c.storage_id, timed_after, descending)
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


def _by_instant(
    column: ColumnElement[float],
    storage_id: ColumnElement[int],
    after: RunPlace | None,
    descending: bool,
) -> Section:
    conditions: tuple[ColumnElement[bool], ...] = (column.is_not(None),)
    if after is not None:
        here, place = tuple_(column, storage_id), (after.value, after.storage_id)
        conditions = (*conditions, here < place if descending else here > place)
    keys = (column, storage_id)
    return Section(conditions, tuple(key.desc() if descending else key.asc() for key in keys))
