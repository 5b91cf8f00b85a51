"""Migrating the tables of a PostgreSQL database."""

from __future__ import annotations

from runwire.storage.migration import Migrated, Migration, MigrationProgress
from runwire.storages.migrations import HEAD_REVISION
from runwire.storages.migrations.upgrading import upgrade
from runwire.storages.postgres.connections import Database
from runwire.storages.postgres.schema import LOCK, check_revision, find_revision


def migrate_database(database: Database, progress: MigrationProgress) -> Migration:
    """Brings the tables to the newest revision, in one transaction that may take as long as it needs.

    Raises:
        SchemaRevisionError: a newer version of runwire wrote them.
        StorageUnavailableError: the database cannot be used, or another transaction holds a lock for too long.
    """
    migration = Migration()
    progress(0, 1)
    with database.writing() as connection:
        connection.execute(LOCK)
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        found = find_revision(connection)
        if found is not None and found > HEAD_REVISION:
            check_revision(database.place, found)
        if found is not None and found < HEAD_REVISION:
            upgrade(connection, "database")
            migration.migrated.append(Migrated(database.place, found, HEAD_REVISION))
    progress(1, 1)
    return migration
