"""Runs in one SQLite file."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, MetaData

from runwire.interrupts import current_interrupts
from runwire.storages.migrations import HEAD_REVISION
from runwire.storages.sql.run_storage import SqlRunStorage
from runwire.storages.sql.tables import INSTANCE_LOG_ID, RUNS
from runwire.storages.sqlite.connections import Writer, reading_engine, writing_engine
from runwire.storages.sqlite.errors import translated, translated_files
from runwire.storages.sqlite.schema import check_revision, create_database
from runwire.storages.stored_form import new_log_id

FILE_NAME = "runs.db"


class SqliteRunStorage(SqlRunStorage):
    """Keeps runs in a file in ``<base_dir>/history``, which it makes when it is not there.

    Args:
        base_dir: the folder.
        busy_timeout_seconds: how long to wait for another process that writes.
        file_name: the file.
        metadata: its tables; those of event logs may be among them.

    Raises:
        StorageUnavailableError: the file can be neither opened nor made.
        SchemaRevisionError: the file is of another version.
    """

    def __init__(
        self,
        base_dir: str | Path,
        busy_timeout_seconds: float = 30.0,
        *,
        file_name: str = FILE_NAME,
        metadata: MetaData = RUNS,
    ) -> None:
        self.path = Path(base_dir) / "history" / file_name
        self._patience_seconds = busy_timeout_seconds
        self._lock = threading.Lock()
        self._writer: Writer | None = None
        self._connection: Connection | None = None
        with translated_files(self.path):
            if not self.path.exists():
                create_database(self.path, metadata, _prepare)
        self._readers = reading_engine(self.path, busy_timeout_seconds)
        try:
            check_revision(self.path, self.get_revision(), HEAD_REVISION)
        except BaseException:
            self.dispose()
            raise

    def get_revision(self) -> str | None:
        """The revision of the file's schema; None when it has none."""
        with self.reading() as connection:
            return _find_revision(connection)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with (
            current_interrupts().held(),
            translated(self.path),
            self._readers.connect() as connection,
        ):
            yield connection

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[Connection]:
        with current_interrupts().held(), self._lock, translated(self.path):
            writer, connection = self._open_writer()
            try:
                writer.begin(durable)
                yield connection
                writer.commit()
            except BaseException:
                self._undo(writer)
                raise
            finally:
                connection.rollback()  # ends what SQLAlchemy takes for a transaction

    def _undo(self, writer: Writer) -> None:
        try:
            writer.rollback()
        except sqlite3.ProgrammingError:
            # An interrupt came while SQLAlchemy used the connection, and SQLAlchemy has closed it.
            self._writer = self._connection = None

    def dispose(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            if self._writer is not None:
                self._writer.close()
                self._writer = None
        self._readers.dispose()

    def _open_writer(self) -> tuple[Writer, Connection]:
        if self._writer is None or self._connection is None:
            self._writer = Writer(self.path, self._patience_seconds)
            self._connection = writing_engine(self._writer.connection).connect()
        return self._writer, self._connection


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute(
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"
    )
    connection.execute("INSERT INTO alembic_version VALUES (?)", (HEAD_REVISION,))
    connection.execute("INSERT INTO meta VALUES (?, ?)", (INSTANCE_LOG_ID, new_log_id()))
    connection.execute("INSERT INTO instance_head VALUES (1, 0, 0)")


def _find_revision(connection: Connection) -> str | None:
    tables = connection.exec_driver_sql(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'"
    )
    if tables.first() is None:
        return None
    version: str | None = connection.exec_driver_sql(
        "SELECT version_num FROM alembic_version"
    ).scalar()
    return version
