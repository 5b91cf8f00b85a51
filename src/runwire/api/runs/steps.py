"""The steps of a run, a row of its timeline each, and pages of them."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import strawberry
from strawberry import ID, UNSET

from runwire.api.context import ApiInfo
from runwire.api.events.metadata import ErrorInfo
from runwire.api.nodes import Node, global_id
from runwire.api.opaque import pack, shown, unpack
from runwire.api.paging import PageInfo, check_limit
from runwire.api.rows import describe_enum, field, given, view
from runwire.api.runs.timeline import StepRow, steps_of
from runwire.api.scalars import DateTime
from runwire.errors import CursorInvalidError
from runwire.runs.run import RunRecord
from runwire.runs.steps import StepAttempt as AttemptRow
from runwire.runs.steps import StepMarker as MarkerRow
from runwire.runs.steps import StepStatus

MAX_STEPS = 1000

describe_enum(
    StepStatus,
    "The state of a step.",
    {
        "NOT_STARTED": "It has not begun.",
        "IN_PROGRESS": "It executes.",
        "UP_FOR_RETRY": "It failed and waits for its next attempt.",
        "SUCCESS": "It succeeded.",
        "FAILURE": "It failed for good.",
        "SKIPPED": "It was skipped: an input got no value.",
        "ABANDONED": "It will never run or never ended: a step above it failed, or its run ended first.",
    },
)


class StepPage(NamedTuple):
    """A page of steps, in order, and what it is a part of."""

    rows: list[StepRow]
    total: int
    has_next: bool
    has_previous: bool


# ---------------------------------------------------------------- cursors


def _cursor(row: StepRow) -> str:
    return pack(1, "steps", *row.place)


def _parse_cursor(cursor: str) -> tuple[int, str]:
    match unpack(cursor):
        case [1, "steps", int(level), str(key)]:
            return level, key
        case _:
            raise CursorInvalidError(f"{shown(cursor)} is not a cursor of a list of steps")


# ---------------------------------------------------------------- types


@view(AttemptRow, "One attempt at a step.")
class StepAttempt:
    """One attempt at a step."""

    number: int = field("The number of the attempt, from 1.")
    status: StepStatus = field("How the attempt ended, or that it runs.")
    started_at: DateTime = field("When it began.")
    ended_at: DateTime | None = field("When it ended; null before.")


@view(MarkerRow, "A span of time that the engine spent on a step.")
class StepMarker:
    """A span of time that the engine spent on a step."""

    name: str = field("What the engine did, such as `process_start`.")
    started_at: DateTime | None = field("When it began; null when only its end was recorded.")
    ended_at: DateTime | None = field("When it ended; null before.")


@view(StepRow, "A step of a run, planned or executed: one row of its timeline.")
class RunStep(Node):
    """A step of a run."""

    id: ID = field(
        "The global id of the step of this run.",
        lambda row: global_id("RunStep", row.run_id, row.plan.step_key),
    )
    step_key: str = field("The key of the step, unique in its run.", lambda row: row.plan.step_key)
    op_handle: str = field(
        "The handle of the op that it executes, as `OpNode.handle` gives it.",
        lambda row: row.plan.op_handle,
    )
    status: StepStatus = field("The status of the step.", lambda row: row.history.status)
    level: int = field(
        "How many steps are above it on the longest way from a root of the plan.",
        lambda row: row.plan.level,
    )
    upstream_step_keys: list[str] = field(
        "The steps whose outputs it needs.", lambda row: row.plan.upstream_step_keys
    )
    started_at: DateTime | None = field(
        "When its first attempt began; null before.", lambda row: row.history.started_at
    )
    ended_at: DateTime | None = field(
        "When its last attempt ended; null before.", lambda row: row.history.ended_at
    )
    attempts: list[StepAttempt] = field(
        "Its attempts, oldest first.", lambda row: row.history.attempts
    )
    markers: list[StepMarker] = field(
        "What the engine did for it before and around its attempts, such as starting a process.",
        lambda row: row.history.markers,
    )
    materializations: int = field(
        "The number of its asset materializations.", lambda row: row.history.materializations
    )
    expectations: int = field(
        "The number of its expectation results.", lambda row: row.history.expectations
    )
    error: ErrorInfo | None = field(
        "The error of its last failed attempt; null when none failed.",
        lambda row: row.history.error,
    )


@view(StepRow, "A step in a page.")
class RunStepEdge:
    """A step in a page."""

    cursor: str = field("The cursor of the step.", _cursor)
    node: RunStep = field("The step.", lambda row: row)


def _page_info(page: StepPage) -> PageInfo:
    return PageInfo(
        has_next_page=page.has_next,
        has_previous_page=page.has_previous,
        start_cursor=_cursor(page.rows[0]) if page.rows else None,
        end_cursor=_cursor(page.rows[-1]) if page.rows else None,
    )


@view(StepPage, "A page of steps.")
class RunStepConnection:
    """A page of steps."""

    edges: list[RunStepEdge] = field("The steps of the page with their cursors.", lambda p: p.rows)
    nodes: list[RunStep] = field("The steps of the page.", lambda page: page.rows)
    page_info: PageInfo = field("Where the page lies.", _page_info)
    total_count: int = field("The number of matching steps.", lambda page: page.total)


async def read_steps(
    root: strawberry.Parent[RunRecord],
    info: ApiInfo,
    step_keys: Annotated[
        list[str] | None, strawberry.argument(description="Only these steps.")
    ] = UNSET,
    statuses: Annotated[
        list[StepStatus] | None,
        strawberry.argument(description="Only steps in one of these statuses."),
    ] = UNSET,
    first: Annotated[int | None, strawberry.argument(description="How many steps.")] = MAX_STEPS,
    after: Annotated[
        str | None,
        strawberry.argument(description="The cursor of the step before the first one wanted."),
    ] = UNSET,
) -> StepPage:
    """A page of the steps of a run."""
    limit = MAX_STEPS if first is None else check_limit("first", first, MAX_STEPS)
    cursor = given(after)
    place = None if cursor is None else _parse_cursor(cursor)
    keys, wanted = given(step_keys), given(statuses)
    matching = [
        row
        for row in await steps_of(root, info.context)
        if (keys is None or row.plan.step_key in keys)
        and (wanted is None or row.history.status in wanted)
    ]
    following = [row for row in matching if place is None or row.place > place]
    return StepPage(
        following[:limit],
        len(matching),
        has_next=len(following) > limit,
        has_previous=len(following) < len(matching),
    )
