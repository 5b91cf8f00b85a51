"""Pages of runs: their GraphQL types."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import strawberry

from runwire.api.context import ApiInfo
from runwire.api.paging import DEFAULT_COUNT, PageInfo, count_limit
from runwire.api.rows import field, resolved, view
from runwire.api.runs.page_reads import RunPage
from runwire.api.runs.types import Run


class RunEdgeRow(NamedTuple):
    """A run of a page, by its place there."""

    page: RunPage
    place: int


@view(RunEdgeRow, "A run in a page.")
class RunEdge:
    """A run in a page."""

    cursor: str = field(
        "The cursor of the run in this order.", lambda row: row.page.cursor_at(row.place)
    )
    node: Run = field("The run.", lambda row: row.page.records[row.place])


def _edges(page: RunPage) -> list[RunEdgeRow]:
    return [RunEdgeRow(page, place) for place in range(len(page.records))]


def _page_info(page: RunPage) -> PageInfo:
    return PageInfo(
        has_next_page=page.has_next,
        has_previous_page=page.has_previous,
        start_cursor=page.cursor_at(0) if page.records else None,
        end_cursor=page.cursor_at(-1) if page.records else None,
    )


async def _total_count(
    root: strawberry.Parent[RunPage],
    info: ApiInfo,
    limit: Annotated[
        int | None, strawberry.argument(description="Where to stop counting.")
    ] = DEFAULT_COUNT,
) -> int:
    at_most = count_limit(limit)
    if root.total is not None:
        return min(root.total, at_most)
    return await info.context.lanes.read(
        info.context.run_storage.get_runs_count, root.filter, limit=at_most
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
