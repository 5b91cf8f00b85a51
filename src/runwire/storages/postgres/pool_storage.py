"""Pools in a PostgreSQL database."""

from __future__ import annotations

from runwire.storage.pool_storage import PoolStorage
from runwire.storages.postgres.repeating import repeating
from runwire.storages.sql.pool_storage import SqlPoolStorage


@repeating(PoolStorage, apart_from=())
class PostgresPoolStorage(SqlPoolStorage):
    """Keeps pools in the database of the runs."""
