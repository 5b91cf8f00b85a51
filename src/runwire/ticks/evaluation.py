"""What the function of a schedule or sensor is given, and what it gave."""

from __future__ import annotations

from dataclasses import dataclass

from runwire.events.entry import EventLogRecord
from runwire.runs.run import Run
from runwire.ticks.tick import RunRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorInput:
    """What a sensor's function goes on from.

    Attributes:
        cursor: what an evaluation before has stored; None before the first.
        last_run_key: the last run key of its newest tick that asked for runs; None when none did.
        last_tick_at: when its last tick began, in epoch seconds; None before the first.
        event: what happened, for a sensor that watches the instance-wide log.
        run: the run of the event; None when it is deleted, and without an event.
    """

    cursor: str | None = None
    last_run_key: str | None = None
    last_tick_at: float | None = None
    event: EventLogRecord | None = None
    run: Run | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TickEvaluation:
    """What one evaluation asks for.

    Attributes:
        requests: the runs, in order.
        skip_reason: why there are none; None when no reason was given.
        cursor: what the next evaluation goes on from: as given, unless the function has set it.
    """

    requests: tuple[RunRequest, ...] = ()
    skip_reason: str | None = None
    cursor: str | None = None
