"""Concurrency pools and pages of them."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import strawberry
from strawberry import ID

from runwire.api.context import ApiContext
from runwire.api.loaders import RunRecords
from runwire.api.nodes import Node, global_id
from runwire.api.opaque import pack
from runwire.api.paging import PageInfo, check_limit
from runwire.api.rows import field, loaded, resolved, view
from runwire.api.runs.types import Run
from runwire.api.scalars import DateTime
from runwire.runs.run import RunRecord
from runwire.storage import Pool as PoolRow
from runwire.storage import PoolSlot as SlotRow

STEPS = 10
MAX_STEPS = 100


async def _run(row: SlotRow, context: ApiContext) -> RunRecord | None:
    return await context.loader(RunRecords).find(row.run_id)


@view(SlotRow, "A step that has a slot of a pool, or waits for one.")
class PoolSlot:
    """A step that has a slot of a pool, or waits for one."""

    run_id: ID = field("The id of its run.")
    run: Run | None = loaded(_run, "Its run; null when it was deleted meanwhile.", type=Run | None)
    step_key: str = field("The key of the step.")
    since: DateTime = field("Since when it has the slot, or waits.")


def _limit(row: PoolRow, context: ApiContext) -> int | None:
    return context.instance.settings.pools.default_limit if row.limit is None else row.limit


def _check_steps(first: int | None) -> int:
    return check_limit("first", STEPS if first is None else first, MAX_STEPS)


def _slots(
    root: strawberry.Parent[PoolRow],
    first: Annotated[
        int | None, strawberry.argument(description="How many steps, at most 100.")
    ] = STEPS,
) -> list[SlotRow]:
    return list(root.slots[: _check_steps(first)])


def _waiting(
    root: strawberry.Parent[PoolRow],
    first: Annotated[
        int | None, strawberry.argument(description="How many steps, at most 100.")
    ] = STEPS,
) -> list[SlotRow]:
    return list(root.waiting[: _check_steps(first)])


@view(PoolRow, "A concurrency pool: so many steps of all runs hold a slot of it at once.")
class Pool(Node):
    """A concurrency pool."""

    id: ID = field("The global id of the pool.", lambda pool: global_id("Pool", pool.name))
    name: str = field("Its name, as ops have it in `pool`.")
    limit: int | None = loaded(
        _limit, "How many slots it has; null when their number has no limit.", type=int | None
    )
    has_default_limit: bool = field(
        "Whether its limit is that of the instance, because none was set.",
        lambda pool: pool.limit is None,
    )
    used: int = field("How many slots are taken.", lambda pool: len(pool.slots))
    waiting_count: int = field("How many steps wait for one.", lambda pool: len(pool.waiting))
    slots: list[PoolSlot] = resolved(
        _slots, "Steps that hold slots, longest first.", type=list[PoolSlot]
    )
    waiting: list[PoolSlot] = resolved(
        _waiting, "Steps that wait for a slot, in their order.", type=list[PoolSlot]
    )


class PoolPage(NamedTuple):
    """A page of pools, by name, and how many there are."""

    records: list[PoolRow]
    has_next: bool
    has_previous: bool
    total: int


def cursor_of(name: str) -> str:
    """The cursor of a pool: a version, `pools`, and its name."""
    return pack(1, "pools", name)


@view(PoolRow, "A pool in a page.")
class PoolEdge:
    """A pool in a page."""

    cursor: str = field("The cursor of the pool.", lambda pool: cursor_of(pool.name))
    node: Pool = field("The pool.", lambda pool: pool)


def _page_info(page: PoolPage) -> PageInfo:
    cursors = [cursor_of(pool.name) for pool in page.records]
    return PageInfo(
        has_next_page=page.has_next,
        has_previous_page=page.has_previous,
        start_cursor=cursors[0] if cursors else None,
        end_cursor=cursors[-1] if cursors else None,
    )


@view(PoolPage, "A page of pools.")
class PoolConnection:
    """A page of pools."""

    edges: list[PoolEdge] = field(
        "The pools of the page with their cursors.", lambda page: page.records
    )
    nodes: list[Pool] = field("The pools of the page.", lambda page: page.records)
    page_info: PageInfo = field("Where the page lies.", _page_info)
    total_count: int = field("The number of pools.", lambda page: page.total)
