"""The storage in SQLite files: one for the runs of an instance, and one for each run's event log."""

from runwire.storages.sqlite.event_log_storage import SqliteEventLogStorage
from runwire.storages.sqlite.run_storage import SqliteRunStorage
from runwire.storages.sqlite.storage import SqliteStorage

__all__ = ["SqliteEventLogStorage", "SqliteRunStorage", "SqliteStorage"]
