"""Runs in a PostgreSQL database."""

from __future__ import annotations

from contextlib import AbstractContextManager

from sqlalchemy import Connection, Double, cast, extract, func, select

from runwire.storage.run_storage import RunStorage
from runwire.storages.postgres.connections import Database
from runwire.storages.postgres.repeating import repeated, repeating
from runwire.storages.sql.run_storage import SqlRunStorage

_NOW = select(cast(extract("epoch", func.clock_timestamp()), Double))


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

    @repeated
    def now(self) -> float:
        with self.reading() as connection:
            instant: float = connection.execute(_NOW).scalar_one()
        return instant

    def writing_at_once(self) -> AbstractContextManager[Connection]:
        """A connection on which each statement is a transaction of its own, durable when it returns."""
        return self._database.writing_at_once()

    def dispose(self) -> None:
        self._database.dispose()
