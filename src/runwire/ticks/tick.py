"""One evaluation of a schedule or sensor, and the runs that it asks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Self

from runwire.error_info import ErrorInfo

MAX_RUN_KEY_CHARS = 512
"""The most characters that a run key has."""


class TickStatus(Enum):
    """How a tick ended, or that it is being evaluated. SKIPPED and SUCCESS are final."""

    STARTED = "STARTED"
    SKIPPED = "SKIPPED"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"


_FOLLOWING: dict[TickStatus, frozenset[TickStatus]] = {
    TickStatus.STARTED: frozenset(TickStatus),
    TickStatus.FAILURE: frozenset({TickStatus.STARTED}),  # it is tried again
    TickStatus.SKIPPED: frozenset(),
    TickStatus.SUCCESS: frozenset(),
}


def may_follow(status: TickStatus, following: TickStatus) -> bool:
    """Whether a tick in a status may be written with another one, or the same."""
    return following in _FOLLOWING[status]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """A run that an evaluation asks for.

    Attributes:
        job_name: the job.
        run_key: the key under which a schedule or sensor has one run only; None for none.
        run_config: what the job's ops and resources are configured with.
        tags: the tags of the run, by key.
        partition_key: the partition of the run; None for none.
    """

    job_name: str
    run_key: str | None = None
    run_config: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    partition_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """One evaluation of a schedule or sensor. Instants are epoch seconds.

    An evaluation is crash-safe in two steps. What it asks for is stored in the tick, together with the cursor
    that it moves, while the tick stays STARTED; then runs are made by request keys that follow from the tick, and
    the tick ends. Who finds a STARTED tick with requests makes the runs that are missing and evaluates nothing;
    without requests nothing has happened, and it is evaluated again.

    Attributes:
        tick_id: its id, larger for ticks that were made later.
        source_id: the schedule or sensor.
        key: what tells it from other ticks of its source, of which none has the same.
        status: how it ended, or that it is being evaluated.
        due_at: when a schedule was due; for a sensor, when the first evaluation began.
        started_at: when the latest evaluation began.
        ended_at: when it ended; None while STARTED.
        attempts: how often it was tried.
        failure_count: how many of these tries failed by the user's code, and so count against retries.
        requests: the runs that it asks for, in order; None until an evaluation told.
        run_ids: the runs that were made for the requests, in order.
        skip_reason: why it requested no run; None unless SKIPPED.
        error: why it failed; not None if and only if FAILURE.
        cursor: the cursor that was stored with it.
        version: how often it was written. Who writes it has read the version before.

    Raises:
        ValueError: what is given does not fit the status.
    """

    tick_id: int
    source_id: str
    key: str
    status: TickStatus
    due_at: float
    started_at: float
    ended_at: float | None = None
    attempts: int = 1
    failure_count: int = 0
    requests: tuple[RunRequest, ...] | None = None
    run_ids: tuple[str, ...] = ()
    skip_reason: str | None = None
    error: ErrorInfo | None = None
    cursor: str | None = None
    version: int = 1

    def __post_init__(self) -> None:
        status = self.status
        if (self.error is None) is (status is TickStatus.FAILURE):
            raise ValueError(
                f"a tick has an error if and only if it failed; this is {status.value}"
            )
        if self.skip_reason is not None and status is not TickStatus.SKIPPED:
            raise ValueError(f"only a skipped tick has a skip_reason; this is {status.value}")
        if (self.ended_at is None) is not (status is TickStatus.STARTED):
            raise ValueError(f"a tick has ended_at unless it is STARTED; this is {status.value}")

    @property
    def run_keys(self) -> tuple[str, ...]:
        """The run keys that were requested, in order; those that had a run already included."""
        keys = (request.run_key for request in self.requests or ())
        return tuple(key for key in keys if key is not None)


@dataclass(frozen=True, slots=True, order=True)
class TickPlace:
    """A place in the list of a source's ticks, which is ordered by `due_at`, then by `tick_id`."""

    due_at: float
    tick_id: int

    @classmethod
    def of(cls, tick: Tick) -> Self:
        """The place of a tick."""
        return cls(tick.due_at, tick.tick_id)
