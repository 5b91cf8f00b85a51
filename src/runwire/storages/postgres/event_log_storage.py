"""Event logs in a PostgreSQL database."""

from __future__ import annotations

from sqlalchemy import ColumnElement, collate, func

from runwire.storage.event_log_storage import HeadsWatch
from runwire.storages.postgres.run_storage import PostgresRunStorage
from runwire.storages.sql.heads import SharedHeadsWatch
from runwire.storages.sql.shared_event_log_storage import SharedEventLogStorage


class PostgresEventLogStorage(SharedEventLogStorage):
    """Keeps all event logs in the database of the runs.

    Args:
        runs: the runs.
        letters: the collation that knows which letters are upper case, for the columns have none that does.
    """

    def __init__(self, runs: PostgresRunStorage, letters: str) -> None:
        super().__init__(runs)
        self._letters = letters

    def holds_text(self, column: ColumnElement[str], text: str) -> ColumnElement[bool]:
        return func.strpos(func.lower(collate(column, self._letters)), text) > 0

    def open_heads(self) -> HeadsWatch:
        return SharedHeadsWatch(self._runs)
