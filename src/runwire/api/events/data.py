"""What each type of event adds to its record."""

from __future__ import annotations

import json
from typing import Annotated, Any

import strawberry

from runwire.api.events.assets import ASSET, asset_of
from runwire.api.events.enums import RunFailureReason, StepErrorSource
from runwire.api.events.metadata import MetadataEntry
from runwire.api.rows import field, loaded, view
from runwire.api.scalars import JSON
from runwire.api.tags import Tag, tags_of
from runwire.events import payloads as rows


@view(rows.TypeCheck, "How the type check of a value ended.")
class TypeCheck:
    """How the type check of a value ended."""

    success: bool = field("Whether the value has the type.")
    type_name: str = field("The name of the type that was expected.")
    description: str | None = field("What is wrong with the value, for people.")
    metadata: list[MetadataEntry] = field("What the type check tells about it.")


@view(rows.StepInputData, "Data of STEP_INPUT.")
class StepInputData:
    """Data of STEP_INPUT."""

    input_name: str = field("The name of the input.")
    type_check: TypeCheck | None = field("How its type check ended; null when it was not checked.")


@view(rows.LoadedInputData, "Data of LOADED_INPUT.")
class LoadedInputData:
    """Data of LOADED_INPUT."""

    input_name: str = field("The name of the input.")
    manager_key: str = field("The key of the I/O manager.")
    upstream_step_key: str | None = field(
        "The step whose output was loaded; null when it came from elsewhere."
    )
    upstream_output_name: str | None = field(
        "The name of the output that was loaded; null when it came from elsewhere."
    )
    metadata: list[MetadataEntry] = field("What the I/O manager tells about it.")


@view(rows.StepOutputData, "Data of STEP_OUTPUT.")
class StepOutputData:
    """Data of STEP_OUTPUT."""

    output_name: str = field("The name of the output.")
    mapping_key: str | None = field(
        "The key of this value of a dynamic output; null for other outputs."
    )
    type_check: TypeCheck | None = field("How its type check ended; null when it was not checked.")
    metadata: list[MetadataEntry] = field("What the op tells about it.")


@view(rows.HandledOutputData, "Data of HANDLED_OUTPUT.")
class HandledOutputData:
    """Data of HANDLED_OUTPUT."""

    output_name: str = field("The name of the output.")
    manager_key: str = field("The key of the I/O manager.")
    metadata: list[MetadataEntry] = field("What the I/O manager tells about it.")


@view(rows.ExpectationData, "Data of STEP_EXPECTATION_RESULT.")
class ExpectationData:
    """Data of STEP_EXPECTATION_RESULT."""

    success: bool = field("Whether the expectation holds.")
    label: str | None = field("The name of the expectation.")
    description: str | None = field("What was expected, for people.")
    metadata: list[MetadataEntry] = field("What the op tells about it.")


@view(rows.StepSuccessData, "Data of STEP_SUCCESS.")
class StepSuccessData:
    """Data of STEP_SUCCESS."""

    duration_ms: float = field("How long the attempt took, in milliseconds.")


@view(rows.StepFailureData, "Data of STEP_FAILURE; the error itself is `EventRecord.error`.")
class StepFailureData:
    """Data of STEP_FAILURE."""

    error_source: StepErrorSource = field("Whose failure it is.")
    label: str | None = field(
        "The label that the op gave its `Failure`; null when it raised something else."
    )
    description: str | None = field(
        "The description that the op gave its `Failure`; null when it raised something else."
    )
    metadata: list[MetadataEntry] = field("What the op tells about it.")


@view(rows.StepRetryData, "Data of STEP_UP_FOR_RETRY; the error itself is `EventRecord.error`.")
class StepRetryData:
    """Data of STEP_UP_FOR_RETRY."""

    seconds_to_wait: float = field(
        "How long the step waits before its next attempt, in seconds; 0 when it does not."
    )


@view(
    rows.AssetEventData,
    "Data of ASSET_MATERIALIZATION, ASSET_OBSERVATION and ASSET_MATERIALIZATION_PLANNED.",
)
class AssetEventData:
    """Data of the asset events."""

    asset_key: list[str] = field("The parts of the asset's key.")
    asset: Any = loaded(asset_of, "The asset; null when it was wiped.", type=ASSET)
    partition: str | None = field("The partition of the asset; null for the whole.")
    description: str | None = field("What happened to it, for people.")
    tags: list[Tag] = field("The tags of the event.", lambda data: tags_of(data.tags))
    metadata: list[MetadataEntry] = field("What the op tells about it.")


@view(rows.LogsCapturedData, "Data of LOGS_CAPTURED.")
class LogsCapturedData:
    """Data of LOGS_CAPTURED."""

    log_key: str = field("The key under which the output is kept.")
    step_keys: list[str] = field("The steps whose output it holds.")


@view(rows.EngineEventData, "Data of ENGINE_EVENT and of the worker and resource events.")
class EngineEventData:
    """Data of ENGINE_EVENT and of the worker and resource events."""

    marker_start: str | None = field("The marker that begins here; null when none does.")
    marker_end: str | None = field("The marker that ends here; null when none does.")
    metadata: list[MetadataEntry] = field("What the engine tells about it.")


@view(rows.RunFailureData, "Data of RUN_FAILURE; the error itself is `EventRecord.error`.")
class RunFailureData:
    """Data of RUN_FAILURE."""

    reason: RunFailureReason = field("The kind of reason.")
    failed_step_keys: list[str] = field("The steps that failed, at most 25.")


def _stored_body(data: rows.UnreadableEventData) -> Any:
    try:
        return None if data.body is None else json.loads(data.body)
    except (ValueError, RecursionError):
        return None


@view(
    rows.UnreadableEventData,
    "Stands in for data that this version cannot read: a newer type, or a damaged body.",
)
class UnreadableEventData:
    """Stands in for data that this version cannot read."""

    stored_type: str | None = field("The type as it is stored; null when even that cannot be read.")
    problem: str = field("Why it cannot be read.")
    body: JSON | None = field("The body as it is stored; null when it is not JSON.", _stored_body)


EventData = Annotated[
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
    | UnreadableEventData,
    strawberry.union(
        "EventData",
        description="What an event type adds to its record. Types not named in a member add nothing.",
    ),
]
