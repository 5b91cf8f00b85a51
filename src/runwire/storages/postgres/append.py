"""Appending to a log: the hot path. One statement raises the head, checks the guards, and inserts the events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, bindparam, select

from runwire.events.entry import EventLogRecord
from runwire.events.types import MIRRORED_EVENTS, TERMINAL_RUN_EVENTS
from runwire.runs.run import RunRecord
from runwire.storage.event_log_storage import Append
from runwire.storages.sql.tables import run_events
from runwire.storages.stored_form import EVENT_COLUMNS, event_record, stored_events

_APPEND = """
WITH head AS (
    UPDATE run_heads SET
        head = head + %(count)s,
        epoch = coalesce(%(handover_epoch)s, epoch),
        mirrored_position = coalesce(head + %(mirrored)s, mirrored_position),
        terminal_position = coalesce(head + %(terminal)s, terminal_position)
    WHERE storage_id = %(log)s
        AND (%(guard)s::bigint IS NULL OR epoch = %(guard)s)
        AND (%(guard)s::bigint IS NULL OR %(may_follow_end)s OR terminal_position IS NULL)
    RETURNING head - %(count)s AS before
), added AS (
    INSERT INTO run_events (
        storage_id, position, timestamp, level, event_type, step_key, message, applied, epoch, body
    )
    SELECT %(log)s, head.before + given.place, given.timestamp, given.level, given.event_type,
        given.step_key, given.message, given.applied, %(epoch)s::integer, given.body
    FROM head, {given}
)
SELECT before FROM head
"""

_APPEND_ONE = _APPEND.format(
    given="""(SELECT
        1 AS place, %(timestamp)s::double precision AS timestamp,
        %(level)s::integer AS level, %(event_type)s::text AS event_type,
        %(step_key)s::text AS step_key, %(message)s::text AS message,
        %(applied)s::boolean AS applied, %(body)s::bytea AS body
    ) AS given"""
)
"""PostgreSQL plans it in half the time that lists take."""

_APPEND_MANY = _APPEND.format(
    given="""unnest(
        %(timestamp)s::double precision[], %(level)s::integer[], %(event_type)s::text[],
        %(step_key)s::text[], %(message)s::text[], %(applied)s::boolean[], %(body)s::bytea[]
    ) WITH ORDINALITY AS given(
        timestamp, level, event_type, step_key, message, applied, body, place
    )"""
)

_LIKE_FIRST = (
    select(run_events.c.position)
    .where(
        run_events.c.storage_id == bindparam("log"),
        run_events.c.epoch == bindparam("epoch"),
        run_events.c.timestamp == bindparam("timestamp"),
    )
    .order_by(run_events.c.position)
)
_FROM = (
    select(*(run_events.c[name] for name in EVENT_COLUMNS))
    .where(run_events.c.storage_id == bindparam("log"), run_events.c.position >= bindparam("first"))
    .order_by(run_events.c.position)
    .limit(bindparam("count"))
)


def append_at_once(
    connection: Connection,
    record: RunRecord,
    append: Append,
) -> list[EventLogRecord] | None:
    """Appends entries to a log that is there, if the guards of the append allow it.

    Args:
        connection: in autocommit mode, or in a transaction.
        record: the run.
        append: what to append; its idempotency key is not kept.

    Returns:
        The stored records; None when the log is not there, or a guard refuses, and nothing was done.
    """
    rows = stored_events(append, 0)
    entries = append.entries
    parameters: dict[str, Any] = {
        "count": len(rows),
        "log": record.storage_id,
        "guard": append.epoch,
        "may_follow_end": all(entry.is_run_event for entry in entries),
        "handover_epoch": append.handover_epoch,
        "mirrored": _last_place(entry.event_type in MIRRORED_EVENTS for entry in entries),
        "terminal": _terminal_place(append),
    }
    if len(rows) == 1:
        statement = _APPEND_ONE
        given: dict[str, Any] = dict(zip(EVENT_COLUMNS, rows[0], strict=True))
        given["applied"] = bool(given["applied"])
    else:
        statement = _APPEND_MANY
        given = dict(zip(EVENT_COLUMNS, map(_as_list, zip(*rows, strict=True)), strict=True))
        given["applied"] = list(map(bool, given["applied"]))
        given["epoch"] = given["epoch"][0]
    # SQLAlchemy would take as long again for what is constant text.
    driver: Any = connection.connection.driver_connection
    row = driver.execute(statement, parameters | given).fetchone()
    if row is None:
        return None
    before = row[0]
    return [event_record(record.run_id, (before + each[0], *each[1:])) for each in rows]


def find_appended(
    connection: Connection, record: RunRecord, append: Append
) -> list[EventLogRecord] | None:
    """What an append of a worker has stored, found by the events themselves; None when it has stored nothing."""
    rows = stored_events(append, 0)
    log = {"log": record.storage_id}
    like_first = log | {"epoch": append.epoch, "timestamp": rows[0][1]}
    for first in connection.execute(_LIKE_FIRST, like_first).scalars().all():
        found = connection.execute(_FROM, log | {"first": first, "count": len(rows)}).all()
        if [tuple(each[1:]) for each in found] == [each[1:] for each in rows]:
            return [event_record(record.run_id, each) for each in found]
    return None


def _as_list(column: Iterable[Any]) -> list[Any]:
    return list(column)


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
