"""Schedules, sensors and ticks in SQLite."""

from __future__ import annotations

from runwire.storages.sql.schedule_storage import SqlScheduleStorage
from runwire.storages.sqlite.run_storage import SqliteRunStorage


class SqliteScheduleStorage(SqlScheduleStorage):
    """Keeps schedules, sensors and ticks in the file of the runs.

    Args:
        runs: the runs, which open the file.
    """

    def __init__(self, runs: SqliteRunStorage) -> None:
        super().__init__(runs)
