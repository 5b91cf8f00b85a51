"""Appending to a shard: the hot path. Constant SQL on a connection that stays open."""

from __future__ import annotations

from sqlalchemy import insert, update
from sqlalchemy.dialects import sqlite

from runwire.events.entry import EventLogRecord, storable_text
from runwire.events.types import DURABLE_EVENTS, MIRRORED_EVENTS
from runwire.runs.run import RunRecord
from runwire.storage.event_log_storage import Append
from runwire.storages.sql.tables import batches, events, log
from runwire.storages.sqlite.connections import Writer
from runwire.storages.stored_form import check_guards, end_of_run, event_record, stored_events

_DIALECT = sqlite.dialect()
_STATE = "SELECT epoch, terminal_position, (SELECT max(position) FROM events) FROM log"
_ADD_EVENT = str(insert(events).compile(dialect=_DIALECT))
_ADD_BATCH = str(insert(batches).compile(dialect=_DIALECT))
_SET_EPOCH = str(update(log).values(epoch=0).compile(dialect=_DIALECT))
_SET_TERMINAL = str(update(log).values(terminal_position=0).compile(dialect=_DIALECT))
_SET_MIRRORED = str(update(log).values(mirrored_position=0).compile(dialect=_DIALECT))


def append_to_shard(writer: Writer, record: RunRecord, append: Append) -> list[EventLogRecord]:
    """Appends in one transaction, as `EventLogStorage.append` says. The caller has the writer's lock."""
    types = {entry.event_type for entry in append.entries}
    try:
        writer.begin(not DURABLE_EVENTS.isdisjoint(types))
        epoch, terminal_position, head = writer.execute(_STATE).fetchone()
        check_guards(record, append, epoch, has_ended=terminal_position is not None)
        rows = stored_events(append, head or 0)
        writer.executemany(_ADD_EVENT, rows)
        records = [event_record(record.run_id, row) for row in rows]
        if not MIRRORED_EVENTS.isdisjoint(types):
            _keep_mirrored(writer, records)
        _keep_state(writer, append, records)
        writer.commit()
    except BaseException:
        writer.rollback()
        raise
    return records


def _keep_mirrored(writer: Writer, records: list[EventLogRecord]) -> None:
    """Keeps the position of the last mirrored event, which spares readers the search for them."""
    last = max(record.position for record in records if record.event_type in MIRRORED_EVENTS)
    writer.execute(_SET_MIRRORED, (last,))


def _keep_state(writer: Writer, append: Append, records: list[EventLogRecord]) -> None:
    """Keeps the log's own copies of what guards it."""
    if append.handover_epoch is not None:
        writer.execute(_SET_EPOCH, (append.handover_epoch,))
    if append.ends_run:
        writer.execute(_SET_TERMINAL, (end_of_run(append, records),))
    if append.idempotency_key is not None:
        key = storable_text(append.idempotency_key)
        writer.execute(_ADD_BATCH, (key, records[0].position, records[-1].position))
