"""Queries of runs."""

from __future__ import annotations

from typing import Annotated

import strawberry
from strawberry import ID, UNSET

from runwire.api.context import ApiContext, ApiInfo
from runwire.api.loaders import RunRecords, StatsRow
from runwire.api.paging import Window
from runwire.api.rows import given, resolved
from runwire.api.runs.failure import FailureRow
from runwire.api.runs.groups import GroupRow
from runwire.api.runs.inputs import RunOrder, RunsFilter
from runwire.api.runs.page_reads import DEFAULT_RUNS, MAX_RUNS, RunPage, RunPages, read_with_head
from runwire.api.runs.pages import RunConnection
from runwire.api.runs.stats import stats_of
from runwire.api.runs.types import Run
from runwire.api.selections import selects
from runwire.events.entry import storable_text
from runwire.runs.filters import RunOrder as RunOrderRow
from runwire.runs.filters import RunsFilter as RunsFilterRow
from runwire.runs.run import Run as OriginRow
from runwire.runs.run import RunRecord


async def find_run(context: ApiContext, key: list[str]) -> RunRecord | None:
    """The run of a global id."""
    (run_id,) = key
    return await context.loader(RunRecords).find(run_id)


async def find_origin(context: ApiContext, key: list[str]) -> OriginRow | None:
    """The origin of a global id."""
    record = await find_run(context, key)
    return None if record is None else record.run


async def find_failure(context: ApiContext, key: list[str]) -> FailureRow | None:
    """The failure of a global id."""
    record = await find_run(context, key)
    return None if record is None else FailureRow.of(record)


async def find_stats(context: ApiContext, key: list[str]) -> StatsRow | None:
    """The statistics of a global id."""
    record = await find_run(context, key)
    if record is None:
        return None
    stats = stats_of(record, context)
    return stats if isinstance(stats, StatsRow) else await stats


async def find_group(context: ApiContext, key: list[str]) -> GroupRow | None:
    """The group of a global id; null when none of its runs is left."""
    (root_run_id,) = key
    wanted = RunsFilterRow(root_run_id=root_run_id)
    count = await context.lanes.read(context.run_storage.get_runs_count, wanted, limit=1)
    return GroupRow(root_run_id) if count else None


async def _run(
    info: ApiInfo,
    run_id: Annotated[
        ID, strawberry.argument(description="The id of the run, as `Run.runId` gives it.")
    ],
) -> RunRecord | None:
    # A text that no store takes is no run's id.
    return await info.context.loader(RunRecords).find(storable_text(run_id))


async def _runs(
    info: ApiInfo,
    filter: Annotated[
        RunsFilter | None, strawberry.argument(description="Which runs; all when left out.")
    ] = UNSET,
    order_by: Annotated[
        RunOrder | None,
        strawberry.argument(description="In which order; newest created first when left out."),
    ] = UNSET,
    first: Annotated[
        int | None, strawberry.argument(description="How many runs from the start.")
    ] = UNSET,
    after: Annotated[
        str | None,
        strawberry.argument(description="The cursor of the run before the first one wanted."),
    ] = UNSET,
    last: Annotated[
        int | None, strawberry.argument(description="How many runs from the end.")
    ] = UNSET,
    before: Annotated[
        str | None,
        strawberry.argument(description="The cursor of the run after the last one wanted."),
    ] = UNSET,
) -> RunPage:
    window = Window.of(
        given(first),
        given(after),
        given(last),
        given(before),
        default=DEFAULT_RUNS,
        maximum=MAX_RUNS,
    )
    wanted, order = given(filter), given(order_by)
    pages = RunPages(
        info.context.run_storage,
        None if wanted is None else wanted.to_filter(),
        RunOrderRow() if order is None else order.to_order(),
    )
    if selects(info, "headCursor"):
        storage = info.context.instance.storage
        return await info.context.lanes.read(read_with_head, storage, pages, window)
    return await info.context.lanes.read(pages.read, window)


@strawberry.type
class RunQueries:
    """Queries of runs."""

    run: Run | None = resolved(_run, "Finds a run; null when there is none.", type=Run | None)
    runs: RunConnection = resolved(
        _runs,
        "The runs that match a filter, newest first unless ordered otherwise.",
        type=RunConnection,
    )
