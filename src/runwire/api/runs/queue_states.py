"""Reading the queue: its summary, its pages, and what each run there waits for."""

from __future__ import annotations

from collections.abc import Awaitable
from enum import Enum
from typing import NamedTuple

from strawberry.dataloader import DataLoader

from runwire import clock
from runwire.api.context import ApiContext, ApiInfo
from runwire.api.loaders import LoadedJobs
from runwire.api.rows import describe_enum
from runwire.control import count_attempts
from runwire.control.queue_view import LimitUse, QueuedState, QueueSummary
from runwire.daemons.queue import QueueDaemon
from runwire.daemons.status import LIVE_STATES, daemon_statuses
from runwire.instance import Instance
from runwire.runs.run import RunRecord
from runwire.runs.status import RunStatus
from runwire.workspace import CodeLocationState, CodeLocationStatus


class QueueBlockReason(Enum):
    """Why a queued run is not launched."""

    INSTANCE_LIMIT = "INSTANCE_LIMIT"
    TAG_LIMIT = "TAG_LIMIT"
    QUEUE_PAUSED = "QUEUE_PAUSED"
    CODE_LOCATION_UNAVAILABLE = "CODE_LOCATION_UNAVAILABLE"
    DAEMON_NOT_RUNNING = "DAEMON_NOT_RUNNING"
    RUNS_AHEAD = "RUNS_AHEAD"


describe_enum(
    QueueBlockReason,
    "Why a queued run is not launched.",
    {
        "INSTANCE_LIMIT": "As many runs are in progress as the instance allows.",
        "TAG_LIMIT": "As many runs with one of its tags are in progress as a limit allows.",
        "QUEUE_PAUSED": "The queue is paused: `max_concurrent_runs` is 0.",
        "CODE_LOCATION_UNAVAILABLE": "Its code location is not loaded or cannot be reached.",
        "DAEMON_NOT_RUNNING": "No queue daemon is running.",
        "RUNS_AHEAD": "Runs before it in the queue take the free places.",
    },
)


class BlockRow(NamedTuple):
    """One thing that keeps a run in the queue. `retry_at` is in epoch seconds."""

    reason: QueueBlockReason
    message: str
    limit: LimitUse | None = None
    code_location: CodeLocationState | None = None
    retry_at: float | None = None


class QueueRow(NamedTuple):
    """The queue of an instance."""

    instance_name: str
    max_concurrent_runs: int | None
    summary: QueueSummary


class QueueStateRow(NamedTuple):
    """The place of a run in the queue."""

    run_id: str
    state: QueuedState
    attempts: int
    blocked_by: list[BlockRow]


class QueueStates:
    """The places of runs that wait."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._records: dict[str, RunRecord] = {}
        self._loader: DataLoader[str, QueueStateRow | None] = DataLoader(load_fn=self._load_all)

    def find(self, record: RunRecord) -> Awaitable[QueueStateRow | None] | None:
        """The place of a run; None when it does not wait."""
        if record.status is not RunStatus.QUEUED:
            return None
        self._records[record.run_id] = record
        return self._loader.load(record.run_id)

    async def _load_all(self, run_ids: list[str]) -> list[QueueStateRow | None]:
        instance = self._context.instance
        locations = {
            state.name: state for state in await self._context.loader(LoadedJobs).locations()
        }
        # The first call reads the whole queue, for which queries must not wait.
        states = await self._context.lanes.call(instance.queue.states, run_ids)
        launches = await self._context.lanes.read(_launches, instance)
        return [
            self._row(run_id, states[run_id], locations, launches=launches)
            if run_id in states
            else None
            for run_id in run_ids
        ]

    def _row(
        self,
        run_id: str,
        state: QueuedState,
        locations: dict[str, CodeLocationState],
        *,
        launches: bool,
    ) -> QueueStateRow:
        queue = self._context.instance.run_coordinator.queue
        blocks = [] if launches else [_NO_DAEMON if queue is not None else _NO_QUEUE]
        if queue is not None and queue.is_paused:
            blocks.append(_PAUSED)
        else:
            blocks += map(_limit_block, state.full)
        delay = 0.0 if queue is None else queue.user_code_failure_retry_delay
        blocks += _location_blocks(state, locations, delay)
        if state.has_runs_ahead:
            blocks.append(_RUNS_AHEAD)
        return QueueStateRow(run_id, state, count_attempts(self._records[run_id]), blocks)


_NO_DAEMON = BlockRow(
    QueueBlockReason.DAEMON_NOT_RUNNING,
    "No queue daemon is running; start it with `runwire daemon`.",
)
_NO_QUEUE = BlockRow(
    QueueBlockReason.DAEMON_NOT_RUNNING,
    "The run coordinator of the instance does not queue, so nobody takes runs from the queue; launch the run by"
    " `launchRun`, or set run_coordinator to runwire.coordinators.queued.QueuedRunCoordinator.",
)
_PAUSED = BlockRow(
    QueueBlockReason.QUEUE_PAUSED, "The queue is paused: `max_concurrent_runs` is 0."
)
_RUNS_AHEAD = BlockRow(
    QueueBlockReason.RUNS_AHEAD, "Runs before it in the queue take the free places."
)


def _limit_block(use: LimitUse) -> BlockRow:
    whole = use.limit.key is None
    reason = QueueBlockReason.INSTANCE_LIMIT if whole else QueueBlockReason.TAG_LIMIT
    message = f"{use.limit.describe()} is reached: {use.used} are."
    return BlockRow(reason, message[0].upper() + message[1:], limit=use)


def _location_blocks(
    state: QueuedState, locations: dict[str, CodeLocationState], delay: float
) -> list[BlockRow]:
    location = locations.get(state.location_name or "")
    reason = QueueBlockReason.CODE_LOCATION_UNAVAILABLE
    if location is None:
        return []
    if location.status is not CodeLocationStatus.LOADED:
        message = f"Code location {location.name!r} is {location.status.value}."
        return [BlockRow(reason, message, code_location=location)]
    put_back_at = state.put_back_at
    if put_back_at is None or location.updated_at > put_back_at:
        return []
    retry_at = put_back_at + delay
    if retry_at <= clock.timestamp():
        return []
    message = f"Code location {location.name!r} did not answer when a run of it was launched."
    return [BlockRow(reason, message, code_location=location, retry_at=retry_at)]


def _launches(instance: Instance) -> bool:
    """Whether a queue daemon works."""
    return any(
        status.daemon_type == QueueDaemon.daemon_type and status.state in LIVE_STATES
        for status in daemon_statuses(instance)
    )


async def find_queue_row(context: ApiContext) -> QueueRow | None:
    """The queue; None when the run coordinator does not queue."""
    instance = context.instance
    settings = instance.run_coordinator.queue
    if settings is None:
        return None
    summary = await context.lanes.call(instance.queue.summary)
    return QueueRow(instance.name, settings.max_concurrent_runs, summary)


async def read_queue(info: ApiInfo) -> QueueRow | None:
    """The queue of the instance."""
    return await find_queue_row(info.context)


def read_state(record: RunRecord, context: ApiContext) -> Awaitable[QueueStateRow | None] | None:
    """The place of a run in the queue."""
    return context.loader(QueueStates).find(record)
