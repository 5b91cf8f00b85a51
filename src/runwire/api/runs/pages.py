"""Pages of runs: their GraphQL types."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import strawberry

from runwire.api.context import ApiInfo
from runwire.api.paging import DEFAULT_COUNT, PageInfo, count_limit
from runwire.api.rows import field, resolved, view
from runwire.api.runs.page_reads import RunPage
from runwire.api.runs.places import format_place
from runwire.api.runs.types import Run
from runwire.runs.filters import RunOrder, RunPlace
from runwire.runs.run import RunRecord


class RunEdgeRow(NamedTuple):
    """A run and the order that it is listed in."""

    run: RunRecord
    order: RunOrder


def cursor_of(record: RunRecord, order: RunOrder) -> str:
    """The cursor of a run in an order."""
    return format_place(RunPlace.of(record, order), order)


@view(RunEdgeRow, "A run in a page.")
class RunEdge:
    """A run in a page."""

    cursor: str = field("The cursor of the run in this order.", lambda row: cursor_of(*row))
    node: Run = field("The run.", lambda row: row.run)


def _edges(page: RunPage) -> list[RunEdgeRow]:
    return [RunEdgeRow(record, page.order) for record in page.records]


def _page_info(page: RunPage) -> PageInfo:
    return PageInfo(
        has_next_page=page.has_next,
        has_previous_page=page.has_previous,
        start_cursor=cursor_of(page.records[0], page.order) if page.records else None,
        end_cursor=cursor_of(page.records[-1], page.order) if page.records else None,
    )


async def _total_count(
    root: strawberry.Parent[RunPage],
    info: ApiInfo,
    limit: Annotated[
        int | None, strawberry.argument(description="Where to stop counting.")
    ] = DEFAULT_COUNT,
) -> int:
    return await info.context.lanes.read(
        info.context.run_storage.get_runs_count,
        root.filter,
        limit=count_limit(limit),
    )


@view(RunPage, "A page of runs.")
class RunConnection:
    """A page of runs."""

    edges: list[RunEdge] = field("The runs of the page with their cursors.", _edges)
    nodes: list[Run] = field("The runs of the page.", lambda page: page.records)
    page_info: PageInfo = field("Where the page lies.", _page_info)
    total_count: int = resolved(
        _total_count,
        "The number of matching runs, counted no further than `limit`; read an equal number as"
        ' "or more".',
    )
    head_cursor: str = field(
        "The cursor of the instance-wide feed when the page was read, for `runs` of the subscription."
    )
