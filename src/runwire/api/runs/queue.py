"""The run queue: what it holds, its limits, and why each run in it waits."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import strawberry
from strawberry import ID, UNSET
from strawberry.dataloader import DataLoader

from runwire.api.context import ApiContext, ApiInfo
from runwire.api.loaders import RunRecords
from runwire.api.locations.types import CodeLocation
from runwire.api.nodes import Node, global_id
from runwire.api.opaque import pack, shown, unpack
from runwire.api.paging import check_limit
from runwire.api.rows import field, given, resolved, view
from runwire.api.runs.page_reads import DEFAULT_RUNS, MAX_RUNS, RunPage
from runwire.api.runs.pages import RunConnection
from runwire.api.runs.queue_states import (
    BlockRow,
    QueueBlockReason,
    QueueRow,
    QueueStateRow,
    QueueStates,
    find_queue_row,
)
from runwire.api.runs.types import Run
from runwire.api.scalars import DateTime
from runwire.api.streams import instance_cursor
from runwire.control.queue_view import LimitUse
from runwire.errors import CursorInvalidError
from runwire.runs.filters import OLDEST_FIRST, RunsFilter
from runwire.runs.queue_index import Order
from runwire.runs.queueing import Limit, LimitKind
from runwire.runs.run import RunRecord
from runwire.runs.status import RunStatus

HOLDERS = 10
MAX_HOLDERS = 100

_VERSION = 1
_LIST = "queue"


async def find_queue(context: ApiContext, key: list[str]) -> QueueRow | None:
    """The queue of a global id."""
    (name,) = key
    return await find_queue_row(context) if context.instance.name == name else None


async def find_limit(context: ApiContext, key: list[str]) -> LimitUse | None:
    """The limit of a global id."""
    kind, tag = key
    match unpack(tag):
        case [None | str() as tag_key, None | str() as value] if kind in LimitKind.__members__:
            found = context.instance.queue.find_limit
            return await context.lanes.call(found, LimitKind[kind], tag_key, value)
        case _:
            return None


async def find_state(context: ApiContext, key: list[str]) -> QueueStateRow | None:
    """The place of a global id."""
    (run_id,) = key
    record = await context.loader(RunRecords).find(run_id)
    state = None if record is None else context.loader(QueueStates).find(record)
    return None if state is None else await state


class _Holders:
    """The runs that limits count, of which many runs that wait may show the same."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._loader: DataLoader[tuple[Limit, int], list[str]] = DataLoader(load_fn=self._load_all)

    async def load(self, limit: Limit, at_most: int) -> list[RunRecord]:
        """The runs that a limit counts."""
        run_ids = await self._loader.load((limit, at_most))
        runs = self._context.loader(RunRecords)
        found = await asyncio.gather(*map(runs.find, run_ids))
        return [record for record in found if record is not None]

    async def _load_all(self, keys: list[tuple[Limit, int]]) -> list[list[str]]:
        return await self._context.lanes.call(self._context.instance.queue.holders, keys)


async def _holders(
    root: strawberry.Parent[LimitUse],
    info: ApiInfo,
    first: Annotated[
        int | None, strawberry.argument(description="How many runs, at most 100.")
    ] = HOLDERS,
) -> list[RunRecord]:
    limit = check_limit("first", HOLDERS if first is None else first, MAX_HOLDERS)
    return await info.context.loader(_Holders).load(root.limit, limit)


@view(LimitUse, "A limit on runs in progress, and its use.")
class ConcurrencyLimit(Node):
    """A limit on runs in progress, and its use."""

    id: ID = field(
        "The global id of the limit.",
        lambda use: global_id(
            "ConcurrencyLimit", use.limit.kind.name, pack(use.limit.key, use.limit.value)
        ),
    )
    key: str | None = field(
        "The key of the tag that it limits; null for the limit of the whole instance.",
        lambda use: use.limit.key,
    )
    value: str | None = field(
        "The value of the tag that it limits; null when it counts every value of the key together.",
        lambda use: use.limit.value,
    )
    max: int = field("How many runs it lets be in progress.", lambda use: use.limit.max)
    used: int = field("How many runs in progress it counts.")
    waiting: int = field("How many queued runs it blocks.")
    holders: list[Run] = resolved(
        _holders, "Runs in progress that it counts, longest running first.", type=list[Run]
    )


@view(BlockRow, "One thing that keeps a queued run from being launched.")
class QueueBlock:
    """One thing that keeps a queued run from being launched."""

    reason: QueueBlockReason = field("The kind of thing.")
    message: str = field("The same in words.")
    limit: ConcurrencyLimit | None = field("The limit that is reached; null for other reasons.")
    code_location: CodeLocation | None = field(
        "The code location that cannot be reached; null for other reasons."
    )
    retry_at: DateTime | None = field(
        "When it is tried next; null when an event and not the clock will free it."
    )


@view(QueueStateRow, "The place of a queued run and what it waits for.")
class RunQueueState(Node):
    """The place of a queued run and what it waits for."""

    id: ID = field(
        "The global id of the place.", lambda row: global_id("RunQueueState", row.run_id)
    )
    position: int = field("The place in the queue, from 1.", lambda row: row.state.position)
    priority: int = field(
        "The priority that its tag asks for; higher goes first.", lambda row: row.state.priority
    )
    enqueued_at: DateTime = field("When it was queued last.", lambda row: row.state.enqueued_at)
    attempts: int = field("How often a launch was tried and put back.")
    blocked_by: list[QueueBlock] = field(
        "Everything that keeps it from being launched now; empty when it is next."
    )


async def _runs(
    info: ApiInfo,
    first: Annotated[int | None, strawberry.argument(description="How many runs.")] = DEFAULT_RUNS,
    after: Annotated[
        str | None,
        strawberry.argument(description="The cursor of the run before the first one wanted."),
    ] = UNSET,
) -> RunPage:
    limit = check_limit("first", DEFAULT_RUNS if first is None else first, MAX_RUNS)
    cursor = given(after)
    place = None if cursor is None else _parse_place(cursor)
    page = await info.context.lanes.call(info.context.instance.queue.page, place, limit)
    return RunPage(
        RunsFilter(statuses=frozenset({RunStatus.QUEUED})),
        OLDEST_FIRST,
        page.records,
        page.has_more,
        place is not None,
        instance_cursor(page.log_id, page.log_position),
        [pack(_VERSION, _LIST, *order) for order in page.orders],
    )


def _parse_place(cursor: str) -> Order:
    """The place that a cursor names.

    Raises:
        CursorInvalidError: it is malformed, or belongs to another list.
    """
    match unpack(cursor):
        case [int(version), str(listed), first, enqueued_at, int(storage_id)] if (
            (version, listed) == (_VERSION, _LIST)
            and _is_number(first)
            and _is_number(enqueued_at)
            and not isinstance(storage_id, bool)
        ):
            return first, enqueued_at, storage_id
        case _:
            raise CursorInvalidError(f"{shown(cursor)} is not a cursor of the queue")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@view(QueueRow, "The run queue of the instance.")
class RunQueue(Node):
    """The run queue of the instance."""

    id: ID = field(
        "The global id of the queue.", lambda row: global_id("RunQueue", row.instance_name)
    )
    max_concurrent_runs: int | None = field(
        "How many runs may be in progress at once; null when there is no limit, 0 when the queue is paused."
    )
    queued_count: int = field("The number of runs in QUEUED.", lambda row: row.summary.queued)
    in_progress_count: int = field(
        "The number of runs in STARTING, STARTED or CANCELING.",
        lambda row: row.summary.in_progress,
    )
    limits: list[ConcurrencyLimit] = field(
        "Every limit that counts now: the one of the instance, and those of tags that a waiting or running run"
        " has, at most 1,000 of these, those in use before others.",
        lambda row: row.summary.limits,
    )
    runs: RunConnection = resolved(
        _runs, "The queued runs in the order in which they will be tried.", type=RunConnection
    )
