"""Runs in a PostgreSQL database."""

from __future__ import annotations

from contextlib import AbstractContextManager

from sqlalchemy import Connection

from runwire.storages.postgres.connections import Database
from runwire.storages.sql.run_storage import SqlRunStorage


class PostgresRunStorage(SqlRunStorage):
    """Keeps runs in the tables of a database, which must be there.

    Args:
        database: brings connections.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.lock_timeout = database.lock_timeout

    def reading(self) -> AbstractContextManager[Connection]:
        return self._database.reading()

    def writing(self, *, durable: bool = True) -> AbstractContextManager[Connection]:
        return self._database.writing(durable=durable)

    def walking(self) -> AbstractContextManager[Connection]:
        return self._database.walking()

    def dispose(self) -> None:
        self._database.dispose()
