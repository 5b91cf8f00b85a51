"""Appending to a log: the hot path. One statement raises the head, checks the guards, and inserts the events."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from runwire.events.entry import EventLogRecord
from runwire.events.types import MIRRORED_EVENTS, TERMINAL_RUN_EVENTS
from runwire.runs.run import RunRecord
from runwire.storage.event_log_storage import Append
from runwire.storages.stored_form import event_record, stored_events

_APPEND = """
WITH mode AS MATERIALIZED (
    SELECT CASE WHEN %(lock_timeout)s::text IS NOT NULL
            THEN set_config('lock_timeout', %(lock_timeout)s, true) END
), head AS (
    UPDATE run_heads SET
        head = head + %(count)s,
        epoch = coalesce(%(handover_epoch)s, epoch),
        mirrored_position = coalesce(head + %(mirrored)s, mirrored_position),
        terminal_position = coalesce(head + %(terminal)s, terminal_position)
    FROM mode -- set before the row is waited for
    WHERE storage_id = %(log)s
        AND (%(epoch)s::bigint IS NULL OR epoch = %(epoch)s)
        AND (%(epoch)s::bigint IS NULL OR %(may_follow_end)s OR terminal_position IS NULL)
    RETURNING head - %(count)s AS before
), added AS (
    INSERT INTO run_events (
        storage_id, position, timestamp, level, event_type, step_key, message, applied, epoch, body
    )
    SELECT %(log)s, head.before + given.place, given.timestamp, given.level, given.event_type,
        given.step_key, given.message, given.applied, %(event_epoch)s, given.body
    FROM head, unnest(
        %(timestamps)s::double precision[], %(levels)s::integer[], %(event_types)s::text[],
        %(step_keys)s::text[], %(messages)s::text[], %(applied)s::boolean[], %(bodies)s::bytea[]
    ) WITH ORDINALITY AS given(
        timestamp, level, event_type, step_key, message, applied, body, place
    )
)
SELECT head.before FROM head
"""


def append_at_once(
    connection: Connection,
    record: RunRecord,
    append: Append,
    *,
    lock_timeout: str | None,
) -> list[EventLogRecord] | None:
    """Appends entries to a log that is there, if the guards of the append allow it.

    Args:
        connection: in autocommit mode, or in a transaction.
        record: the run.
        append: what to append; its idempotency key is not kept.
        lock_timeout: how long to wait for other writers of the log; None in a transaction that says so.

    Returns:
        The stored records; None when the log is not there, or a guard refuses, and nothing was done.
    """
    rows = stored_events(append, 0)
    _, timestamps, levels, event_types, step_keys, messages, applied, epochs, bodies = zip(
        *rows, strict=True
    )
    entries = append.entries
    parameters: dict[str, Any] = {
        "lock_timeout": lock_timeout,
        "count": len(rows),
        "log": record.storage_id,
        "epoch": append.epoch,
        "may_follow_end": all(entry.is_run_event for entry in entries),
        "handover_epoch": append.handover_epoch,
        "mirrored": _last_place(entry.event_type in MIRRORED_EVENTS for entry in entries),
        "terminal": _terminal_place(append),
        "event_epoch": epochs[0],
        "timestamps": list(timestamps),
        "levels": list(levels),
        "event_types": list(event_types),
        "step_keys": list(step_keys),
        "messages": list(messages),
        "applied": [bool(each) for each in applied],
        "bodies": list(bodies),
    }
    # SQLAlchemy would take as long again for what is constant text.
    driver: Any = connection.connection.driver_connection
    row = driver.execute(_APPEND, parameters).fetchone()
    if row is None:
        return None
    before = row[0]
    return [event_record(record.run_id, (before + each[0], *each[1:])) for each in rows]


def _last_place(holds: Any) -> int | None:
    """The place, from 1, of the last that holds; None when none does."""
    places = [place for place, each in enumerate(holds, 1) if each]
    return places[-1] if places else None


def _terminal_place(append: Append) -> int | None:
    if not append.ends_run:
        return None
    return next(
        place
        for place, (entry, applied) in enumerate(
            zip(append.entries, append.applied, strict=True), 1
        )
        if applied and entry.event_type in TERMINAL_RUN_EVENTS
    )
