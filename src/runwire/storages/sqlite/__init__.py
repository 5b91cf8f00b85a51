"""The storage in SQLite files: one for the runs of an instance, and one for each run's event log or for all."""

from runwire.storages.sqlite.consolidated_storage import (
    ConsolidatedSqliteEventLogStorage,
    ConsolidatedSqliteRunStorage,
)
from runwire.storages.sqlite.event_log_storage import SqliteEventLogStorage
from runwire.storages.sqlite.run_storage import SqliteRunStorage
from runwire.storages.sqlite.schedule_storage import SqliteScheduleStorage
from runwire.storages.sqlite.storage import SqliteStorage

__all__ = [
    "ConsolidatedSqliteEventLogStorage",
    "ConsolidatedSqliteRunStorage",
    "SqliteEventLogStorage",
    "SqliteRunStorage",
    "SqliteScheduleStorage",
    "SqliteStorage",
]
