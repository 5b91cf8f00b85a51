"""Which logs moved in a PostgreSQL database."""

from __future__ import annotations

from sqlalchemy import Text, cast, func, select

from runwire.storages.sql.heads import SharedHeadsWatch

_SNAPSHOT = select(cast(func.pg_current_snapshot(), Text))


class PostgresHeadsWatch(SharedHeadsWatch):
    """Asks for heads only when a transaction has ended since: the current snapshot tells."""

    def version(self) -> object:
        # It is asked first: what is committed after it is told by the next poll.
        with self._runs.reading() as connection:
            return connection.execute(_SNAPSHOT).scalar_one()
