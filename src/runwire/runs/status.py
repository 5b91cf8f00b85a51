"""The statuses of a run and the one table that says how events change them.

A transition is a compare-and-set in the storage; terminal statuses absorb: an event that finds no row in
the table is kept in the log with ``applied = False`` and changes nothing.
"""

from __future__ import annotations

from enum import Enum
from functools import cache

from runwire.events.types import EventType


class RunStatus(Enum):
    """The state of a run. SUCCESS, FAILURE and CANCELED are final."""

    NOT_STARTED = "NOT_STARTED"
    QUEUED = "QUEUED"
    MANAGED = "MANAGED"
    STARTING = "STARTING"
    STARTED = "STARTED"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    CANCELING = "CANCELING"
    CANCELED = "CANCELED"

    @property
    def is_terminal(self) -> bool:
        """Whether the run has ended."""
        return self in TERMINAL_STATUSES


_S, _E = RunStatus, EventType

TERMINAL_STATUSES = frozenset({_S.SUCCESS, _S.FAILURE, _S.CANCELED})
UNFINISHED_STATUSES = frozenset(RunStatus) - TERMINAL_STATUSES
IN_PROGRESS_STATUSES = frozenset({_S.STARTING, _S.STARTED, _S.CANCELING})
"""Statuses in which a worker exists or is being started."""

TRANSITIONS: dict[tuple[RunStatus, EventType], RunStatus] = {
    (_S.NOT_STARTED, _E.RUN_ENQUEUED): _S.QUEUED,
    (_S.STARTING, _E.RUN_ENQUEUED): _S.QUEUED,  # put back: its code location could not be reached
    (_S.QUEUED, _E.RUN_DEQUEUED): _S.QUEUED,
    (_S.NOT_STARTED, _E.RUN_STARTING): _S.STARTING,
    (_S.QUEUED, _E.RUN_STARTING): _S.STARTING,
    (_S.NOT_STARTED, _E.RUN_START): _S.STARTED,  # executed in process, without a launcher
    (_S.STARTING, _E.RUN_START): _S.STARTED,
    (_S.MANAGED, _E.RUN_START): _S.MANAGED,  # MANAGED stays so until a terminal event
    (_S.STARTED, _E.RUN_SUCCESS): _S.SUCCESS,
    (_S.CANCELING, _E.RUN_SUCCESS): _S.SUCCESS,  # the worker finished before it was asked
    (_S.MANAGED, _E.RUN_SUCCESS): _S.SUCCESS,
    **{(status, _E.RUN_FAILURE): _S.FAILURE for status in UNFINISHED_STATUSES},
    (_S.STARTING, _E.RUN_CANCELING): _S.CANCELING,
    (_S.STARTED, _E.RUN_CANCELING): _S.CANCELING,
    **{(status, _E.RUN_CANCELED): _S.CANCELED for status in UNFINISHED_STATUSES},
    **{(status, _E.RUN_WORKER_LOST): status for status in IN_PROGRESS_STATUSES},
}
"""(status, event) → the status after it. A pair that is not here is not applied."""


def status_after(status: RunStatus, event_type: EventType | None) -> RunStatus | None:
    """The status after an event of the run; None when the event does not apply in this status."""
    return None if event_type is None else TRANSITIONS.get((status, event_type))


class RunAction(Enum):
    """Something that the status of a run lets be done with it."""

    SUBMIT = "SUBMIT"
    LAUNCH = "LAUNCH"
    RESUME = "RESUME"
    TERMINATE = "TERMINATE"
    REPORT_EVENTS = "REPORT_EVENTS"
    REEXECUTE = "REEXECUTE"
    REEXECUTE_FROM_FAILURE = "REEXECUTE_FROM_FAILURE"
    DELETE = "DELETE"


ALLOWED_STATUSES: dict[RunAction, frozenset[RunStatus]] = {
    RunAction.SUBMIT: frozenset({_S.NOT_STARTED}),
    RunAction.LAUNCH: frozenset({_S.NOT_STARTED, _S.QUEUED}),
    RunAction.RESUME: IN_PROGRESS_STATUSES,
    RunAction.TERMINATE: UNFINISHED_STATUSES,
    RunAction.REPORT_EVENTS: frozenset({_S.MANAGED}),
    RunAction.REEXECUTE: TERMINAL_STATUSES,
    RunAction.REEXECUTE_FROM_FAILURE: frozenset({_S.FAILURE, _S.CANCELED}),
    RunAction.DELETE: TERMINAL_STATUSES | {_S.NOT_STARTED},
}
"""The statuses in which each action is allowed."""


@cache
def actions_in(status: RunStatus) -> tuple[RunAction, ...]:
    """The actions that a status allows, in the order of their declaration."""
    return tuple(action for action in RunAction if status in ALLOWED_STATUSES[action])
