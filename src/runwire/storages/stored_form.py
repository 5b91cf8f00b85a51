"""The form in which every storage keeps things, so that all of them give back the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import msgspec

from runwire.errors import CursorExpiredError, RunFinishedError, StaleWorkerError
from runwire.events.cursor import Cursor, CursorScope
from runwire.events.entry import EventLogEntry, EventLogRecord, encode_storable, storable_text
from runwire.events.types import TERMINAL_RUN_EVENTS, LogLevel
from runwire.runs.run import Run, RunRecord
from runwire.runs.status import RunStatus
from runwire.runs.tags import LINEAGE_TAGS, PARENT_RUN_TAG, ROOT_RUN_TAG
from runwire.storage.event_log_storage import Append

# ---------------------------------------------------------------- runs


def new_log_id() -> str:
    """A fresh id of a log: 32 hexadecimal digits."""
    return uuid4().hex


def stored_run(run: Run) -> Run:
    """The run with texts that every store takes, and its config as JSON gives it back."""
    return replace(
        run,
        job_name=storable_text(run.job_name),
        tags=stored_tags(run.tags) | _lineage_tags(run),
        run_config=decode_json(encode_json(run.run_config)),
        location_name=stored_text(run.location_name),
        repository_name=stored_text(run.repository_name),
        step_keys=None if run.step_keys is None else tuple(map(storable_text, run.step_keys)),
        requested_by=stored_text(run.requested_by),
    )


def stored_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags with texts that every store takes; without those of lineage, which follow from the run's fields."""
    return {
        storable_text(key): storable_text(value)
        for key, value in tags.items()
        if key not in LINEAGE_TAGS
    }


def _lineage_tags(run: Run) -> dict[str, str]:
    if run.parent_run_id is None or run.root_run_id is None:
        return {}
    return {PARENT_RUN_TAG: run.parent_run_id, ROOT_RUN_TAG: run.root_run_id}


def new_record(storage_id: int, run: Run, created_at: float) -> RunRecord:
    """The record of a run that is made, `run` being in its stored form."""
    return RunRecord(
        storage_id=storage_id,
        run=run,
        status=RunStatus.MANAGED if run.managed else RunStatus.NOT_STARTED,
        log_id=new_log_id(),
        created_at=created_at,
        updated_at=created_at,
    )


# ---------------------------------------------------------------- events

EventColumns = tuple[
    int, float, int, str | None, str | None, str, int | bool, int | None, bytes | None
]
"""The columns of a stored event: position, timestamp, level, type, step key, message, applied, epoch, body.

They are what a driver takes without converting, hence no enums.
"""

EVENT_COLUMNS = (
    "position",
    "timestamp",
    "level",
    "event_type",
    "step_key",
    "message",
    "applied",
    "epoch",
    "body",
)
"""The names of the columns of a stored event, in order."""


def stored_events(append: Append, head: int) -> list[EventColumns]:
    """The columns of the events that an append stores after the head of the log."""
    epoch = append.epoch if append.handover_epoch is None else append.handover_epoch
    placed = zip(append.entries, append.applied, strict=True)
    return [
        _columns(entry, position, int(applied), epoch)
        for position, (entry, applied) in enumerate(placed, head + 1)
    ]


def _columns(entry: EventLogEntry, position: int, applied: int, epoch: int | None) -> EventColumns:
    event_type, step_key, message = entry.event_type, entry.step_key, entry.message
    return (
        position,
        entry.timestamp,
        _NUMBERS[entry.severity],
        None if event_type is None else event_type.value,
        step_key if step_key is None or _is_plain(step_key) else storable_text(step_key),
        message if _is_plain(message) else storable_text(message),
        applied,
        epoch,
        None if entry.data is None and entry.error is None else entry.encode_body(),
    )


def _is_plain(text: str) -> bool:
    return text.isascii() and "\0" not in text


def event_record(run_id: str, columns: Sequence[Any]) -> EventLogRecord:
    """Stored columns as a record."""
    position, timestamp, level, stored_type, step_key, message, applied, epoch, body = columns
    record = _new_record(EventLogRecord)
    # The constructor of a frozen dataclass sets field by field, which takes three times as long; records
    # are made by the hundred for each group commit and by the thousand for each page.
    record.__dict__.update(
        run_id=run_id,
        position=position,
        timestamp=timestamp,
        level=_LEVELS.get(level) or _nearest_level(level),
        stored_type=stored_type,
        message=message,
        step_key=step_key,
        applied=bool(applied),
        epoch=epoch,
        body=body,
    )
    return record


def check_guards(record: RunRecord, append: Append, epoch: int, *, has_ended: bool) -> None:
    """Checks an append against the log's own copies of what guards it: its epoch, and whether it has ended.

    Raises:
        StaleWorkerError: another worker has the run.
        RunFinishedError: a worker writes something other than a run event after the end.
    """
    if append.epoch is None:
        return
    if append.epoch != epoch:
        raise StaleWorkerError(record.run_id, append.epoch, epoch)
    if has_ended and not all(entry.is_run_event for entry in append.entries):
        raise RunFinishedError(record.run_id)


def end_of_run(append: Append, records: Sequence[EventLogRecord]) -> int | None:
    """The position of the applied terminal event among the records that an append made."""
    if not append.ends_run:
        return None
    return next(r.position for r in records if r.applied and r.event_type in TERMINAL_RUN_EVENTS)


def check_not_purged(after: int, purged_position: int, log_id: str) -> None:
    """Checks that what follows a position of the instance-wide log is there.

    Raises:
        CursorExpiredError: it is not; names the cursor from which on all is.
    """
    if after < purged_position:
        raise CursorExpiredError(str(Cursor(CursorScope.INSTANCE, log_id, purged_position)))


def _nearest_level(level: int) -> LogLevel:
    """The level that a number of another version comes closest to, from above."""
    return max((known for known in LogLevel if known <= level), default=LogLevel.DEBUG)


_NUMBERS = {level: level.value for level in LogLevel}
_LEVELS = {level.value: level for level in LogLevel}
_new_record = object.__new__


# ---------------------------------------------------------------- texts


def encode_json(value: Any) -> bytes:
    """A value as JSON; lone surrogates are escaped."""
    return encode_storable(_encoder, value)


_encoder = msgspec.json.Encoder()
decode_json = msgspec.json.decode


def stored_text(text: str | None) -> str | None:
    """The text as every store takes it; None stays None."""
    return None if text is None else storable_text(text)
