"""Filters and orders of runs as SQL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    FromClause,
    Select,
    Table,
    bindparam,
    func,
    literal,
    or_,
    select,
    tuple_,
)

from runwire.events.entry import storable_text
from runwire.runs.filters import (
    RunOrder,
    RunOrderField,
    RunPlace,
    RunsFilter,
    TagFilter,
    TimeRange,
)
from runwire.runs.tags import ROOT_RUN_TAG
from runwire.storages.sql.tables import run_tags, runs
from runwire.storages.sql.text import begins_with

_ORDER_COLUMNS = {
    RunOrderField.CREATED_AT: runs.c.created_at,
    RunOrderField.UPDATED_AT: runs.c.updated_at,
    RunOrderField.STARTED_AT: runs.c.started_at,
    RunOrderField.ENDED_AT: runs.c.ended_at,
}


_OWN_TAGS = run_tags.alias()
_OF_THE_RUN = _OWN_TAGS.c.storage_id == runs.c.storage_id


def run_conditions(filter: RunsFilter | None) -> list[ColumnElement[bool]]:
    """The conditions, joined by and, under which a run matches."""
    if filter is None:
        return []
    if filter.run_ids is not None or filter.run_id_prefix:
        return _named_conditions(filter)
    conditions = [_is_among_those_with(tag) for tag in filter.tags]
    if filter.root_run_id is not None:
        conditions.append(_is_among_the_group(storable_text(filter.root_run_id)))
    others = _plain_conditions(replace(filter, root_run_id=None))
    return [*conditions, *others, *_in_range(runs.c.created_at, filter.created_at)]


def _named_conditions(filter: RunsFilter) -> list[ColumnElement[bool]]:
    """The conditions of a filter that names runs: they are looked up by their ids, and each is asked the rest.

    A planner that knows nothing of a table takes ids to be as many as the runs of a status, and no index for what
    is not a plain column.
    """
    ids = RunsFilter(run_ids=filter.run_ids, run_id_prefix=filter.run_id_prefix)
    rest = replace(filter, run_ids=None, run_id_prefix=None)
    return [*_plain_conditions(ids), *conditions_on_the_way(rest)]


def conditions_on_the_way(
    filter: RunsFilter, field: RunOrderField | None = None
) -> list[ColumnElement[bool]]:
    """The conditions of a filter in a form that no index serves, but that of the field along which runs are walked."""
    walked = None if field is None else _ORDER_COLUMNS[field]
    created_at, updated_at = (
        column if column is walked else column + 0.0
        for column in (runs.c.created_at, runs.c.updated_at)
    )
    run_id, status, job_name = (
        column.concat("") for column in (runs.c.run_id, runs.c.status, runs.c.job_name)
    )
    return [
        *map(_carries, filter.tags),
        *_plain_conditions(filter, run_id, status, job_name, updated_at),
        *_in_range(created_at, filter.created_at),
    ]


def _plain_conditions(
    filter: RunsFilter,
    run_id: ColumnElement[str] = runs.c.run_id,
    status: ColumnElement[str] = runs.c.status,
    job_name: ColumnElement[str] = runs.c.job_name,
    updated_at: ColumnElement[float] = runs.c.updated_at,
) -> list[ColumnElement[bool]]:
    """All but those of tags and of the creation."""
    conditions: list[ColumnElement[bool]] = []
    if filter.run_ids is not None:
        conditions.append(run_id.in_(_texts(filter.run_ids)))
    if filter.job_names is not None:
        conditions.append(job_name.in_(_texts(filter.job_names)))
    if filter.statuses is not None:
        conditions.append(status.in_(sorted(each.value for each in filter.statuses)))
    if filter.run_id_prefix is not None:
        conditions.append(begins_with(run_id, filter.run_id_prefix))
    if filter.location_name is not None:
        conditions.append(runs.c.location_name == storable_text(filter.location_name))
    if filter.root_run_id is not None:
        root = storable_text(filter.root_run_id)
        conditions.append(or_(_is_root(runs, root), runs.c.root_run_id == root))
    return conditions + _in_range(updated_at, filter.updated_at)


def _texts(texts: Iterable[str]) -> list[str]:
    return sorted(map(storable_text, texts))


def _is_among_those_with(tag: TagFilter) -> ColumnElement[bool]:
    """Whether a run has a tag, by way of all that have it: right for tags that few runs have."""
    return runs.c.storage_id.in_(_rows_of(tag, run_tags))


def _is_among_the_group(root_run_id: str) -> ColumnElement[bool]:
    """Whether a run is of a group, by way of all that are."""
    other = runs.alias()
    root = select(other.c.storage_id).where(_is_root(other, root_run_id))
    return runs.c.storage_id.in_(root.union_all(_rows_of(_tag_of_root(root_run_id), run_tags)))


def _is_root(table: FromClause, run_id: str) -> ColumnElement[bool]:
    """Whether a run has an id, and is the first of its group."""
    return (table.c.run_id == run_id) & table.c.root_run_id.is_(None)


def _tag_of_root(root_run_id: str) -> TagFilter:
    return TagFilter(ROOT_RUN_TAG, frozenset({root_run_id}))


def _carries(tag: TagFilter) -> ColumnElement[bool]:
    """Whether a run has a tag, by a look at the run's own tags."""
    return _rows_of(tag, _OWN_TAGS).where(_OF_THE_RUN).exists()


def _rows_of(tag: TagFilter, table: FromClause) -> Select[Any]:
    rows = select(table.c.storage_id).where(table.c.key == storable_text(tag.key))
    return rows if tag.values is None else rows.where(table.c.value.in_(_texts(tag.values)))


def _in_range(column: ColumnElement[float], span: TimeRange | None) -> list[ColumnElement[bool]]:
    if span is None:
        return []
    conditions: list[ColumnElement[bool]] = []
    if span.after is not None:
        conditions.append(column > span.after)
    if span.before is not None:
        conditions.append(column < span.before)
    return conditions


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
        rest: what each run on the way is asked, its creation aside.
        is_step: whether it meets one run at most. Asked for an order, a planner that must not sort would walk along
            an index that has it, past all runs.
    """

    source: FromClause
    index: Table
    here: tuple[ColumnElement[bool], ...]
    rest: RunsFilter
    is_step: bool = False

    def count(self, limit: int) -> Select[Any]:
        """How long the walk is, counted no further than a limit, whatever the others say."""
        steps = select(literal(1)).select_from(self.index).where(*self.here).limit(limit)
        return select(func.count()).select_from(steps.subquery())

    def matching(self, limit: int | None) -> Select[Any]:
        """How many runs match, counted no further than a limit."""
        found = select(literal(1)).select_from(self.source).where(*self._conditions()).limit(limit)
        return select(func.count()).select_from(found.subquery())

    def runs(self, after: RunPlace | None, limit: int, *, descending: bool) -> Select[Any]:
        """Runs that match, in order, from a place on."""
        columns = self.index.c
        section = _by_instant(columns.created_at, columns.storage_id, after, descending)
        found = (
            select(runs)
            .select_from(self.source)
            .where(*self._conditions(), *section.conditions)
            .limit(limit)
        )
        return found if self.is_step else found.order_by(*section.order_by)

    def _conditions(self) -> list[ColumnElement[bool]]:
        return [*self.here, *map(_carries, self.rest.tags), *_plain_conditions(self.rest)]


def ways(filter: RunsFilter | None) -> list[list[Walk]]:
    """The ways to the runs that match: each a list of walks that together meet every match, once.

    There are none to runs that are named by their ids, which are few.
    """
    if filter is None or filter.run_ids is not None:
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
    if filter.root_run_id is not None:
        rest = replace(filter, root_run_id=None)
        tag = _tag_of_root(filter.root_run_id)
        root = _walk_of_runs(rest, _is_root(runs, storable_text(filter.root_run_id)))
        found.append([replace(root, is_step=True), _walk_of_tag(rest, tag, filter.root_run_id)])
    return [way for way in found if len(way) <= MAX_WALKS]


def sets(filter: RunsFilter | None) -> list[list[Walk]]:
    """The ways, and walks in no order: to all runs with some value of a tag, or with ids that begin so."""
    if filter is None or filter.run_ids is not None:
        return []
    keys = [tag.key for tag in filter.tags if tag.values is None]
    having = [
        Walk(
            source=run_tags,
            index=run_tags,
            here=(run_tags.c.key == storable_text(key),),
            rest=filter,
        )
        for key in keys
    ]
    named = walk_of_prefix(filter)
    return [*ways(filter), *([walk] for walk in having), *([] if named is None else [[named]])]


def walk_of_prefix(filter: RunsFilter) -> Walk | None:
    """The walk to all runs whose ids begin as a filter says; None when it says nothing."""
    if not filter.run_id_prefix:
        return None
    here = begins_with(runs.c.run_id, filter.run_id_prefix)
    return Walk(source=runs, index=runs, here=(here,), rest=filter)


def span_of(filter: RunsFilter, field: RunOrderField) -> Walk | None:
    """The walk to all runs in the span of time that a filter has for a field; None when it has none."""
    spans = {
        RunOrderField.CREATED_AT: filter.created_at,
        RunOrderField.UPDATED_AT: filter.updated_at,
    }
    here = _in_range(_ORDER_COLUMNS[field], spans.get(field))
    return Walk(source=runs, index=runs, here=tuple(here), rest=filter) if here else None


def _walk_of_tag(filter: RunsFilter, tag: TagFilter, value: str) -> Walk:
    columns = run_tags.c
    others = tuple(other for other in filter.tags if other is not tag)
    return Walk(
        source=run_tags.join(runs, runs.c.storage_id == columns.storage_id),
        index=run_tags,
        here=(
            columns.key == storable_text(tag.key),
            columns.value == storable_text(value),
            *_in_range(columns.created_at, filter.created_at),
        ),
        rest=replace(filter, tags=others),
    )


def _walk_of_runs(rest: RunsFilter, choice: ColumnElement[bool]) -> Walk:
    return Walk(
        source=runs,
        index=runs,
        here=(choice, *_in_range(runs.c.created_at, rest.created_at)),
        rest=rest,
    )


# --------------------------------------------------------------------------------------- orders


@dataclass(frozen=True, slots=True)
class Section:
    """A part of an ordered list of runs: which, from where on, and in which order."""

    conditions: tuple[ColumnElement[bool], ...]
    order_by: tuple[ColumnElement[Any], ...]


@dataclass(frozen=True, slots=True)
class RunList:
    """An ordered list of runs from a place on.

    Attributes:
        statements: its parts in the direction of reading, each with the parameter `limit`.
        parameters: the other parameters of the statements.
    """

    statements: tuple[Select[Any], ...]
    parameters: dict[str, Any]


def run_list(
    order: RunOrder,
    after: RunPlace | None,
    conditions: Sequence[ColumnElement[bool]],
    *,
    backward: bool,
) -> RunList:
    """The list of the runs that meet conditions."""
    if after is None:
        statements, parameters = _all_runs(order, None, backward), {}
    else:
        statements = _all_runs(order, after.value is not None, backward)
        parameters = {"after_value": after.value, "after_storage_id": after.storage_id}
    if conditions:
        statements = tuple(statement.where(*conditions) for statement in statements)
    return RunList(statements, parameters)


@cache
def _all_runs(order: RunOrder, timed: bool | None, backward: bool) -> tuple[Select[Any], ...]:
    """The parts of the list of all runs from a place on, which has the order's instant, or has it not, or is None.

    Made once, for that takes as long as the rest of reading a page.
    """
    after = None
    if timed is not None:
        value: Any = bindparam("after_value", type_=runs.c.created_at.type) if timed else None
        storage_id: Any = bindparam("after_storage_id", type_=runs.c.storage_id.type)
        after = RunPlace(value, storage_id)
    return tuple(
        select(runs)
        .where(*section.conditions)
        .order_by(*section.order_by)
        .limit(bindparam("limit"))
        for section in sections(order, after, backward=backward)
    )


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
    column: Column[float],
    storage_id: ColumnElement[int],
    after: RunPlace | None,
    descending: bool,
) -> Section:
    conditions = (column.is_not(None),) if column.nullable else ()
    if after is not None:
        here = tuple_(column, storage_id)
        place = tuple_(after.value, after.storage_id, types=(column.type, storage_id.type))
        conditions = (*conditions, here < place if descending else here > place)
    keys = (column, storage_id)
    return Section(conditions, tuple(key.desc() if descending else key.asc() for key in keys))
