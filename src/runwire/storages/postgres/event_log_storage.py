"""Event logs in a PostgreSQL database."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, bindparam, collate, func, select

from runwire.events.entry import EventLogRecord
from runwire.runs.run import RunRecord
from runwire.storage.asset_index import AssetIndex
from runwire.storage.event_log_storage import Append, EventLogStorage, HeadsWatch
from runwire.storage.run_storage import HeldRun
from runwire.storages.postgres.append import append_at_once, find_appended
from runwire.storages.postgres.errors import OutcomeUnknownError
from runwire.storages.postgres.heads import PostgresHeadsWatch
from runwire.storages.postgres.repeating import repeated, repeating
from runwire.storages.postgres.run_storage import PostgresRunStorage
from runwire.storages.sql.asset_index import SqlAssetIndex
from runwire.storages.sql.shared_event_log_storage import SharedEventLogStorage
from runwire.storages.sql.tables import run_heads

_LOCK_HEAD = (
    select(run_heads.c.head).where(run_heads.c.storage_id == bindparam("log")).with_for_update()
)


@repeating(AssetIndex, apart_from=())
class PostgresAssetIndex(SqlAssetIndex):
    """Keeps the assets in the database of the event logs."""


@repeating(
    EventLogStorage,
    apart_from={
        "dispose",
        "end_watch",
        "open_heads",
        "purge_instance_log",
        "sweep_orphans",
        "watch",
    },
)
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
        self._asset_index = PostgresAssetIndex(self.index_connection, self.index_writing)
        self._writing_at_once = runs.writing_at_once
        self._letters = letters

    def append(
        self, record: RunRecord, append: Append, held: HeldRun | None = None
    ) -> list[EventLogRecord]:
        if held is None and append.idempotency_key is None:
            try:
                with self._writing_at_once() as connection:
                    records = append_at_once(connection, record, append)
            except OutcomeUnknownError:
                if append.epoch is None:
                    raise
                return self._append_unless_stored(record, append)
            if records is not None:
                return records
        return super().append(record, append, held)

    @repeated
    def _append_unless_stored(self, record: RunRecord, append: Append) -> list[EventLogRecord]:
        """Appends what a worker may have appended already: no other writes with its epoch, at these instants."""
        with self._runs.writing() as connection:
            # Waits for the session that was lost, if it still goes on.
            connection.execute(_LOCK_HEAD, {"log": record.storage_id})
            return find_appended(connection, record, append) or self._append(
                connection, record, append
            )

    def _add_events(
        self, connection: Connection, record: RunRecord, append: Append
    ) -> list[EventLogRecord]:
        records = append_at_once(connection, record, append)
        return super()._add_events(connection, record, append) if records is None else records

    def holds_text(self, column: ColumnElement[str], text: str) -> ColumnElement[bool]:
        return func.strpos(func.lower(collate(column, self._letters)), text) > 0

    def open_heads(self) -> HeadsWatch:
        return PostgresHeadsWatch(self._runs)
