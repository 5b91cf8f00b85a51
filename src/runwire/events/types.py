"""The types of events, their usual level, and the groups that rules are written on."""

from __future__ import annotations

from enum import Enum, IntEnum


class LogLevel(IntEnum):
    """How severe an event is; the numbers are those of Python's logging."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40
    CRITICAL = 50


class EventType(Enum):
    """What kind of thing an event tells. The value is what is stored."""

    RUN_ENQUEUED = "RUN_ENQUEUED"
    RUN_DEQUEUED = "RUN_DEQUEUED"
    RUN_STARTING = "RUN_STARTING"
    RUN_START = "RUN_START"
    RUN_SUCCESS = "RUN_SUCCESS"
    RUN_FAILURE = "RUN_FAILURE"
    RUN_CANCELING = "RUN_CANCELING"
    RUN_CANCELED = "RUN_CANCELED"
    RUN_WORKER_LOST = "RUN_WORKER_LOST"
    STEP_WORKER_STARTING = "STEP_WORKER_STARTING"
    STEP_WORKER_STARTED = "STEP_WORKER_STARTED"
    RESOURCE_INIT_STARTED = "RESOURCE_INIT_STARTED"
    RESOURCE_INIT_SUCCESS = "RESOURCE_INIT_SUCCESS"
    RESOURCE_INIT_FAILURE = "RESOURCE_INIT_FAILURE"
    LOGS_CAPTURED = "LOGS_CAPTURED"
    STEP_START = "STEP_START"
    STEP_RESTARTED = "STEP_RESTARTED"
    STEP_INPUT = "STEP_INPUT"
    LOADED_INPUT = "LOADED_INPUT"
    STEP_OUTPUT = "STEP_OUTPUT"
    HANDLED_OUTPUT = "HANDLED_OUTPUT"
    STEP_EXPECTATION_RESULT = "STEP_EXPECTATION_RESULT"
    STEP_SUCCESS = "STEP_SUCCESS"
    STEP_SKIPPED = "STEP_SKIPPED"
    STEP_FAILURE = "STEP_FAILURE"
    STEP_UP_FOR_RETRY = "STEP_UP_FOR_RETRY"
    ASSET_MATERIALIZATION = "ASSET_MATERIALIZATION"
    ASSET_OBSERVATION = "ASSET_OBSERVATION"
    ASSET_MATERIALIZATION_PLANNED = "ASSET_MATERIALIZATION_PLANNED"
    HOOK_COMPLETED = "HOOK_COMPLETED"
    HOOK_SKIPPED = "HOOK_SKIPPED"
    HOOK_ERRORED = "HOOK_ERRORED"
    ENGINE_EVENT = "ENGINE_EVENT"


RUN_EVENTS = frozenset(t for t in EventType if t.value.startswith("RUN_"))
"""Events of the run itself. Only they can change its status (`runwire.runs.status.TRANSITIONS`)."""

TERMINAL_RUN_EVENTS = frozenset(
    {EventType.RUN_SUCCESS, EventType.RUN_FAILURE, EventType.RUN_CANCELED}
)
"""Events that end a run when they are applied."""

ASSET_EVENTS = frozenset(
    {
        EventType.ASSET_MATERIALIZATION,
        EventType.ASSET_OBSERVATION,
        EventType.ASSET_MATERIALIZATION_PLANNED,
    }
)
"""Events that name an asset."""

MIRRORED_EVENTS = RUN_EVENTS | ASSET_EVENTS | {EventType.STEP_FAILURE}
"""Events that matter across runs: they are mirrored to the instance-wide log."""

DURABLE_EVENTS = MIRRORED_EVENTS | {
    EventType.STEP_START,
    EventType.STEP_RESTARTED,
    EventType.STEP_SUCCESS,
    EventType.STEP_UP_FOR_RETRY,
}
"""Events that are synced to disk before the call that stores them returns."""

STEP_EVENTS = frozenset(
    t for t in EventType if t.value.startswith("STEP_") or t.value.startswith("HOOK_")
) | {EventType.LOADED_INPUT, EventType.HANDLED_OUTPUT}
"""Events that belong to a step and carry its key."""

USUAL_LEVELS = {
    EventType.RUN_ENQUEUED: LogLevel.INFO,
    EventType.RUN_DEQUEUED: LogLevel.INFO,
    EventType.RUN_STARTING: LogLevel.INFO,
    EventType.RUN_CANCELING: LogLevel.INFO,
    EventType.RUN_FAILURE: LogLevel.ERROR,
    EventType.RUN_CANCELED: LogLevel.ERROR,
    EventType.RUN_WORKER_LOST: LogLevel.ERROR,
    EventType.STEP_FAILURE: LogLevel.ERROR,
    EventType.RESOURCE_INIT_FAILURE: LogLevel.ERROR,
    EventType.HOOK_ERRORED: LogLevel.ERROR,
    EventType.ENGINE_EVENT: LogLevel.INFO,
}
"""The level of a type where its writer names none; DEBUG for types that are not here."""


def usual_level(event_type: EventType | None) -> LogLevel:
    """The level of an event whose writer names none; INFO for a plain log line."""
    if event_type is None:
        return LogLevel.INFO
    return USUAL_LEVELS.get(event_type, LogLevel.DEBUG)
