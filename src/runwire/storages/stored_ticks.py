"""What the storages share about schedules, sensors and ticks: the rules and the stored form, without I/O."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import msgspec

from runwire.error_info import ErrorInfo
from runwire.errors import CursorConflictError, TickConflictError, TickSourceStoppedError
from runwire.events.entry import storable_text
from runwire.storage.schedule_storage import MAX_TICK_KEY, CursorMove
from runwire.storages.stored_form import decode_json, encode_json, stored_tags, stored_text
from runwire.ticks.source import TickSourceOrigin, TickSourceState, TickSourceStatus
from runwire.ticks.tick import RunRequest, Tick, TickStatus, may_follow

_decode_error = msgspec.json.Decoder(ErrorInfo).decode

# ---------------------------------------------------------------- schedules and sensors


def new_source(
    origin: TickSourceOrigin, status: TickSourceStatus, at: float, *, by_default: bool
) -> TickSourceState:
    """What is kept about a schedule or sensor that is added."""
    return TickSourceState(
        origin=TickSourceOrigin(
            source_type=origin.source_type,
            location_name=storable_text(origin.location_name),
            repository_name=storable_text(origin.repository_name),
            name=storable_text(origin.name),
        ),
        status=status,
        by_default=by_default,
        running_since=at if status is TickSourceStatus.RUNNING else None,
        updated_at=at,
    )


def with_status(state: TickSourceState, status: TickSourceStatus, at: float) -> TickSourceState:
    """The state after somebody has started or stopped it."""
    chosen = replace(state, by_default=False)
    if state.status is status:
        return chosen
    running_since = at if status is TickSourceStatus.RUNNING else None
    return replace(chosen, status=status, running_since=running_since, updated_at=at)


def with_cursor(
    state: TickSourceState, cursor: str | None, at: float, version: int | None
) -> TickSourceState:
    """The state with another cursor.

    Raises:
        CursorConflictError: its cursor does not have the version.
    """
    if version is not None and version != state.cursor_version:
        raise CursorConflictError(state.source_id, version, state.cursor_version)
    return replace(
        state,
        cursor=stored_text(cursor),
        cursor_version=state.cursor_version + 1,
        updated_at=at,
    )


def with_tick_due(state: TickSourceState, due_at: float) -> TickSourceState:
    """The state after a tick was made for an instant.

    Raises:
        TickSourceStoppedError: it makes none.
    """
    if not state.is_running:
        raise TickSourceStoppedError(state.source_id)
    last = due_at if state.last_due_at is None else max(state.last_due_at, due_at)
    return replace(state, last_due_at=last)


def source_order(state: TickSourceState) -> tuple[str, str, str, str]:
    """What schedules and sensors are listed by."""
    origin = state.origin
    return (
        origin.location_name,
        origin.repository_name,
        origin.name,
        origin.source_type.value,
    )


# ---------------------------------------------------------------- ticks


def stored_key(key: str) -> str:
    """The key of a tick as it is stored.

    Raises:
        ValueError: it is too long.
    """
    stored = storable_text(key)
    if len(stored) > MAX_TICK_KEY:
        raise ValueError(f"a key of {len(stored)} characters; at most {MAX_TICK_KEY} are allowed")
    return stored


def new_tick(source_id: str, key: str, *, due_at: float, started_at: float) -> Tick:
    """A tick that is made, without the id, which the storage gives; the key is in its stored form."""
    return Tick(
        tick_id=0,
        source_id=source_id,
        key=key,
        status=TickStatus.STARTED,
        due_at=due_at,
        started_at=started_at,
    )


def updated(stored: Tick, given: Tick, move: CursorMove | None) -> Tick:
    """The tick as it is stored after an update.

    Raises:
        TickConflictError: it has changed since it was read, or its status is final.
        ValueError: what never changes is not as stored.
    """
    if given.version != stored.version:
        problem = f"has version {stored.version}, not {given.version}: it was written meanwhile"
        raise TickConflictError(stored.tick_id, problem)
    if not may_follow(stored.status, given.status):
        problem = f"is {stored.status.value} and cannot become {given.status.value}"
        raise TickConflictError(stored.tick_id, problem)
    kept = (stored.source_id, stored.key, stored.due_at)
    if (given.source_id, given.key, given.due_at) != kept:
        raise ValueError("the source_id, key and due_at of a tick never change")
    return replace(
        given,
        requests=_stored_requests(given.requests),
        run_ids=tuple(map(storable_text, given.run_ids)),
        skip_reason=stored_text(given.skip_reason),
        error=None if given.error is None else _decode_error(encode_json(given.error)),
        cursor=stored_text(given.cursor if move is None else move.cursor),
        version=stored.version + 1,
    )


def asked_statuses(statuses: Collection[TickStatus] | None) -> list[TickStatus] | None:
    """The statuses that are asked for, each once; None when all are."""
    if statuses is None or set(statuses) == set(TickStatus):
        return None
    return [status for status in TickStatus if status in statuses]


def _stored_requests(requests: tuple[RunRequest, ...] | None) -> tuple[RunRequest, ...] | None:
    return None if requests is None else tuple(map(_stored_request, requests))


def _stored_request(request: RunRequest) -> RunRequest:
    return RunRequest(
        job_name=storable_text(request.job_name),
        run_key=stored_text(request.run_key),
        run_config=decode_json(encode_json(request.run_config)),
        tags=stored_tags(request.tags),
        partition_key=stored_text(request.partition_key),
    )
