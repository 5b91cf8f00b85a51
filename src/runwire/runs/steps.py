"""What the events of a run's log make of its steps: histories for timelines, and counts. Pure folds.

Both go by the events of `STEP_STATS_EVENTS` alone, so that a storage reads nothing else for them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from runwire.error_info import ErrorInfo
from runwire.events.entry import EventLogRecord
from runwire.events.payloads import PAYLOAD_CLASSES, EngineEventData, StepSuccessData
from runwire.events.types import EventType
from runwire.runs.run import RunRecord, StepCounts


class StepStatus(Enum):
    """The state of a step."""

    NOT_STARTED = "NOT_STARTED"
    IN_PROGRESS = "IN_PROGRESS"
    UP_FOR_RETRY = "UP_FOR_RETRY"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    SKIPPED = "SKIPPED"
    ABANDONED = "ABANDONED"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepAttempt:
    """One attempt at a step. Instants are epoch seconds.

    An attempt whose beginning nobody told of begins where it ended, or as long before as it says it took.
    `epoch` is that of the worker that made it; None for an outsider's.
    """

    number: int
    status: StepStatus
    started_at: float
    ended_at: float | None = None
    epoch: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepMarker:
    """A span of time that the engine spent on a step; None for an end that was not told of."""

    name: str
    started_at: float | None = None
    ended_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepHistory:
    """What is known of a step.

    Attributes:
        status: its status.
        attempts: its attempts, oldest first.
        markers: what the engine did for it, in the order of its beginning.
        materializations, expectations: how many events of these types it has.
        error: the error of its last failed attempt.
    """

    status: StepStatus = StepStatus.NOT_STARTED
    attempts: tuple[StepAttempt, ...] = ()
    markers: tuple[StepMarker, ...] = ()
    materializations: int = 0
    expectations: int = 0
    error: ErrorInfo | None = None

    @property
    def started_at(self) -> float | None:
        """When its first attempt began."""
        return self.attempts[0].started_at if self.attempts else None

    @property
    def ended_at(self) -> float | None:
        """When its last attempt ended."""
        return self.attempts[-1].ended_at if self.attempts else None


NOT_ENDED = frozenset({StepStatus.NOT_STARTED, StepStatus.IN_PROGRESS, StepStatus.UP_FOR_RETRY})
"""Statuses of steps that have not come to an end."""

_BLOCKING = frozenset({StepStatus.FAILURE, StepStatus.ABANDONED})
"""Statuses of a step that keep those below it from ever beginning."""

_BEGINS = frozenset({EventType.STEP_START, EventType.STEP_RESTARTED})
"""Events that begin an attempt."""

_STATUSES = {
    **dict.fromkeys(_BEGINS, StepStatus.IN_PROGRESS),
    EventType.STEP_UP_FOR_RETRY: StepStatus.UP_FOR_RETRY,
    EventType.STEP_SUCCESS: StepStatus.SUCCESS,
    EventType.STEP_FAILURE: StepStatus.FAILURE,
    EventType.STEP_SKIPPED: StepStatus.SKIPPED,
}
"""The status of a step after an event. The last one of a step counts."""

_MARKING_EVENTS = frozenset(
    event_type for event_type, payload in PAYLOAD_CLASSES.items() if payload is EngineEventData
)

STEP_STATS_EVENTS = (
    frozenset(_STATUSES)
    | _MARKING_EVENTS
    | {
        EventType.ASSET_MATERIALIZATION,
        EventType.STEP_EXPECTATION_RESULT,
    }
)
"""The types of the events that make the histories and counts of steps. Others change nothing and name no step."""


def fold_steps(
    histories: Mapping[str, StepHistory], events: Iterable[EventLogRecord]
) -> dict[str, StepHistory]:
    """The histories of steps, by key, after more events of their log, in order of position."""
    folded = dict(histories)
    for event in events:
        if event.step_key is not None and event.event_type in STEP_STATS_EVENTS:
            folded[event.step_key] = _after(folded.get(event.step_key, StepHistory()), event)
    return folded


@dataclass(slots=True)
class StepTally:
    """What the events counted so far make of a run's counts: cheaper than histories, from two of their columns."""

    _materializations: int = 0
    _expectations: int = 0
    _statuses: dict[str, StepStatus] = field(default_factory=dict)

    def count(self, stored_type: str | None, step_key: str | None) -> None:
        """Counts one event, of any type as it is stored; events come in the order of their positions."""
        event_type = None if stored_type is None else _TYPES.get(stored_type)
        if event_type is None:
            return
        if event_type is EventType.ASSET_MATERIALIZATION:
            self._materializations += 1
        elif event_type is EventType.STEP_EXPECTATION_RESULT:
            self._expectations += 1
        if step_key is None:
            return
        status = _STATUSES.get(event_type)
        if status is not None:
            self._statuses[step_key] = status
        else:
            self._statuses.setdefault(step_key, StepStatus.NOT_STARTED)

    def counts(self, record: RunRecord, *, has_ended: bool) -> StepCounts:
        """The counts of a run, whose log has an applied terminal event or not."""
        steps = Counter(self._statuses.values())
        in_progress = steps[StepStatus.IN_PROGRESS] + steps[StepStatus.UP_FOR_RETRY]
        return StepCounts(
            planned=max(record.run.steps_planned, len(self._statuses)),
            in_progress=0 if has_ended else in_progress,
            succeeded=steps[StepStatus.SUCCESS],
            failed=steps[StepStatus.FAILURE],
            skipped=steps[StepStatus.SKIPPED],
            materializations=self._materializations,
            expectations=self._expectations,
        )


_TYPES = {event_type.value: event_type for event_type in STEP_STATS_EVENTS}


def settle_steps(
    histories: Mapping[str, StepHistory], upstream: Mapping[str, Sequence[str]], *, run_ended: bool
) -> dict[str, StepHistory]:
    """The histories with those steps ABANDONED that will never run, or never ended.

    Args:
        histories: what the log tells of steps, by key.
        upstream: for each step of the plan, those whose outputs it needs; a step comes after all of them.
        run_ended: whether the run has ended, and with it whatever had not.
    """
    settled: dict[str, StepHistory] = {}
    for key in [*upstream, *(key for key in histories if key not in upstream)]:
        history = histories.get(key, StepHistory())
        is_blocked = history.status is StepStatus.NOT_STARTED and any(
            settled[above].status in _BLOCKING
            for above in upstream.get(key, ())
            if above in settled
        )
        given_up = is_blocked or (run_ended and history.status in NOT_ENDED)
        settled[key] = _abandoned(history) if given_up else history
    return settled


def _after(history: StepHistory, event: EventLogRecord) -> StepHistory:
    event_type = event.event_type
    if event_type in _MARKING_EVENTS:
        return _marked(history, event)
    if event_type in _BEGINS:
        return _begun(history, event)
    match event_type:
        case EventType.STEP_SKIPPED:
            return replace(history, status=_STATUSES[event_type])
        case EventType.STEP_SUCCESS | EventType.STEP_FAILURE | EventType.STEP_UP_FOR_RETRY:
            return _ended(history, event, _STATUSES[event_type])
        case EventType.ASSET_MATERIALIZATION:
            return replace(history, materializations=history.materializations + 1)
        case EventType.STEP_EXPECTATION_RESULT:
            return replace(history, expectations=history.expectations + 1)
        case _:
            return history


def _begun(history: StepHistory, event: EventLogRecord) -> StepHistory:
    attempts = history.attempts
    if attempts and attempts[-1].status is StepStatus.IN_PROGRESS:
        if event.event_type is EventType.STEP_START and event.epoch == attempts[-1].epoch:
            # Told of twice; by another worker it is another attempt.
            return replace(history, status=StepStatus.IN_PROGRESS)
        attempts = (*attempts[:-1], replace(attempts[-1], status=StepStatus.ABANDONED))
    attempt = StepAttempt(
        number=len(attempts) + 1,
        status=StepStatus.IN_PROGRESS,
        started_at=event.timestamp,
        epoch=event.epoch,
    )
    return replace(history, status=StepStatus.IN_PROGRESS, attempts=(*attempts, attempt))


def _ended(history: StepHistory, event: EventLogRecord, status: StepStatus) -> StepHistory:
    attempts = history.attempts
    if attempts and attempts[-1].status is StepStatus.IN_PROGRESS:
        attempts = (*attempts[:-1], replace(attempts[-1], status=status, ended_at=event.timestamp))
    else:
        attempt = StepAttempt(
            number=len(attempts) + 1,
            status=status,
            started_at=event.timestamp - _duration(event),
            ended_at=event.timestamp,
            epoch=event.epoch,
        )
        attempts = (*attempts, attempt)
    error = history.error if status is StepStatus.SUCCESS else event.error
    return replace(history, status=status, attempts=attempts, error=error)


def _duration(event: EventLogRecord) -> float:
    return event.data.duration_ms / 1000 if isinstance(event.data, StepSuccessData) else 0.0


def _marked(history: StepHistory, event: EventLogRecord) -> StepHistory:
    data = event.data
    if not isinstance(data, EngineEventData):
        return history
    markers = list(history.markers)
    if data.marker_end is not None:
        _end_marker(markers, data.marker_end, event.timestamp)
    if data.marker_start is not None:
        markers.append(StepMarker(name=data.marker_start, started_at=event.timestamp))
    return replace(history, markers=tuple(markers))


def _end_marker(markers: list[StepMarker], name: str, ended_at: float) -> None:
    for index in reversed(range(len(markers))):
        if markers[index].name == name and markers[index].ended_at is None:
            markers[index] = replace(markers[index], ended_at=ended_at)
            return
    markers.append(StepMarker(name=name, ended_at=ended_at))


def _abandoned(history: StepHistory) -> StepHistory:
    attempts = history.attempts
    if attempts and attempts[-1].status is StepStatus.IN_PROGRESS:
        attempts = (*attempts[:-1], replace(attempts[-1], status=StepStatus.ABANDONED))
    return replace(history, status=StepStatus.ABANDONED, attempts=attempts)
