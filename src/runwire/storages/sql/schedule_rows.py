"""Schedules, sensors and ticks as rows, and back."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Row

from runwire.error_info import ErrorInfo
from runwire.storages.sql.rows import as_json
from runwire.ticks.source import (
    TickSourceOrigin,
    TickSourceState,
    TickSourceStatus,
    TickSourceType,
)
from runwire.ticks.tick import RunRequest, Tick, TickStatus

_decode_requests = msgspec.json.Decoder(tuple[RunRequest, ...]).decode
_decode_texts = msgspec.json.Decoder(tuple[str, ...]).decode
_decode_error = msgspec.json.Decoder(ErrorInfo).decode


def source_values(state: TickSourceState) -> dict[str, Any]:
    """What is kept about a schedule or sensor as a row."""
    origin = state.origin
    return {
        "source_id": state.source_id,
        "source_type": origin.source_type.value,
        "location_name": origin.location_name,
        "repository_name": origin.repository_name,
        "name": origin.name,
        "status": state.status.value,
        "by_default": state.by_default,
        "running_since": state.running_since,
        "cursor": state.cursor,
        "cursor_version": state.cursor_version,
        "last_due_at": state.last_due_at,
        "updated_at": state.updated_at,
    }


def source_state(row: Row[Any]) -> TickSourceState:
    """A row of `tick_sources`, with all its columns, as a state."""
    return TickSourceState(
        origin=TickSourceOrigin(
            source_type=TickSourceType(row.source_type),
            location_name=row.location_name,
            repository_name=row.repository_name,
            name=row.name,
        ),
        status=TickSourceStatus(row.status),
        by_default=row.by_default,
        running_since=row.running_since,
        cursor=row.cursor,
        cursor_version=row.cursor_version,
        last_due_at=row.last_due_at,
        updated_at=row.updated_at,
    )


def tick_values(tick: Tick) -> dict[str, Any]:
    """A tick as a row, without its id."""
    return {
        "source_id": tick.source_id,
        "key": tick.key,
        "status": tick.status.value,
        "due_at": tick.due_at,
        "started_at": tick.started_at,
        "ended_at": tick.ended_at,
        "attempts": tick.attempts,
        "failure_count": tick.failure_count,
        "requests": None if tick.requests is None else as_json(tick.requests),
        "run_ids": as_json(tick.run_ids),
        "skip_reason": tick.skip_reason,
        "error": None if tick.error is None else as_json(tick.error),
        "cursor": tick.cursor,
        "version": tick.version,
    }


def tick_record(row: Row[Any]) -> Tick:
    """A row of `ticks`, with all its columns, as a tick."""
    return Tick(
        tick_id=row.tick_id,
        source_id=row.source_id,
        key=row.key,
        status=TickStatus(row.status),
        due_at=row.due_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        attempts=row.attempts,
        failure_count=row.failure_count,
        requests=None if row.requests is None else _decode_requests(row.requests),
        run_ids=_decode_texts(row.run_ids),
        skip_reason=row.skip_reason,
        error=None if row.error is None else _decode_error(row.error),
        cursor=row.cursor,
        version=row.version,
    )
