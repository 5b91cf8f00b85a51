"""Floors of storing and reading events: the drivers alone, on tables like those of runwire."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import psycopg

from runwire.storages.sql.tables import LOG
from runwire.storages.sqlite.schema import ddl

COLUMNS = "timestamp, level, event_type, step_key, message, applied, epoch, body"
RawRow = tuple[Any, ...]
"""The columns of an event without its position, in the order of `COLUMNS`."""


class RawLog(ABC):
    """A log that the driver alone writes and reads."""

    @abstractmethod
    def insert(self, rows: list[RawRow], *, synced: bool) -> None:
        """Inserts rows after those that are there, in one transaction."""

    @abstractmethod
    def read(self, limit: int) -> int:
        """Reads the first events, so many; returns how many there were."""

    @abstractmethod
    def close(self) -> None:
        """Closes the connection."""


class RawSqliteLog(RawLog):
    """A file with the tables of a log.

    Args:
        path: the file; its tables are made when it is not there.
    """

    def __init__(self, path: Path) -> None:
        is_new = not path.exists()
        self.connection = sqlite3.connect(path, isolation_level=None, timeout=30)
        self._synced: bool | None = None
        if is_new:
            self.connection.execute("PRAGMA journal_mode = WAL")
            for statement in ddl(LOG):
                self.connection.execute(statement)

    def insert(self, rows: list[RawRow], *, synced: bool) -> None:
        self.synchronize(synced)
        self.connection.execute("BEGIN IMMEDIATE")
        insert = f"INSERT INTO events ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
        self.connection.executemany(insert, rows)
        self.connection.execute("COMMIT")

    def synchronize(self, synced: bool) -> None:
        if synced is not self._synced:
            self.connection.execute(f"PRAGMA synchronous = {'FULL' if synced else 'NORMAL'}")
            self._synced = synced

    def read(self, limit: int) -> int:
        rows = f"SELECT position, {COLUMNS} FROM events ORDER BY position LIMIT ?"  # noqa: S608
        return len(self.connection.execute(rows, (limit,)).fetchall())

    def close(self) -> None:
        self.connection.close()


class RawPostgresLog(RawLog):
    """A table like that of all logs.

    Args:
        url: the database.
        log: which log, of those in the table, this is.
        prepared: whether the session keeps statements prepared, as the driver does by default.
    """

    def __init__(self, url: str, log: int = 1, *, prepared: bool = True) -> None:
        threshold = 5 if prepared else None
        self.connection = psycopg.connect(url, autocommit=True, prepare_threshold=threshold)
        self.connection.execute(
            "CREATE TABLE IF NOT EXISTS raw_events (LIKE run_events INCLUDING ALL)"
        )
        self._log = log
        self._position = 0

    def insert(self, rows: list[RawRow], *, synced: bool) -> None:
        assert synced  # what was read may else be lost with the server
        first = self._position + 1
        self._position += len(rows)
        placed = [(self._log, position, *row) for position, row in enumerate(rows, first)]
        insert = (
            f"INSERT INTO raw_events (storage_id, position, {COLUMNS})"  # noqa: S608
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        )
        if len(placed) == 1:
            self.connection.execute(insert.encode(), placed[0])
            return
        with self.connection.transaction(), self.connection.cursor() as cursor:
            cursor.executemany(insert.encode(), placed)

    def read(self, limit: int) -> int:
        rows = (
            f"SELECT position, {COLUMNS} FROM raw_events WHERE storage_id = %s"  # noqa: S608
            " ORDER BY position LIMIT %s"
        )
        return len(self.connection.execute(rows.encode(), (self._log, limit)).fetchall())

    def close(self) -> None:
        self.connection.close()
