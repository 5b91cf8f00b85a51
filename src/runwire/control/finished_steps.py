"""What workers of a run have done, as its log tells."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from runwire import clock
from runwire.events.entry import EventLogRecord
from runwire.events.filters import EventFilter
from runwire.events.payloads import (
    HandledOutputData,
    StepErrorSource,
    StepFailureData,
    StepRetryData,
)
from runwire.events.types import EventType
from runwire.runs.run import RunRecord
from runwire.storage.event_log_storage import EventLogStorage

T = TypeVar("T")

_TELLING = EventFilter(
    event_types=frozenset(
        {
            EventType.STEP_START,
            EventType.STEP_RESTARTED,
            EventType.HANDLED_OUTPUT,
            EventType.STEP_SUCCESS,
            EventType.STEP_FAILURE,
            EventType.STEP_UP_FOR_RETRY,
            EventType.STEP_SKIPPED,
        }
    )
)


@dataclass(frozen=True, slots=True)
class FinishedSteps:
    """The steps that workers of a run have ended.

    Attributes:
        succeeded: their outputs by name, with the epoch of the worker that stored each.
        failed: those that failed.
        dropped: those that will not run, as the log tells already.
        attempts: how often each of the others has begun, if it has.
        retries: how often each of the others was tried again, or is to be.
        waits: for how long those of them wait that are tried again, in seconds.
    """

    succeeded: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    failed: frozenset[str] = frozenset()
    dropped: frozenset[str] = frozenset()
    attempts: Mapping[str, int] = field(default_factory=dict)
    retries: Mapping[str, int] = field(default_factory=dict)
    waits: Mapping[str, float] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many have ended."""
        return len(self.succeeded) + len(self.failed) + len(self.dropped)


def finished_steps(
    logs: EventLogStorage, record: RunRecord, step_keys: Collection[str] | None = None
) -> FinishedSteps:
    """The steps of a run that have ended for good.

    Only the log counts, not what lies in files. A step that was interrupted by the end of its worker has not
    ended, and neither has one of which the log tells nothing more than that it began. What others than workers
    have written of steps does not count.

    Args:
        logs: keeps the log.
        record: the run.
        step_keys: only these steps; all when None.
    """
    outputs: dict[str, dict[str, int]] = {}
    succeeded: dict[str, dict[str, int]] = {}
    failed: set[str] = set()
    skipped: set[str] = set()
    attempts: dict[str, int] = {}
    retries: dict[str, int] = {}
    waits: dict[str, float] = {}
    for event in _events(logs, record, step_keys):
        key, epoch = event.step_key, event.epoch
        if key is None or epoch is None:
            continue
        match event.event_type:
            case EventType.STEP_START | EventType.STEP_RESTARTED:
                attempts[key] = attempts.get(key, 0) + 1
                outputs[key] = {}
                waits.pop(key, None)
            case EventType.HANDLED_OUTPUT if isinstance(event.data, HandledOutputData):
                outputs.setdefault(key, {})[event.data.output_name] = epoch
            case EventType.STEP_SUCCESS:
                succeeded[key] = outputs.get(key, {})
            case EventType.STEP_FAILURE if not _is_interrupt(event):
                failed.add(key)
            case EventType.STEP_UP_FOR_RETRY if isinstance(event.data, StepRetryData):
                retries[key] = retries.get(key, 0) + 1
                waits[key] = _left_to_wait(event.data.seconds_to_wait, event.timestamp)
            case EventType.STEP_SKIPPED:
                skipped.add(key)
            case _:  # an interrupted step
                pass
    ended = {*succeeded, *failed, *skipped}
    return FinishedSteps(
        succeeded,
        frozenset(failed),
        frozenset(skipped),
        _without(attempts, ended),
        _without(retries, ended),
        _without(waits, ended),
    )


def _without(told: Mapping[str, T], keys: Collection[str]) -> dict[str, T]:
    return {key: value for key, value in told.items() if key not in keys}


def _left_to_wait(seconds: float, since: float) -> float:
    """What is left of a wait, whatever was done to the clock meanwhile."""
    return min(seconds, max(0.0, since + seconds - clock.timestamp()))


def _is_interrupt(event: EventLogRecord) -> bool:
    data = event.data
    return isinstance(data, StepFailureData) and data.error_source is StepErrorSource.INTERRUPT


def _events(
    logs: EventLogStorage, record: RunRecord, step_keys: Collection[str] | None
) -> Iterator[EventLogRecord]:
    wanted = replace(_TELLING, step_keys=None if step_keys is None else frozenset(step_keys))
    after = 0
    while True:
        page = logs.get_records(record, after=after, filter=wanted)
        yield from page.records
        if not page.has_more:
            return
        after = page.records[-1].position
