"""Backfills in a PostgreSQL database."""

from __future__ import annotations

from runwire.storage.backfill_storage import BackfillStorage
from runwire.storages.postgres.repeating import repeating
from runwire.storages.sql.backfill_storage import SqlBackfillStorage


@repeating(BackfillStorage, apart_from=())
class PostgresBackfillStorage(SqlBackfillStorage):
    """Keeps backfills in the database of the runs."""
