"""Schedules, sensors and their ticks in a PostgreSQL database."""

from __future__ import annotations

from runwire.storage.schedule_storage import ScheduleStorage
from runwire.storages.postgres.repeating import repeating
from runwire.storages.sql.schedule_storage import SqlScheduleStorage


@repeating(ScheduleStorage, apart_from={"dispose", "purge_ticks"})
class PostgresScheduleStorage(SqlScheduleStorage):
    """Keeps schedules, sensors and ticks in the database of the runs."""
