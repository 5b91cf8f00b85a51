"""Event logs in a PostgreSQL database."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, collate, func

from runwire.events.entry import EventLogRecord
from runwire.runs.run import RunRecord
from runwire.storage.event_log_storage import Append, HeadsWatch
from runwire.storage.run_storage import HeldRun
from runwire.storages.postgres.append import append_at_once
from runwire.storages.postgres.run_storage import PostgresRunStorage
from runwire.storages.sql.heads import SharedHeadsWatch
from runwire.storages.sql.shared_event_log_storage import SharedEventLogStorage


class PostgresEventLogStorage(SharedEventLogStorage):
    """Keeps all event logs in the database of the runs.

    Args:
        runs: the runs.
        letters: the collation that knows which letters are upper case, for the columns have none that does.
    """

    # A server that is killed loses what it showed to readers and had not synced, and gives its positions anew.
    syncs_lines = True

    def __init__(self, runs: PostgresRunStorage, letters: str) -> None:
        super().__init__(runs)
        self._lock_timeout = runs.lock_timeout
        self._letters = letters

    def append(
        self, record: RunRecord, append: Append, held: HeldRun | None = None
    ) -> list[EventLogRecord]:
        if held is None and append.idempotency_key is None:
            with self._runs.reading() as connection:  # one statement, and so one transaction
                records = append_at_once(
                    connection, record, append, lock_timeout=self._lock_timeout
                )
            if records is not None:
                return records
        return super().append(record, append, held)

    def _add_events(
        self, connection: Connection, record: RunRecord, append: Append
    ) -> list[EventLogRecord]:
        records = append_at_once(connection, record, append, lock_timeout=None)
        return super()._add_events(connection, record, append) if records is None else records

    def holds_text(self, column: ColumnElement[str], text: str) -> ColumnElement[bool]:
        return func.strpos(func.lower(collate(column, self._letters)), text) > 0

    def open_heads(self) -> HeadsWatch:
        return SharedHeadsWatch(self._runs)
