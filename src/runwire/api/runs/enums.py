"""The enums of runs, described."""

from __future__ import annotations

from enum import Enum

from runwire.api.rows import describe_enum
from runwire.control import ReexecutionStrategy, TerminatePolicy
from runwire.runs.filters import RunOrderField
from runwire.runs.status import RunAction, RunStatus

__all__ = [
    "OrderDirection",
    "ReexecutionStrategy",
    "RunAction",
    "RunOrderField",
    "RunStatus",
    "TerminatePolicy",
]


class OrderDirection(Enum):
    """Which direction an order has."""

    ASC = "ASC"
    DESC = "DESC"


describe_enum(
    OrderDirection,
    "Which direction an order has.",
    {"ASC": "Smallest or oldest first.", "DESC": "Largest or newest first."},
)

describe_enum(
    RunOrderField,
    "What runs can be ordered by.",
    {
        "CREATED_AT": "When they were made.",
        "UPDATED_AT": "When they last changed.",
        "STARTED_AT": "When they began; runs that have not come last.",
        "ENDED_AT": "When they ended; runs that have not come last.",
    },
)

describe_enum(
    RunStatus,
    "The state of a run. SUCCESS, FAILURE and CANCELED are final.",
    {
        "NOT_STARTED": "It is made and nobody was asked to run it.",
        "QUEUED": "It waits in the run queue.",
        "MANAGED": "An external system runs it and reports its events; it stays so until a terminal event.",
        "STARTING": "The run launcher starts a worker for it.",
        "STARTED": "Its worker executes it.",
        "SUCCESS": "It ended and no step failed.",
        "FAILURE": "It ended and failed.",
        "CANCELING": "Its worker was asked to stop.",
        "CANCELED": "It was stopped.",
    },
)

describe_enum(
    RunAction,
    "Something that the status of a run lets be done with it.",
    {
        "SUBMIT": "`submitRun`.",
        "LAUNCH": "`launchRun`.",
        "RESUME": "`resumeRun`.",
        "TERMINATE": "`terminateRun` with any policy.",
        "REPORT_EVENTS": "`reportEvents`.",
        "REEXECUTE": "`reexecuteRun` of all or chosen steps.",
        "REEXECUTE_FROM_FAILURE": "`reexecuteRun` from failure.",
        "DELETE": "`deleteRun` without force.",
    },
)

describe_enum(
    ReexecutionStrategy,
    "Which steps to run again, by how the run ended.",
    {
        "ALL_STEPS": "All steps.",
        "FROM_FAILURE": "Steps that failed or did not end, and all that depend on them.",
    },
)

describe_enum(
    TerminatePolicy,
    "How to stop a run.",
    {
        "SAFE_TERMINATE": "Ask the worker, which cleans up; kill it after its grace.",
        "MARK_AS_CANCELED_IMMEDIATELY": "Mark the run CANCELED at once, whatever its worker does.",
    },
)
