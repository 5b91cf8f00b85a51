"""What is asked of events, and what external systems report."""

from __future__ import annotations

import strawberry
from strawberry import ID, UNSET

from runwire.api.events.enums import EventType, LogLevel
from runwire.api.rows import given
from runwire.api.scalars import JSON, DateTime
from runwire.api.tags import TagInput
from runwire.api.time_range import DateTimeRange
from runwire.api.user_errors import check_text, check_texts
from runwire.errors import InputInvalidError
from runwire.events.filters import EventFilter as EventFilterRow
from runwire.events.filters import EventRecordsFilter as EventRecordsFilterRow
from runwire.events.filters import check_mirrored
from runwire.runs.filters import TimeRange


@strawberry.input(
    description="Which event records of a run. Fields are joined by and, the values of one field by or."
)
class EventFilter:
    """Which event records of a run."""

    event_types: list[EventType] | None = strawberry.field(
        description="Records of one of these types.", default=UNSET
    )
    typed: bool | None = strawberry.field(
        description="Records with a type (true), or lines that user code logged (false).",
        default=UNSET,
    )
    levels: list[LogLevel] | None = strawberry.field(
        description="Records of one of these levels.", default=UNSET
    )
    step_keys: list[str] | None = strawberry.field(
        description="Records of one of these steps.", default=UNSET
    )
    text: str | None = strawberry.field(
        description="Records whose message holds this text, in any case.", default=UNSET
    )

    def to_filter(self) -> EventFilterRow:
        """The filter of the layers below.

        Raises:
            InputInvalidError: a text is not valid Unicode.
        """
        types, levels = given(self.event_types), given(self.levels)
        step_keys, text = given(self.step_keys), given(self.text)
        return EventFilterRow(
            event_types=None if types is None else frozenset(types),
            typed=given(self.typed),
            levels=None if levels is None else frozenset(levels),
            step_keys=None if step_keys is None else check_texts(step_keys, ("filter", "stepKeys")),
            text=None if text is None else check_text(text, ("filter", "text")),
        )


@strawberry.input(
    description="Which event records of all runs. Fields are joined by and, the values of one field by or."
)
class EventRecordsFilter:
    """Which event records of all runs."""

    event_types: list[EventType] = strawberry.field(
        description="Records of one of these types, each a run type, STEP_FAILURE or an asset type."
    )
    job_names: list[str] | None = strawberry.field(
        description="Records of runs of one of these jobs.", default=UNSET
    )
    asset_keys: list[list[str]] | None = strawberry.field(
        description="Records of one of these assets.", default=UNSET
    )
    partitions: list[str] | None = strawberry.field(
        description="Records of one of these partitions; needs `assetKeys`.", default=UNSET
    )
    timestamp: DateTimeRange | None = strawberry.field(
        description="Records from this span of time.", default=UNSET
    )

    def to_filter(self) -> EventRecordsFilterRow:
        """The filter of the layers below.

        Raises:
            InputInvalidError: a type has no place in the instance-wide log, partitions are given without assets,
                or a text is not valid Unicode.
        """
        job_names, partitions = given(self.job_names), given(self.partitions)
        keys, span = given(self.asset_keys), given(self.timestamp)
        if partitions is not None and keys is None:
            message = "`partitions` needs `assetKeys`: name the assets that the partitions are of"
            raise InputInvalidError(message, ["filter", "partitions"])
        for index, event_type in enumerate(self.event_types):
            check_mirrored([event_type], ("filter", "eventTypes", str(index)))
        times = TimeRange() if span is None else span.to_range()
        return EventRecordsFilterRow(
            event_types=frozenset(self.event_types),
            job_names=None if job_names is None else check_texts(job_names, ("filter", "jobNames")),
            asset_keys=None if keys is None else _asset_keys(keys),
            partitions=None
            if partitions is None
            else check_texts(partitions, ("filter", "partitions")),
            after_timestamp=times.after,
            before_timestamp=times.before,
        )


def _asset_keys(keys: list[list[str]]) -> frozenset[tuple[str, ...]]:
    return frozenset(
        tuple(
            check_text(part, ("filter", "assetKeys", str(i), str(j))) for j, part in enumerate(key)
        )
        for i, key in enumerate(keys)
    )


@strawberry.input(description="A value of a metadata entry to report.", one_of=True)
class MetadataValueInput:
    """A value of a metadata entry to report."""

    text: str | None = strawberry.field(description="A text.", default=UNSET)
    markdown: str | None = strawberry.field(description="A text in Markdown.", default=UNSET)
    url: str | None = strawberry.field(description="A link.", default=UNSET)
    path: str | None = strawberry.field(description="A path of a file or folder.", default=UNSET)
    number: float | None = strawberry.field(description="A number.", default=UNSET)
    json: JSON | None = strawberry.field(description="A JSON value.", default=UNSET)
    run_id: ID | None = strawberry.field(description="The id of a run.", default=UNSET)
    asset_key: list[str] | None = strawberry.field(
        description="The parts of an asset's key.", default=UNSET
    )


@strawberry.input(description="A labelled value to report.")
class MetadataEntryInput:
    """A labelled value to report."""

    label: str = strawberry.field(description="The label of the value.")
    description: str | None = strawberry.field(
        description="What the value means, for people.", default=UNSET
    )
    value: MetadataValueInput = strawberry.field(description="The value.")


@strawberry.input(description="Data of an asset event to report.")
class AssetEventInput:
    """Data of an asset event to report."""

    asset_key: list[str] = strawberry.field(description="The parts of the asset's key.")
    partition: str | None = strawberry.field(
        description="The partition of the asset; the whole when left out.", default=UNSET
    )
    description: str | None = strawberry.field(
        description="What happened to it, for people.", default=UNSET
    )
    tags: list[TagInput] | None = strawberry.field(
        description="The tags of the event.", default=UNSET
    )
    metadata: list[MetadataEntryInput] | None = strawberry.field(
        description="What there is to tell about it.", default=UNSET
    )


@strawberry.input(description="Data of an expectation result to report.")
class ExpectationInput:
    """Data of an expectation result to report."""

    success: bool = strawberry.field(description="Whether the expectation holds.")
    label: str | None = strawberry.field(description="The name of the expectation.", default=UNSET)
    description: str | None = strawberry.field(
        description="What was expected, for people.", default=UNSET
    )
    metadata: list[MetadataEntryInput] | None = strawberry.field(
        description="What there is to tell about it.", default=UNSET
    )


@strawberry.input(description="Data of an engine event to report.")
class EngineEventInput:
    """Data of an engine event to report."""

    marker_start: str | None = strawberry.field(
        description="The marker that begins here.", default=UNSET
    )
    marker_end: str | None = strawberry.field(
        description="The marker that ends here.", default=UNSET
    )
    metadata: list[MetadataEntryInput] | None = strawberry.field(
        description="What there is to tell about it.", default=UNSET
    )


@strawberry.input(description="What an event type adds.", one_of=True)
class EventDataInput:
    """What an event type adds."""

    asset: AssetEventInput | None = strawberry.field(description="For asset types.", default=UNSET)
    expectation: ExpectationInput | None = strawberry.field(
        description="For STEP_EXPECTATION_RESULT.", default=UNSET
    )
    engine: EngineEventInput | None = strawberry.field(
        description="For ENGINE_EVENT.", default=UNSET
    )


@strawberry.input(description="An error to report.")
class ErrorInfoInput:
    """An error to report."""

    message: str = strawberry.field(description="The message of the error.")
    class_name: str | None = strawberry.field(
        description="The name of the error's class.", default=UNSET
    )
    stack: list[str] | None = strawberry.field(
        description="The lines of the stack trace, outermost call first.", default=UNSET
    )


@strawberry.input(description="An event to report.")
class EventRecordInput:
    """An event to report."""

    event_type: EventType | None = strawberry.field(
        description="Its type; a log line when left out.", default=UNSET
    )
    message: str = strawberry.field(description="What happened, for people.")
    level: LogLevel | None = strawberry.field(
        description="How severe it is; as usual for its type when left out.", default=UNSET
    )
    timestamp: DateTime | None = strawberry.field(
        description="When it happened; now when left out.", default=UNSET
    )
    step_key: str | None = strawberry.field(
        description="The step that it belongs to; needed for types of steps.", default=UNSET
    )
    error: ErrorInfoInput | None = strawberry.field(
        description="The error that it tells of.", default=UNSET
    )
    data: EventDataInput | None = strawberry.field(description="What its type adds.", default=UNSET)
