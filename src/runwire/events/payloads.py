"""What each event type adds to its record: one payload class a kind, tagged by `kind` in JSON."""

from __future__ import annotations

from enum import Enum

import msgspec

from runwire.events.metadata import MetadataEntry
from runwire.events.types import ASSET_EVENTS, EventType


class RunFailureReason(Enum):
    """The kind of reason for which a run failed."""

    STEP_FAILURE = "STEP_FAILURE"
    RUN_EXCEPTION = "RUN_EXCEPTION"
    LOAD_FAILED = "LOAD_FAILED"
    LAUNCH_FAILED = "LAUNCH_FAILED"
    START_TIMEOUT = "START_TIMEOUT"
    MAX_RUNTIME = "MAX_RUNTIME"
    WORKER_LOST = "WORKER_LOST"
    REPORTED = "REPORTED"


class StepErrorSource(Enum):
    """Whose failure a step's failure is."""

    USER_CODE_ERROR = "USER_CODE_ERROR"
    FRAMEWORK_ERROR = "FRAMEWORK_ERROR"
    UNEXPECTED_ERROR = "UNEXPECTED_ERROR"
    INTERRUPT = "INTERRUPT"


class Payload(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind"):
    """The root of the payloads."""


class TypeCheck(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the type check of a value ended. `description` says what is wrong with the value."""

    success: bool
    type_name: str
    description: str | None = None
    metadata: tuple[MetadataEntry, ...] = ()


class StepInputData(Payload, frozen=True, omit_defaults=True, tag="step_input"):
    """Data of STEP_INPUT."""

    input_name: str
    type_check: TypeCheck | None = None


class LoadedInputData(Payload, frozen=True, omit_defaults=True, tag="loaded_input"):
    """Data of LOADED_INPUT."""

    input_name: str
    manager_key: str
    upstream_step_key: str | None = None
    upstream_output_name: str | None = None
    metadata: tuple[MetadataEntry, ...] = ()


class StepOutputData(Payload, frozen=True, omit_defaults=True, tag="step_output"):
    """Data of STEP_OUTPUT."""

    output_name: str
    mapping_key: str | None = None
    type_check: TypeCheck | None = None
    metadata: tuple[MetadataEntry, ...] = ()


class HandledOutputData(Payload, frozen=True, omit_defaults=True, tag="handled_output"):
    """Data of HANDLED_OUTPUT."""

    output_name: str
    manager_key: str
    metadata: tuple[MetadataEntry, ...] = ()


class ExpectationData(Payload, frozen=True, omit_defaults=True, tag="expectation"):
    """Data of STEP_EXPECTATION_RESULT."""

    success: bool
    label: str | None = None
    description: str | None = None
    metadata: tuple[MetadataEntry, ...] = ()


class StepSuccessData(Payload, frozen=True, tag="step_success"):
    """Data of STEP_SUCCESS. `duration_ms` is the time of the attempt in milliseconds."""

    duration_ms: float


class StepFailureData(Payload, frozen=True, omit_defaults=True, tag="step_failure"):
    """Data of STEP_FAILURE; the error itself is the entry's `error`."""

    error_source: StepErrorSource
    label: str | None = None
    description: str | None = None
    metadata: tuple[MetadataEntry, ...] = ()


class StepRetryData(Payload, frozen=True, omit_defaults=True, tag="step_retry"):
    """Data of STEP_UP_FOR_RETRY."""

    seconds_to_wait: float = 0.0


class AssetEventData(Payload, frozen=True, omit_defaults=True, tag="asset"):
    """Data of the asset events. `asset_key` holds the parts of the key, outermost first."""

    asset_key: tuple[str, ...]
    partition: str | None = None
    description: str | None = None
    tags: dict[str, str] = {}
    metadata: tuple[MetadataEntry, ...] = ()


class LogsCapturedData(Payload, frozen=True, omit_defaults=True, tag="logs_captured"):
    """Data of LOGS_CAPTURED."""

    log_key: str
    step_keys: tuple[str, ...] = ()


class EngineEventData(Payload, frozen=True, omit_defaults=True, tag="engine"):
    """Data of ENGINE_EVENT and of the worker and resource events."""

    marker_start: str | None = None
    marker_end: str | None = None
    metadata: tuple[MetadataEntry, ...] = ()


class RunFailureData(Payload, frozen=True, omit_defaults=True, tag="run_failure"):
    """Data of RUN_FAILURE; the error itself is the entry's `error`. At most 25 failed steps."""

    reason: RunFailureReason
    failed_step_keys: tuple[str, ...] = ()


class UnreadableEventData(msgspec.Struct, frozen=True):
    """Stands in, on reading, for data that this version cannot read. Never stored.

    Attributes:
        stored_type: the event type as it is stored.
        problem: why the data cannot be read.
        body: the body as it is stored; None when it is not UTF-8.
    """

    stored_type: str | None
    problem: str
    body: str | None = None


AnyPayload = (
    StepInputData
    | LoadedInputData
    | StepOutputData
    | HandledOutputData
    | ExpectationData
    | StepSuccessData
    | StepFailureData
    | StepRetryData
    | AssetEventData
    | LogsCapturedData
    | EngineEventData
    | RunFailureData
)

_ENGINE_EVENTS = (
    EventType.ENGINE_EVENT,
    EventType.STEP_WORKER_STARTING,
    EventType.STEP_WORKER_STARTED,
    EventType.RESOURCE_INIT_STARTED,
    EventType.RESOURCE_INIT_SUCCESS,
    EventType.RESOURCE_INIT_FAILURE,
)

PAYLOAD_CLASSES: dict[EventType, type[Payload]] = {
    EventType.STEP_INPUT: StepInputData,
    EventType.LOADED_INPUT: LoadedInputData,
    EventType.STEP_OUTPUT: StepOutputData,
    EventType.HANDLED_OUTPUT: HandledOutputData,
    EventType.STEP_EXPECTATION_RESULT: ExpectationData,
    EventType.STEP_SUCCESS: StepSuccessData,
    EventType.STEP_FAILURE: StepFailureData,
    EventType.STEP_UP_FOR_RETRY: StepRetryData,
    EventType.LOGS_CAPTURED: LogsCapturedData,
    EventType.RUN_FAILURE: RunFailureData,
    **dict.fromkeys(ASSET_EVENTS, AssetEventData),
    **dict.fromkeys(_ENGINE_EVENTS, EngineEventData),
}
"""The payload class of each type that has one; the others carry no data."""

REQUIRED_PAYLOADS = frozenset(
    {
        EventType.STEP_INPUT,
        EventType.LOADED_INPUT,
        EventType.STEP_OUTPUT,
        EventType.HANDLED_OUTPUT,
        EventType.STEP_EXPECTATION_RESULT,
        EventType.LOGS_CAPTURED,
        *ASSET_EVENTS,
    }
)
"""Types that mean nothing without their payload."""
