"""Runs and all their event logs in one SQLite file."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import ColumnElement, func

from runwire.storage.event_log_storage import HeadsWatch
from runwire.storages.sql.heads import SharedHeadsWatch
from runwire.storages.sql.shared_event_log_storage import SharedEventLogStorage
from runwire.storages.sql.tables import DATABASE
from runwire.storages.sqlite.connections import connect_reader
from runwire.storages.sqlite.errors import translated
from runwire.storages.sqlite.run_storage import SqliteRunStorage

CONSOLIDATED_FILE_NAME = "runwire.db"


class ConsolidatedSqliteRunStorage(SqliteRunStorage):
    """Keeps runs in ``<base_dir>/history/runwire.db``, which has the event logs too.

    Raises:
        StorageUnavailableError: the file can be neither opened nor made.
        SchemaRevisionError: the file is of another version.
    """

    def __init__(self, base_dir: str | Path, busy_timeout_seconds: float = 30.0) -> None:
        super().__init__(
            base_dir, busy_timeout_seconds, file_name=CONSOLIDATED_FILE_NAME, metadata=DATABASE
        )
        self.patience_seconds = busy_timeout_seconds


class ConsolidatedSqliteEventLogStorage(SharedEventLogStorage):
    """Keeps all event logs in the file of the runs.

    Args:
        runs: the runs.
    """

    def __init__(self, runs: ConsolidatedSqliteRunStorage) -> None:
        super().__init__(runs)
        self._file = runs

    def holds_text(self, column: ColumnElement[str], text: str) -> ColumnElement[bool]:
        return func.runwire_holds(column, text)

    def open_heads(self) -> HeadsWatch:
        return _HeadsWatch(self._file)


class _HeadsWatch(SharedHeadsWatch):
    """Asks for heads only when the file has changed, by SQLite's data version."""

    def __init__(self, runs: ConsolidatedSqliteRunStorage) -> None:
        super().__init__(runs)
        self._path = runs.path
        with translated(self._path):
            self._connection = connect_reader(self._path, runs.patience_seconds)

    def version(self) -> object:
        # It is asked first: what is committed after it is told by the next poll.
        with translated(self._path):
            return self._connection.execute("PRAGMA data_version").fetchone()[0]

    def instance_version(self) -> object:
        return self.version()

    def close(self) -> None:
        super().close()
        self._connection.close()
