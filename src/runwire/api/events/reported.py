"""From the events that an external system reports to entries of the log."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from runwire import clock
from runwire.api.events.inputs import (
    AssetEventInput,
    ErrorInfoInput,
    EventDataInput,
    EventRecordInput,
    MetadataEntryInput,
    MetadataValueInput,
)
from runwire.api.rows import given
from runwire.api.tags import pairs
from runwire.api.user_errors import input_at
from runwire.error_info import ErrorInfo
from runwire.errors import InputInvalidError
from runwire.events.entry import EventLogEntry
from runwire.events.metadata import AnyMetadataValue, MetadataEntry, MetadataValue
from runwire.events.payloads import (
    AnyPayload,
    AssetEventData,
    EngineEventData,
    ExpectationData,
)

MAX_EXACT = 2**53
"""Whole numbers below this are kept as such; GraphQL gives them as floats."""


def entries_of(run_id: str, events: Iterable[EventRecordInput]) -> list[EventLogEntry]:
    """The entries of reported events, in order.

    Raises:
        InputInvalidError: an event is refused; its path begins with ``events`` and the index.
    """
    entries = []
    for index, event in enumerate(events):
        with input_at("events", str(index)):
            entries.append(_entry(run_id, event))
    return entries


def _entry(run_id: str, event: EventRecordInput) -> EventLogEntry:
    timestamp, error, data = given(event.timestamp), given(event.error), given(event.data)
    return EventLogEntry(
        run_id=run_id,
        message=event.message,
        event_type=given(event.event_type),
        level=given(event.level),
        timestamp=clock.timestamp() if timestamp is None else timestamp,
        step_key=given(event.step_key),
        error=None if error is None else _error(error),
        data=None if data is None else _data(data),
    )


def _error(error: ErrorInfoInput) -> ErrorInfo:
    return ErrorInfo(
        message=error.message,
        class_name=given(error.class_name),
        stack=tuple(given(error.stack) or ()),
    )


def _data(data: EventDataInput) -> AnyPayload:
    asset, expectation, engine = given(data.asset), given(data.expectation), given(data.engine)
    if asset is not None:
        return _asset(asset)
    if expectation is not None:
        return ExpectationData(
            success=expectation.success,
            label=given(expectation.label),
            description=given(expectation.description),
            metadata=_metadata(given(expectation.metadata)),
        )
    if engine is not None:
        return EngineEventData(
            marker_start=given(engine.marker_start),
            marker_end=given(engine.marker_end),
            metadata=_metadata(given(engine.metadata)),
        )
    raise InputInvalidError("give one kind of data", ["data"])


def _asset(asset: AssetEventInput) -> AssetEventData:
    if not asset.asset_key or not all(asset.asset_key):
        raise InputInvalidError(
            "an asset's key has one part or more, none of them empty", ["data", "asset", "assetKey"]
        )
    return AssetEventData(
        asset_key=tuple(asset.asset_key),
        partition=given(asset.partition),
        description=given(asset.description),
        tags=dict(pairs(given(asset.tags))),
        metadata=_metadata(given(asset.metadata)),
    )


def _metadata(entries: list[MetadataEntryInput] | None) -> tuple[MetadataEntry, ...]:
    return tuple(
        MetadataEntry(entry.label, _value(entry.value), given(entry.description))
        for entry in entries or ()
    )


def _value(value: MetadataValueInput) -> AnyMetadataValue:
    kind, content = next(
        (name, content) for name in _VALUES if (content := given(getattr(value, name))) is not None
    )
    return _VALUES[kind](content)


def _number(number: float) -> AnyMetadataValue:
    whole = number.is_integer() and abs(number) < MAX_EXACT
    return MetadataValue.number(int(number) if whole else number)


_VALUES: dict[str, Callable[[Any], AnyMetadataValue]] = {
    "text": MetadataValue.text,
    "markdown": MetadataValue.markdown,
    "url": MetadataValue.url,
    "path": MetadataValue.path,
    "number": _number,
    "json": MetadataValue.json,
    "run_id": MetadataValue.run,
    "asset_key": MetadataValue.asset,
}
"""How the value of each field of a `MetadataValueInput` is made."""
