"""Migrating SQLite files: the databases of a base folder, or one of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, StaticPool, create_engine

from runwire.errors import SchemaRevisionError, StorageUnavailableError
from runwire.storage.migration import Migrated, Migration, MigrationProgress
from runwire.storages.migrations import mend_of
from runwire.storages.migrations.upgrading import NEWEST, Scope, upgrade
from runwire.storages.sqlite.errors import translated
from runwire.storages.sqlite.schema import find_revision


def migrate_files(
    history: Path, runs: Path, scope: Scope, patience_seconds: float, progress: MigrationProgress
) -> Migration:
    """Brings all databases of a storage to the newest revision, each in one transaction.

    The file of the runs comes last, so that what was cut short is run again. An event log that cannot be
    migrated is told of, and keeps the others from nothing.

    Args:
        history: the folder of the databases.
        runs: the file of the runs; nothing is there without it.
        scope: its tables.
        patience_seconds: how long to wait for another process that uses a database.
        progress: is told how many files were looked at.

    Raises:
        SchemaRevisionError: the file of the runs is of a newer version, or of somebody else.
        StorageUnavailableError: it cannot be migrated.
    """
    migration = Migration()
    if not runs.is_file():
        return migration
    logs = list(_logs(history)) if scope == "runs" else []
    total = len(logs) + 1
    progress(0, total)
    for done, path in enumerate(logs, 1):
        try:
            _note(migration, upgrade_file(path, "log", patience_seconds))
        except StorageUnavailableError as error:
            migration.problems.append(str(error))
        progress(done, total)
    _note(migration, upgrade_file(runs, scope, patience_seconds))
    progress(total, total)
    return migration


def upgrade_file(
    path: Path, scope: Scope, patience_seconds: float = 30.0, revision: str | None = None
) -> Migrated | None:
    """Brings one file to a revision, by default the newest; makes it when it is not there.

    Returns:
        What was done; None when the file had the revision.

    Raises:
        SchemaRevisionError: it is of a newer version, or of somebody else.
        StorageUnavailableError: it cannot be migrated.
    """
    revision = revision or NEWEST[scope]
    is_new = not path.exists()
    with translated(path), _connected(path, patience_seconds) as connection:
        found = _find_revision(connection, scope)
        if found == revision:
            return None
        if not is_new and (found is None or found > revision):
            raise SchemaRevisionError(str(path), found, revision, mend_of(found, revision))
        upgrade(connection, scope, revision)
        connection.commit()
    return Migrated(str(path), found, revision)


@contextmanager
def _connected(path: Path, patience_seconds: float) -> Iterator[Connection]:
    """A connection in a transaction that keeps other writers out."""
    with closing(
        sqlite3.connect(path, timeout=patience_seconds, isolation_level=None)
    ) as connection:
        connection.execute("ATTACH ':memory:' AS versions")  # used for a log only
        creator: Any = lambda: connection  # noqa: E731 - its type does not fit SQLAlchemy's to the letter
        engine = create_engine("sqlite://", creator=creator, poolclass=StaticPool)
        with engine.connect() as wrapped:
            # Not before: when an engine connects for the first time, it rolls back.
            wrapped.exec_driver_sql("BEGIN IMMEDIATE")
            yield wrapped


def _find_revision(connection: Connection, scope: Scope) -> str | None:
    driver: Any = connection.connection.driver_connection
    return find_revision(driver, of_log=scope == "log")


def _note(migration: Migration, migrated: Migrated | None) -> None:
    if migrated is not None:
        migration.migrated.append(migrated)


def _logs(history: Path) -> Iterator[Path]:
    for path in sorted((history / "events").glob("*/*.db")):
        if not path.name.startswith("."):
            yield path
