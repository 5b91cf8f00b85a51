"""The enums of events, described."""

from __future__ import annotations

from enum import Enum

from runwire.api.rows import describe_enum
from runwire.events.payloads import RunFailureReason, StepErrorSource
from runwire.events.types import EventType, LogLevel

__all__ = ["EventType", "LogLevel", "RunFailureReason", "StepErrorSource", "TextFormat"]


class TextFormat(Enum):
    """How to show a text."""

    PLAIN = "PLAIN"
    MARKDOWN = "MARKDOWN"
    URL = "URL"
    PATH = "PATH"


describe_enum(
    TextFormat,
    "How to show a text.",
    {
        "PLAIN": "As it is.",
        "MARKDOWN": "As Markdown.",
        "URL": "As a link.",
        "PATH": "As a path of a file or folder.",
    },
)

describe_enum(
    LogLevel,
    "How severe an event is.",
    {
        "DEBUG": "For tracing.",
        "INFO": "Worth knowing.",
        "WARNING": "Perhaps wrong.",
        "ERROR": "Wrong.",
        "CRITICAL": "Wrong, and work cannot go on.",
    },
)

describe_enum(
    EventType,
    "What kind of thing an event tells.",
    {
        "RUN_ENQUEUED": "The run was put into the queue.",
        "RUN_DEQUEUED": "The run was taken from the queue.",
        "RUN_STARTING": "A worker is being started for the run.",
        "RUN_START": "The worker began the run.",
        "RUN_SUCCESS": "The run ended and no step failed.",
        "RUN_FAILURE": "The run ended and failed.",
        "RUN_CANCELING": "The run was asked to stop.",
        "RUN_CANCELED": "The run was stopped.",
        "RUN_WORKER_LOST": "The run's worker died or was fenced; the run goes on when it is resumed.",
        "STEP_WORKER_STARTING": "A worker for the step is being started.",
        "STEP_WORKER_STARTED": "A worker for the step began.",
        "RESOURCE_INIT_STARTED": "Resources are being set up.",
        "RESOURCE_INIT_SUCCESS": "Resources are set up.",
        "RESOURCE_INIT_FAILURE": "Setting up a resource failed.",
        "LOGS_CAPTURED": "Capture of stdout and stderr began.",
        "STEP_START": "The step began its first attempt.",
        "STEP_RESTARTED": "The step began another attempt.",
        "STEP_INPUT": "The step got an input.",
        "LOADED_INPUT": "An I/O manager loaded an input.",
        "STEP_OUTPUT": "The step gave an output.",
        "HANDLED_OUTPUT": "An I/O manager stored an output.",
        "STEP_EXPECTATION_RESULT": "The step told whether an expectation holds.",
        "STEP_SUCCESS": "The step succeeded.",
        "STEP_SKIPPED": "The step was skipped.",
        "STEP_FAILURE": "The step failed for good.",
        "STEP_UP_FOR_RETRY": "The step failed and will be tried again.",
        "ASSET_MATERIALIZATION": "An asset was made or renewed.",
        "ASSET_OBSERVATION": "Something was learned about an asset.",
        "ASSET_MATERIALIZATION_PLANNED": "The run is to materialize an asset.",
        "HOOK_COMPLETED": "A hook did its work.",
        "HOOK_SKIPPED": "A hook had nothing to do.",
        "HOOK_ERRORED": "A hook failed.",
        "ENGINE_EVENT": "The engine tells what it does.",
    },
)

describe_enum(
    StepErrorSource,
    "Whose failure a step's failure is.",
    {
        "USER_CODE_ERROR": "The user's code raised.",
        "FRAMEWORK_ERROR": "The framework refused what the user's code did.",
        "UNEXPECTED_ERROR": "The framework itself failed, or the process died.",
        "INTERRUPT": "The step was interrupted.",
    },
)

describe_enum(
    RunFailureReason,
    "The kind of reason for which a run failed.",
    {
        "STEP_FAILURE": "One or more steps failed.",
        "RUN_EXCEPTION": "The worker raised outside of any step.",
        "LOAD_FAILED": "The worker could not load the job.",
        "LAUNCH_FAILED": "The run launcher could not start a worker.",
        "START_TIMEOUT": "No worker began within the start timeout.",
        "MAX_RUNTIME": "It ran longer than its maximum run time.",
        "WORKER_LOST": "Its worker died and was not resumed.",
        "REPORTED": "An external system reported it.",
    },
)
