"""Event logs that share the database of the runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, update

from runwire.errors import RunNotFoundError
from runwire.events.entry import EventLogRecord, storable_text
from runwire.events.types import MIRRORED_EVENTS
from runwire.runs.run import RunRecord
from runwire.storage.event_log_storage import Append
from runwire.storage.run_storage import HeldRun
from runwire.storages.sql.dialect import insert_unless_there
from runwire.storages.sql.event_log_storage import SqlEventLogStorage
from runwire.storages.sql.held_run import SqlHeldRun
from runwire.storages.sql.log_statements import LOG_KEY, SHARED_LOG
from runwire.storages.sql.orphans import sweep_orphans
from runwire.storages.sql.run_storage import SqlRunStorage, find_run
from runwire.storages.sql.tables import LOGS, run_batches, run_events, run_heads
from runwire.storages.stored_form import (
    EVENT_COLUMNS,
    EventColumns,
    check_guards,
    end_of_run,
    event_record,
    stored_events,
)

_THIS = run_heads.c.storage_id == bindparam(LOG_KEY)
_RAISE_HEAD = (
    update(run_heads)
    .where(_THIS)
    .values(head=run_heads.c.head + bindparam("count"))
    .returning(run_heads.c.head, run_heads.c.epoch, run_heads.c.terminal_position)
)
_CHANGE_HEAD = update(run_heads).where(_THIS)


class SharedEventLogStorage(SqlEventLogStorage):
    """Everything but the heads and the dialect, for logs in the database of the runs.

    Events and what they change of their run commit in one transaction. A log's row in `run_heads` is raised
    before its events are inserted, by the statement that checks the guards, and keeps other writers waiting.

    Args:
        runs: the runs, which bring connections and transactions.
    """

    syncs_lines: bool = False
    """Whether log lines are synced like durable events: where what was read may else be lost with the server."""

    def __init__(self, runs: SqlRunStorage) -> None:
        super().__init__(SHARED_LOG)
        self._runs = runs

    def append(
        self, record: RunRecord, append: Append, held: HeldRun | None = None
    ) -> list[EventLogRecord]:
        if isinstance(held, SqlHeldRun):
            return self._append(held.connection, record, append)
        durable = self.syncs_lines or any(entry.is_durable for entry in append.entries)
        with self._runs.writing(durable=durable) as connection:
            return self._append(connection, record, append)

    @contextmanager
    def run_connection(
        self, record: RunRecord, held: HeldRun | None = None
    ) -> Iterator[Connection | None]:
        if isinstance(held, SqlHeldRun):
            yield held.connection
        else:
            with self._runs.walking() as connection:
                yield connection

    def index_connection(self) -> AbstractContextManager[Connection]:
        return self._runs.reading()

    def index_writing(self) -> AbstractContextManager[Connection]:
        return self._runs.writing()

    def delete_log(self, record: RunRecord) -> None:
        self._delete(record.storage_id)

    def sweep_orphans(self, before: float) -> Iterator[int]:
        return sweep_orphans(self._runs, self._delete)

    def _delete(self, storage_id: int) -> None:
        with self._runs.writing(durable=False) as connection:
            # The head first: who appends waits for it, and finds no log.
            for table in (run_heads, run_batches, run_events):
                connection.execute(delete(table).where(table.c.storage_id == storage_id))

    def wipe(self) -> None:
        with self._runs.writing() as connection:
            for table in LOGS.sorted_tables:
                connection.execute(delete(table))

    def _append(
        self, connection: Connection, record: RunRecord, append: Append
    ) -> list[EventLogRecord]:
        records = self._add_events(connection, record, append)
        if append.idempotency_key is not None:
            batch = {
                "storage_id": record.storage_id,
                "key": storable_text(append.idempotency_key),
                "first_position": records[0].position,
                "last_position": records[-1].position,
            }
            connection.execute(insert(run_batches), batch)
        return records

    def _add_events(
        self, connection: Connection, record: RunRecord, append: Append
    ) -> list[EventLogRecord]:
        """Raises the head, checks the guards, and inserts the events."""
        head = self._raise_head(connection, record, len(append.entries))
        check_guards(record, append, head.epoch, has_ended=head.terminal_position is not None)
        rows = stored_events(append, head.head - len(append.entries))
        connection.execute(insert(run_events), [_values(record, row) for row in rows])
        records = [event_record(record.run_id, row) for row in rows]
        changes = _changes(append, records)
        if changes:
            connection.execute(_CHANGE_HEAD.values(**changes), {LOG_KEY: record.storage_id})
        return records

    def _raise_head(self, connection: Connection, record: RunRecord, count: int) -> Row[Any]:
        """Takes the next positions of a log, which is made if need be.

        Raises:
            RunNotFoundError: the run is gone, or has another log.
        """
        wanted = {LOG_KEY: record.storage_id, "count": count}
        row = connection.execute(_RAISE_HEAD, wanted).first()
        if row is None:
            run = find_run(connection, record.run_id)
            if run is None or run.log_id != record.log_id:
                raise RunNotFoundError(record.run_id)
            values = {
                "storage_id": run.storage_id,
                "head": 0,
                "epoch": run.worker_epoch,
                "mirrored_position": 0,
            }
            insert_unless_there(connection, run_heads, values)
            row = connection.execute(_RAISE_HEAD, wanted).one()
        return row


def _values(record: RunRecord, row: EventColumns) -> dict[str, Any]:
    values: dict[str, Any] = dict(zip(EVENT_COLUMNS, row, strict=True))
    values["storage_id"] = record.storage_id
    values["applied"] = bool(values["applied"])
    return values


def _changes(append: Append, records: list[EventLogRecord]) -> dict[str, Any]:
    """What the events change of what is kept of their log as a whole."""
    changes: dict[str, Any] = {}
    mirrored = [r.position for r in records if r.event_type in MIRRORED_EVENTS]
    if mirrored:
        changes["mirrored_position"] = mirrored[-1]
    if append.handover_epoch is not None:
        changes["epoch"] = append.handover_epoch
    if append.ends_run:
        changes["terminal_position"] = end_of_run(append, records)
    return changes
