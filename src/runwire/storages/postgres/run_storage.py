"""Runs in a PostgreSQL database."""

from __future__ import annotations

from contextlib import AbstractContextManager

from sqlalchemy import Connection

from runwire.storage.run_storage import RunStorage
from runwire.storages.postgres.connections import Database
from runwire.storages.postgres.repeating import repeating
from runwire.storages.sql.run_storage import SqlRunStorage


@repeating(RunStorage, apart_from={"hold_run", "dispose"})
class PostgresRunStorage(SqlRunStorage):
    """Keeps runs in the tables of a database, which must be there.

    Args:
        database: brings connections.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def reading(self) -> AbstractContextManager[Connection]:
        return self._database.reading()

    def writing(self, *, durable: bool = True) -> AbstractContextManager[Connection]:
        return self._database.writing(durable=durable)

    def walking(self) -> AbstractContextManager[Connection]:
        return self._database.walking()

    def writing_at_once(self) -> AbstractContextManager[Connection]:
        """A connection on which each statement is a transaction of its own, durable when it returns."""
        return self._database.writing_at_once()

    def dispose(self) -> None:
        self._database.dispose()
